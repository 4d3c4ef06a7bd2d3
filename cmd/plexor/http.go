package main

import (
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/plexor-go/plexor/web"
)

// httpOptions are the options of an address of the service http, besides those of sockets and of tls://.
var httpOptions = []string{"root", "list", "access", "metrics"}

// httpService is the name of the service that speaks HTTP.
const httpService = "http"

// A site is what the service http serves on one address.
type site struct {
	root    *os.Root // nil: the page that shows the request
	list    bool
	access  string // off, common or combined
	metrics string // a path; "": none
	log     *web.AccessLog
}

// parseSite reads the options, and opens the root.
func (t target) parseSite() (*site, error) {
	q := t.addr.Query
	s := &site{access: q.Get("access"), metrics: q.Get("metrics")}
	switch {
	case t.addr.Scheme == "udp":
		return nil, fmt.Errorf("http is served on tcp, tls and unix addresses")
	case t.codec != nil:
		return nil, fmt.Errorf("option frame: http has frames of its own")
	case s.metrics != "" && !strings.HasPrefix(s.metrics, "/"):
		return nil, fmt.Errorf("option metrics: want a path, such as /metrics")
	}
	switch s.access {
	case "", "off", "common", "combined":
	default:
		return nil, fmt.Errorf("option access: %q is none of off, common and combined", s.access)
	}
	switch q.Get("list") {
	case "", "no":
	case "yes":
		s.list = true
	default:
		return nil, fmt.Errorf("option list: want yes or no")
	}
	if s.list && !q.Has("root") {
		return nil, fmt.Errorf("option list: it is of no use without root")
	}
	if q.Has("root") {
		root, err := os.OpenRoot(q.Get("root"))
		if err != nil {
			return nil, fmt.Errorf("option root: %w", err)
		}
		s.root = root // until the process ends
	}
	return s, nil
}

// handler is what is served, and with which options.
func (s *site) handler(log *slog.Logger) (http.Handler, web.Options) {
	o := web.Options{Log: log}
	h := web.Inline(http.HandlerFunc(showRequest))
	if s.root != nil {
		h = web.Files(s.root, web.FilesOptions{List: s.list, Precompressed: true, Log: log})
	}
	if s.access == "common" || s.access == "combined" {
		format := web.AccessCommon
		if s.access == "combined" {
			format = web.AccessCombined
		}
		s.log = web.NewAccessLog(log, format)
		o = s.log.With(o)
	}
	if s.metrics == "" {
		return h, o
	}
	counters := new(web.Counters)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == s.metrics {
			counters.ServeHTTP(w, r)
		} else {
			h.ServeHTTP(w, r)
		}
	}), counters.With(o)
}

// close is for when nothing is served any more.
func (s *site) close() {
	if s.log != nil {
		s.log.Flush()
	}
	if s.root != nil {
		_ = s.root.Close() // it was read alone
	}
}

// mostShown is how much of a request's body is shown, in bytes.
const mostShown = 64 << 10

// showRequest answers with the request as it came: as text, or as a page for who prefers that.
func showRequest(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, mostShown))
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone, or sends no HTTP
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\nHost: %s\n", r.Method, r.RequestURI, r.Proto, r.Host)
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range r.Header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	fmt.Fprintf(&b, "\n%s", body)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, b.String()) // a client that is gone hears nothing more
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'")
	_, _ = io.WriteString(w, "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n"+
		"<title>The request</title>\n<pre>\n"+html.EscapeString(b.String())+"</pre>\n") // likewise
}
