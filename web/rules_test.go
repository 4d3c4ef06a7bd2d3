package web_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/web"
)

// raw is all that comes back for requests, until the server closes.
func raw(t *testing.T, addr, requests string) string {
	t.Helper()
	nc, r := open(t, addr)
	if _, err := io.WriteString(nc, requests); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// last is a request whose answer is the connection's last.
func last(method, path string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
}

// onRules serves h both ways.
func onRules(t *testing.T, h http.HandlerFunc, f func(t *testing.T, addr string)) {
	for way, h := range ways(h) {
		t.Run(way, func(t *testing.T) { f(t, serve(t, &plexor.Server{}, "tcp://127.0.0.1:0", h, web.Options{})) })
	}
}

// TestNoBareCR has a handler that sets fields with line ends in them: none of them is sent.
func TestNoBareCR(t *testing.T) {
	onRules(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X"] = []string{"a\rb\nc\r\nd\x00e", "f\r\n g"}
		w.Header()["Y\r\nZ"] = []string{"h"}
	}, func(t *testing.T, addr string) {
		head, _, _ := strings.Cut(raw(t, addr, last("GET", "/")), "\r\n\r\n")
		if !strings.Contains(head, "\r\nX: a b c  d e\r\nX: f   g\r\n") || strings.Contains(head, "Z") {
			t.Errorf("%q", head)
		}
	})
}

// TestVersion has a client of HTTP/1.0: the version is ours, and what it does not know is not sent.
func TestVersion(t *testing.T) {
	onRules(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Transfer-Encoding", "chunked")
		fmt.Fprint(w, "a")
		w.(http.Flusher).Flush()
		fmt.Fprint(w, "b")
	}, func(t *testing.T, addr string) {
		for _, fields := range []string{"", "Connection: keep-alive\r\n"} {
			got := raw(t, addr, "GET / HTTP/1.0\r\n"+fields+"\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(got, "\r\n\r\nab") ||
				strings.Contains(got, "Transfer-Encoding") || !strings.Contains(got, "\r\nDate: ") ||
				!strings.Contains(got, "\r\nConnection: close\r\n") {
				t.Errorf("%q", got)
			}
		}
	})
}

func TestAbsoluteTarget(t *testing.T) {
	onRules(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, " ", r.URL.Path, " ", r.Header["Host"])
	},
		func(t *testing.T, addr string) {
			if got := raw(t, addr, last("GET", "http://y:1/p")); !strings.HasSuffix(got, "\r\n\r\ny:1 /p []") {
				t.Errorf("%q", got)
			}
		})
}

func TestUnknownStatus(t *testing.T) {
	onRules(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(799) }, func(t *testing.T, addr string) {
		if got := raw(t, addr, last("GET", "/")); !strings.HasPrefix(got, "HTTP/1.1 799 ") {
			t.Errorf("%q", got)
		}
	})
}

// TestCodings has handlers that set Transfer-Encoding and Content-Length.
func TestCodings(t *testing.T) {
	onRules(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1")
		w.Header().Set("Transfer-Encoding", strings.TrimPrefix(r.URL.Path, "/"))
		fmt.Fprint(w, "a")
	}, func(t *testing.T, addr string) {
		for path, want := range map[string]int{"/chunked": 1, "/gzip": 2} {
			got := raw(t, addr, last("GET", path))
			if strings.Contains(got, "Content-Length") || strings.Count(got, "Transfer-Encoding: ") != want ||
				!strings.HasSuffix(got, "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\na\r\n0\r\n\r\n") &&
					!strings.HasSuffix(got, "\r\n\r\n1\r\na\r\n0\r\n\r\n") {
				t.Errorf("%s: %q", path, got)
			}
		}
	})
}

// TestNoFraming has answers that have no content, whatever the handler says.
func TestNoFraming(t *testing.T) {
	onRules(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.Header().Set("Content-Length", "3")
		w.Header().Set("Transfer-Encoding", "chunked")
		w.WriteHeader(status)
		if _, err := io.WriteString(w, "abc"); err == nil {
			t.Errorf("%d: a body was taken", status)
		}
	}, func(t *testing.T, addr string) {
		for _, status := range []int{204, 304} {
			got := raw(t, addr, last("GET", fmt.Sprintf("/%d", status)))
			if strings.Contains(got, "Length") || strings.Contains(got, "Transfer") || !strings.HasSuffix(got, "\r\n\r\n") {
				t.Errorf("%d: %q", status, got)
			}
		}
	})
}

func TestTrailersApart(t *testing.T) {
	onRules(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		fmt.Fprint(w, r.Header["X-T"], r.Trailer["X-T"])
	}, func(t *testing.T, addr string) {
		got := raw(t, addr, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+
			"Transfer-Encoding: chunked\r\n\r\n0\r\nX-T: a\r\n\r\n")
		if !strings.HasSuffix(got, "\r\n\r\n[] [a]") {
			t.Errorf("%q", got)
		}
	})
}

// TestCloseOfHandler has the handler say close: what follows is not processed.
func TestCloseOfHandler(t *testing.T) {
	onRules(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		if r.URL.Path != "/" {
			t.Error("a request behind the last was processed")
		}
	}, func(t *testing.T, addr string) {
		if got := raw(t, addr, plainGet+last("GET", "/after")); strings.Count(got, "HTTP/1.1 ") != 1 ||
			strings.Count(got, "Connection: close") != 1 {
			t.Errorf("%q", got)
		}
	})
}

func TestHead(t *testing.T) {
	onRules(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "abc") }, func(t *testing.T, addr string) {
		got := raw(t, addr, last("HEAD", "/"))
		if !strings.Contains(got, "\r\nContent-Length: 3\r\n") || !strings.HasSuffix(got, "\r\n\r\n") {
			t.Errorf("%q", got)
		}
	})
}
