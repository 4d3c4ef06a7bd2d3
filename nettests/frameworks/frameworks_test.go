// Package frameworks serves what is written for gin, chi, echo and net/http's ServeMux by package web and by net/http,
// and holds that a client can't tell which it was.
package frameworks

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/web"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// patience is what nothing reaches when all is well.
const patience = time.Minute

// ours serves h on a server of Plexor's until the test ends, and returns its URL.
func ours(t *testing.T, srv *plexor.Server, scheme string, h http.Handler) string {
	t.Helper()
	a, err := srv.Open(scheme+"://127.0.0.1:0", web.Handler(h, web.Options{Log: slog.New(slog.DiscardHandler)}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return map[string]string{"tcp": "http", "tls": "https"}[scheme] + "://" + a.String()
}

// working are the drivers that work here.
func working() (names []string) {
	for _, d := range loop.Drivers() {
		if d.Err == nil {
			names = append(names, d.Name)
		}
	}
	return names
}

// bare serves h by net/http.
func bare(t *testing.T, h http.Handler) string {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

func client(t *testing.T) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// A request is a row of what is asked. The header is name, value, ….
type request struct {
	method, path, body string
	header             []string
}

var asJSON = []string{"Content-Type", "application/json", "Accept-Encoding", "gzip"}

func requests(t *testing.T) []request {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "a name.bin")
	if err == nil {
		_, err = io.WriteString(part, big)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return []request{
		{"GET", "/users/plexor", "", nil}, {"GET", "/users/a%20b%2Fc?q=1", "", nil}, {"HEAD", "/users/plexor", "", nil},
		{"DELETE", "/users/plexor", "", nil}, {"GET", "/nothing/here", "", nil}, {"GET", "//users//x", "", nil},
		{"POST", "/items", `{"name":"cable","price":3}`, asJSON}, {"POST", "/items", `{"price":`, asJSON},
		{"POST", "/items", "", asJSON}, {"POST", "/items", "a=b", []string{"Content-Type", "text/plain"}},
		{"OPTIONS", "/items", "", []string{"Origin", "http://example.com", "Access-Control-Request-Method", "POST"}},
		{"GET", "/private/", "", nil}, {"GET", "/private/", "", []string{"Authorization", "Basic bWU6c2VjcmV0"}},
		{"GET", "/private", "", nil},
		{"GET", "/files/hello.txt", "", nil}, {"HEAD", "/files/hello.txt", "", nil}, {"GET", "/files/big.bin", "", nil},
		{"GET", "/files/big.bin", "", []string{"Range", "bytes=1000-1999"}},
		{"GET", "/files/big.bin", "", []string{"Range", "bytes=999999999-"}}, {"GET", "/files/none", "", nil},
		{"GET", "/files/hello.txt", "", []string{"If-Modified-Since", "Mon, 06 May 2024 07:08:09 GMT"}},
		{"GET", "/files/../apps_test.go", "", nil}, {"GET", "/stream", "", nil},
		{"GET", "/stream", "", []string{"Accept-Encoding", "gzip"}}, {"HEAD", "/stream", "", nil},
		{"POST", "/upload", form.String(), []string{"Content-Type", w.FormDataContentType()}},
		{"POST", "/upload", "no form", []string{"Content-Type", w.FormDataContentType()}},
		{"GET", "/panic", "", nil}, {"PUT", "/body", big, nil}, {"POST", "/body", "x", []string{"Expect", "100-continue"}},
		{"POST", "/body", "", nil}, {"GET", "/socket", "", nil},
	}
}

// asked is an answer as a text, without what depends on the moment. A body that is compressed is left so.
func (q *request) asked(t *testing.T, c *http.Client, base string) string {
	req, err := http.NewRequestWithContext(t.Context(), q.method, base+q.path, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(q.header); i += 2 {
		req.Header.Set(q.header[i], q.header[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		return "error: " + strings.ReplaceAll(err.Error(), base, "")
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d %v %v\n", res.Status, res.ContentLength, res.TransferEncoding, res.Close)
	for _, name := range slices.Sorted(maps.Keys(res.Header)) {
		if name != "Date" {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.ReplaceAll(strings.Join(res.Header[name], ", "), base, ""))
		}
	}
	fmt.Fprintf(&b, "\n%d %v %s", len(body), err, body)
	return b.String()
}

// TestFrameworks asks each service the same by net/http and by ours, on goroutines and inline, on each driver, one of
// the two over TLS, through httputil's proxy before ours, and from ours to the service behind: all answers are equal.
func TestFrameworks(t *testing.T) {
	for name, app := range apps {
		t.Run(name, func(t *testing.T) {
			h := app(t, nil)
			c, all := client(t), requests(t)
			theirs := bare(t, h)
			var want []string
			for _, q := range all {
				want = append(want, q.asked(t, c, theirs))
			}
			compare := func(way, base string) {
				t.Run(way, func(t *testing.T) {
					for i, q := range all {
						if got := q.asked(t, c, base); got != want[i] {
							t.Errorf("%s %s %.60q %q: by ours %.300q\nby net/http %.300q", q.method, q.path, q.body, q.header,
								got, want[i])
						}
					}
				})
			}
			for i, d := range working() { // both ways, and both schemes, on each
				srv := func() *plexor.Server { return &plexor.Server{Driver: d, Loops: 1} }
				schemes := []string{"tcp", "tls"}
				compare(d+"/goroutines", ours(t, srv(), schemes[i%2], h))
				compare(d+"/inline", ours(t, srv(), schemes[1-i%2], web.Inline(h)))
			}
			sub, err := url.Parse(ours(t, &plexor.Server{}, "tcp", h))
			if err != nil {
				t.Fatal(err)
			}
			proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(sub) },
				Transport: c.Transport, ErrorLog: log.New(io.Discard, "", 0)}
			compare("behind a proxy", bare(t, proxy))
			compare("behind a proxy of ours", ours(t, &plexor.Server{}, "tcp", proxy))
		})
	}
}

// TestSteps holds that an event is with the client before the next one is made.
func TestSteps(t *testing.T) {
	for name, app := range apps {
		for _, scheme := range []string{"tcp", "tls"} {
			t.Run(name+"/"+scheme, func(t *testing.T) {
				step := make(chan bool, 1)
				step <- true // gin sends its head with the first event
				res, err := client(t).Get(ours(t, &plexor.Server{}, scheme, app(t, step)) + "/step")
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if kind := res.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
					t.Errorf("the type is %q", kind)
				}
				in := bufio.NewScanner(res.Body)
				for n := range 3 {
					for _, want := range []string{"event:message", "data:now", ""} {
						if !in.Scan() || in.Text() != want {
							t.Fatalf("event %d: %q, %v, want %q", n, in.Text(), in.Err(), want)
						}
					}
					if n < 2 {
						step <- true
					}
				}
				close(step)
				if in.Scan() || in.Err() != nil {
					t.Errorf("at the end: %q, %v", in.Text(), in.Err())
				}
			})
		}
	}
}

// TestUpgrader has gorilla's Upgrader take connections over, and its Dialer talk to it.
func TestUpgrader(t *testing.T) {
	for name, app := range apps {
		h := app(t, nil)
		for i, d := range working() {
			scheme := []string{"tcp", "tls"}[i%2]
			t.Run(name+"/"+d+"/"+scheme, func(t *testing.T) {
				base := ours(t, &plexor.Server{Driver: d, Loops: 1}, scheme, h)
				dialer := websocket.Dialer{EnableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
				c, _, err := dialer.Dial(strings.Replace(base, "http", "ws", 1)+"/socket", nil)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				_ = c.SetReadDeadline(time.Now().Add(patience))
				for _, m := range []string{"", "hello", big} {
					if err := c.WriteMessage(websocket.BinaryMessage, []byte(m)); err != nil {
						t.Fatal(err)
					}
					if _, got, err := c.ReadMessage(); string(got) != m || err != nil {
						t.Fatalf("%d bytes came back, and %v; want %d", len(got), err, len(m))
					}
				}
				_ = c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
				if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
					t.Errorf("the end is %v", err)
				}
			})
		}
	}
}
