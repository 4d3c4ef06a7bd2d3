package mailcatch

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/web"
)

// PageOptions are the choices of [NewPage]. The zero value of each means its default.
type PageOptions struct {
	// Token, if set, is asked of everybody: as "Authorization: Bearer TOKEN", or once on the page, which then has a
	// cookie. A page that others than this machine can reach needs one.
	Token string
	// Hosts are names by which the page may be asked for, besides IP addresses, localhost and what ends in .localhost. A
	// page of somebody else's whose name leads here is refused by it (DNS rebinding).
	Hosts []string
	// SMTP is the address that mail is to be sent to, for the page to show.
	SMTP string
	// Log gets what goes wrong (default slog.Default()). Clients do not set the rate of its lines.
	Log *slog.Logger
}

// A Page shows a [Store] in a browser and by REST: see docs/mail.md. It is an http.Handler that may wait for the
// disk, and whose waits hold a goroutine each.
type Page struct {
	store   *Store
	faults  *Faults
	options PageOptions
	log     *slog.Logger
	mux     http.ServeMux
	cross   http.CrossOriginProtection
	session string // the cookie's value
	feed    web.Events
	cancel  func()
	left    context.Context // done when nobody is to wait any more
	leave   context.CancelFunc

	mu      sync.Mutex
	pending *time.Timer // of news that are not told yet
	closed  bool
}

//go:embed page
var pageFiles embed.FS

// newsEvery is how often a page is told that something has changed: as often as a person sees.
const newsEvery = 100 * time.Millisecond

// NewPage makes a page of a store and of the rules that its server asks.
func NewPage(s *Store, f *Faults, o PageOptions) *Page {
	p := &Page{store: s, faults: f, options: o}
	p.left, p.leave = context.WithCancel(context.Background())
	log := o.Log
	if log == nil {
		log = slog.Default()
	}
	p.log, _ = sample.New(log, nil) // there is no end at which to tell what was left out earlier
	p.feed.Retry, p.feed.Log = time.Second, log
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	p.session = hex.EncodeToString(b[:])
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /{$}":                            p.file("page/index.html", "text/html; charset=utf-8"),
		"GET /app.js":                         p.file("page/app.js", "text/javascript; charset=utf-8"),
		"GET /app.css":                        p.file("page/app.css", "text/css; charset=utf-8"),
		"GET /icon.svg":                       p.file("page/icon.svg", "image/svg+xml"),
		"GET /events":                         p.feed.ServeHTTP,
		"GET /api/v1/info":                    p.info,
		"GET /api/v1/messages":                p.list,
		"DELETE /api/v1/messages":             p.deleteAll,
		"GET /api/v1/messages/{id}":           p.show,
		"DELETE /api/v1/messages/{id}":        p.delete,
		"PUT /api/v1/messages/{id}/read":      p.markRead,
		"GET /api/v1/messages/{id}/raw":       p.raw,
		"GET /api/v1/messages/{id}/html":      p.html,
		"GET /api/v1/messages/{id}/parts/{n}": p.part,
		"GET /api/v1/wait":                    p.wait,
		"GET /api/v1/faults":                  p.getFaults,
		"PUT /api/v1/faults":                  p.putFaults,
		"DELETE /api/v1/faults":               p.deleteFaults,
	} {
		p.mux.HandleFunc(pattern, h)
	}
	p.cancel = s.Watch(p.changed)
	return p
}

// Leave lets all go who wait for mail, with 503, and those who would: for a server that shuts down.
func (p *Page) Leave() { p.leave() }

// Close is Leave, and ends the streams of news. The store is its owner's to close.
func (p *Page) Close() {
	p.leave()
	p.cancel()
	p.mu.Lock()
	p.closed = true
	if p.pending != nil {
		p.pending.Stop()
	}
	p.mu.Unlock()
	p.feed.Close()
}

// changed tells pages that there is news, soon. What the news are they ask for by themselves, so that a thousand mails
// are one event.
func (p *Page) changed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending != nil || p.closed || p.feed.Len() == 0 { // a page asks when its stream has begun
		return
	}
	p.pending = time.AfterFunc(newsEvery, func() {
		p.mu.Lock()
		p.pending = nil
		p.mu.Unlock()
		// A page that misses it hears the next; ErrClosed is nobody's loss.
		_ = p.feed.SendLatest("", "changed", web.Event{Name: "changed", Data: "{}"})
	})
}

// pagePolicy is the Content-Security-Policy of the page: what it has comes from here, and nobody frames it.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP checks who asks, and from where, and answers.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-DNS-Prefetch-Control", "off")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", pagePolicy)
	api := strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/events"
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case !p.knows(r.Host):
		fail(w, http.StatusMisdirectedRequest, "this is not the host that the request names")
		return
	case p.cross.Check(r) != nil, api && site != "" && site != "same-origin" && site != "none":
		fail(w, http.StatusForbidden, "a page of another origin asks")
		return
	}
	if p.options.Token != "" && !p.mayEnter(w, r) {
		return
	}
	p.mux.ServeHTTP(w, r)
}

// knows reports whether a Host names us. An IP address does, for no name of DNS stands between.
func (p *Page) knows(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") ||
		slices.ContainsFunc(p.options.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// cookieName is that of the page's cookie; it has the name of its path's and its host's page alone.
const cookieName = "plexor-mail"

// mostToken bounds a form, in bytes.
const mostToken = 4 << 10

// mayEnter reports whether the token or the cookie is right. Else it has answered.
func (p *Page) mayEnter(w http.ResponseWriter, r *http.Request) bool {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && same(token, p.options.Token) {
		return true
	}
	if c, err := r.Cookie(cookieName); err == nil && same(c.Value, p.session) {
		return true
	}
	switch {
	case r.Method == http.MethodGet && (r.URL.Path == "/app.css" || r.URL.Path == "/icon.svg"):
		return true // they are no secret
	case r.Method == http.MethodPost && r.URL.Path == "/login":
		r.Body = http.MaxBytesReader(w, r.Body, mostToken)
		if same(r.PostFormValue("token"), p.options.Token) {
			http.SetCookie(w, &http.Cookie{Name: cookieName, Value: p.session, Path: "/", HttpOnly: true,
				Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		p.send(w, "page/login.html")
	case r.Method == http.MethodGet && r.URL.Path == "/":
		w.WriteHeader(http.StatusUnauthorized)
		p.send(w, "page/login.html")
	default:
		w.Header().Set("WWW-Authenticate", `Bearer realm="mail"`)
		fail(w, http.StatusUnauthorized, "a token is needed")
	}
	return false
}

// same compares in a time that tells nothing.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// file serves one of ours.
func (p *Page) file(name, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		p.send(w, name)
	}
}

func (p *Page) send(w http.ResponseWriter, name string) {
	b, err := pageFiles.ReadFile(name)
	if err != nil {
		panic(err) // it was not built in
	}
	_, _ = w.Write(b) // a client that has gone needs none
}

// answer sends JSON.
func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // the type is wrong
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that has gone needs none
}

// fail sends an error.
func fail(w http.ResponseWriter, status int, why string) {
	answer(w, status, struct {
		Error string `json:"error"`
	}{why})
}

// failed answers with what went wrong in the store.
func (p *Page) failed(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, ErrNoMail):
		fail(w, http.StatusNotFound, "there is no mail with this id")
	case errors.Is(err, ErrTooMany), errors.Is(err, ErrClosed):
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, err.Error())
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // nobody is there
	default:
		p.log.Error("mailcatch: a request failed", "path", r.URL.Path, "err", err)
		fail(w, http.StatusInternalServerError, "the mail can't be read; the log says why")
	}
}
