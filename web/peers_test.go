package web_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/web"
)

// program runs a client that nobody here wrote, or skips where it is not installed.
func program(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("there is no %s", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// TestCurl has curl ask in its ways.
func TestCurl(t *testing.T) {
	body := strings.Repeat("x", 100_000)
	for way, h := range ways(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %d %v", r.Method, r.Proto, len(b), err)
	}) {
		t.Run(way, func(t *testing.T) {
			srv := &plexor.Server{}
			plain := "http://" + serve(t, srv, "tcp://127.0.0.1:0", h, web.Options{}) + "/"
			secure := "https://" + serve(t, &plexor.Server{}, "tls://127.0.0.1:0", h, web.Options{}) + "/"
			for _, c := range []struct {
				want string
				args []string
			}{
				{"GET HTTP/1.1 0 <nil>", []string{plain}},
				{"GET HTTP/1.0 0 <nil>", []string{"--http1.0", plain}},
				{"GET HTTP/1.1 0 <nil>GET HTTP/1.1 0 <nil>", []string{plain, plain}},
				{"POST HTTP/1.1 100000 <nil>", []string{"-d", body, plain}},
				{"POST HTTP/1.1 100000 <nil>", []string{"-H", "Expect: 100-continue", "-d", body, plain}},
				{"POST HTTP/1.1 100000 <nil>", []string{"-H", "Transfer-Encoding: chunked", "-d", body, plain}},
				{"GET HTTP/2.0 0 <nil>", []string{"--http2-prior-knowledge", plain}},
				{"GET HTTP/1.1 0 <nil>", []string{"--http2", plain}}, // by Upgrade, which we do not take
				{"GET HTTP/2.0 0 <nil>", []string{"-k", "--http2", secure}},
				{"POST HTTP/1.1 100000 <nil>", []string{"-k", "--http1.1", "-d", body, secure}},
			} {
				if got := program(t, "curl", append([]string{"-sS"}, c.args...)...); got != c.want {
					t.Errorf("%.60q: %q, want %q", c.args, got, c.want)
				}
			}
		})
	}
}

// TestWrk has many connections ask at once.
func TestWrk(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") }
	for way, h := range ways(h) {
		t.Run(way, func(t *testing.T) {
			addr := serve(t, &plexor.Server{}, "tcp://127.0.0.1:0", h, web.Options{})
			out := program(t, "wrk", "-t1", "-c50", "-d1s", "http://"+addr+"/")
			if strings.Contains(out, "Non-2xx") || strings.Contains(out, "Socket errors") ||
				!strings.Contains(out, "requests in") {
				t.Error(out)
			}
		})
	}
}

// TestReverseProxy has httputil's proxy, as it is, stand before a server of ours, with events that come one by one.
func TestReverseProxy(t *testing.T) {
	for _, driver := range drivers(t) {
		next := make(chan bool)
		events := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				w.(http.Flusher).Flush()
				<-next
			}
		}
		back := serve(t, &plexor.Server{Driver: driver}, "tcp://127.0.0.1:0", http.HandlerFunc(events), web.Options{})
		to, _ := url.Parse("http://" + back)
		proxy := httputil.NewSingleHostReverseProxy(to)
		tr := new(http.Transport)
		proxy.Transport = tr
		nc, in := open(t, serve(t, &plexor.Server{Driver: driver}, "tcp://127.0.0.1:0", proxy, web.Options{}))
		if _, err := io.WriteString(nc, plainGet); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(res.Body)
		for i := range 3 {
			for lines.Scan() && lines.Text() == "" {
			}
			if want := fmt.Sprintf("data: %d", i); lines.Text() != want {
				t.Errorf("%s: %q, want %q", driver, lines.Text(), want)
			}
			next <- true
		}
		nc.Close()
		tr.CloseIdleConnections()
	}
}
