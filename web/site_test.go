package web_test

import (
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

// bigFile is a file of site, of 1 MiB.
var bigFile = strings.Repeat("0123456789abcdef", 1<<16)

// site is what clients and proxies that nobody here wrote ask for: bodies both ways, streams, trailers, files, a
// WebSocket.
func site(t *testing.T, inline bool) http.Handler {
	t.Helper()
	root, _ := tree(t, map[string]string{"big": bigFile, "a.txt": "plain", "a.txt.gz": gzipped(t, "plain")})
	mux := http.NewServeMux()
	handle := func(path string, h http.HandlerFunc) {
		if inline {
			mux.Handle(path, web.Inline(h))
		} else {
			mux.Handle(path, h)
		}
	}
	// The body comes back, as it comes, with what there was before and behind it.
	handle("/echo", func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", r.Header.Get("Content-Type"))
		h.Set("X-Asked", r.Method+" "+r.Proto)
		if r.ContentLength > 0 {
			h.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
		}
		_ = http.NewResponseController(w).EnableFullDuplex()
		if _, err := io.Copy(w, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	// What came of the body: its length and its hash.
	handle("/sum", func(w http.ResponseWriter, r *http.Request) {
		hash := sha256.New()
		n, err := io.Copy(hash, r.Body)
		fmt.Fprintf(w, "%s %s %d %x %v", r.Method, r.Proto, n, hash.Sum(nil)[:4], err)
	})
	handle("/stream", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 5 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
		}
	})
	handle("/trailers", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "hello")
		w.(http.Flusher).Flush()
		w.Header().Set("X-Sum", "42")
	})
	handle("/none", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	handle("/redirect", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "yes", Path: "/"})
		http.Redirect(w, r, "/cookie", http.StatusFound)
	})
	handle("/cookie", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Cookie"))
	})
	mux.Handle("/files/", http.StripPrefix("/files", web.Files(root, web.FilesOptions{Precompressed: true})))
	mux.Handle("/socket", &websocket.Sockets[int]{
		Options: websocket.Options{Deflate: &websocket.Deflate{}},
		Message: func(s *websocket.Socket, _ int, m websocket.Message) error { return s.Send(m) },
	})
	return mux
}

// summed is what /sum of site answers.
func summed(method, proto, body string) string {
	sum := sha256.Sum256([]byte(body))
	return fmt.Sprintf("%s %s %d %x <nil>", method, proto, len(body), sum[:4])
}

func gzipped(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// eachSite runs f with the addresses of a site, plain and over TLS: on each driver, with handlers in both ways. That is
// in CI; else it is two of these, and each has every second case of f's, since a client is a process that takes its
// time to start: has reports whether case i is for this site.
func eachSite(t *testing.T, f func(t *testing.T, has func(i int) bool, plain, secure string)) {
	ways := []string{"goroutines", "inline"}
	for i, driver := range drivers(t) {
		for j, way := range ways {
			if !portion.Everywhere() && j != (i+turnOf(t))%2 {
				continue
			}
			t.Run(driver+"/"+way, func(t *testing.T) {
				t.Parallel()
				h := site(t, way == "inline")
				has := func(n int) bool { return portion.Everywhere() || n%2 == i }
				f(t, has, serve(t, &plexor.Server{Driver: driver, Loops: 2}, "tcp://127.0.0.1:0", h, web.Options{}),
					serve(t, &plexor.Server{Driver: driver, Loops: 2}, "tls://127.0.0.1:0", h, web.Options{}))
			})
		}
	}
}
