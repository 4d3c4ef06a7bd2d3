package web_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/web"
)

// clientPatience is how long a test waits for what should come soon.
const clientPatience = 60 * time.Second

// withClient runs f on a loop with a Client.
func withClient(t *testing.T, o web.ClientOptions, f func(ctx context.Context, c *web.Client) error) {
	t.Helper()
	withClientOn(t, "auto", o, f)
}

func withClientOn(t *testing.T, driver string, o web.ClientOptions, f func(context.Context, *web.Client) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientPatience)
	defer cancel()
	if err := plexor.RunOn(ctx, loop.Options{Driver: driver}, func(ctx context.Context) error {
		c, err := web.NewClient(ctx, o)
		if err != nil {
			return err
		}
		defer c.Close()
		return f(ctx, c)
	}); err != nil {
		t.Error(err)
	}
}

// fetch makes a request and returns the body.
func fetch(ctx context.Context, client *http.Client, method, url string, body io.Reader) (
	string, *http.Response, error,
) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return "", nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", nil, err
	}
	b, err := io.ReadAll(resp.Body)
	return string(b), resp, errors.Join(err, resp.Body.Close())
}

// echoHandler sends back what came, and on other paths what they say.
func echoHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Method", r.Method)
		w.Header().Set("X-Peer", r.RemoteAddr)
		w.Header().Set("X-Proto", r.Proto)
		b, _ := io.ReadAll(r.Body) // net/http reads no more of some bodies once the answer has begun
		_, _ = w.Write(b)
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		http.Redirect(w, r, "/cookie", http.StatusFound)
	})
	mux.HandleFunc("/cookie", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Cookie"))
	})
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			_, _ = io.WriteString(w, "plain")
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		for range 64 {
			_, _ = z.Write(make([]byte, 16<<10))
		}
		_ = z.Close()
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begun")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/silent", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	return mux
}

// TestClient: http.Client with redirects and cookies on each driver, in plain text, over TLS and over HTTP/2.
func TestClient(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 20_000)
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		for _, proto := range []string{"http", "https", "h2"} {
			t.Run(d.Name+", "+proto, func(t *testing.T) {
				srv := httptest.NewUnstartedServer(echoHandler())
				srv.EnableHTTP2 = proto == "h2"
				if proto == "http" {
					srv.Start()
				} else {
					srv.StartTLS()
				}
				defer srv.Close()
				o := web.ClientOptions{HTTP2: proto == "h2"}
				if proto != "http" {
					o.TLS = srv.Client().Transport.(*http.Transport).TLSClientConfig
				}
				withClientOn(t, d.Name, o, func(ctx context.Context, c *web.Client) error {
					jar, _ := cookiejar.New(nil)
					client := &http.Client{Transport: c, Jar: jar}
					for i, row := range []struct {
						method, path string
						body         io.Reader
						want         string
					}{
						{"GET", "/", nil, ""}, {"POST", "/", strings.NewReader("abc"), "abc"},
						{"POST", "/", strings.NewReader(big), big},
						{"PUT", "/", struct{ io.Reader }{strings.NewReader(big)}, big},
						{"GET", "/redirect", nil, "a=b"}, {"GET", "/gzip", nil, string(make([]byte, 1<<20))}, {"HEAD", "/", nil, ""},
					} {
						got, resp, err := fetch(ctx, client, row.method, srv.URL+row.path, row.body)
						if err != nil {
							return fmt.Errorf("%d: %w", i, err)
						}
						if got != row.want || (resp.TLS != nil) != (proto != "http") || (resp.ProtoMajor == 2) != (proto == "h2") {
							t.Errorf("%d: %d bytes, %s, TLS %v", i, len(got), resp.Proto, resp.TLS != nil)
						}
					}
					return nil
				})
			})
		}
	}
}

// TestClientMany: many requests at once, over fewer connections, and never more of them than the bounds.
func TestClientMany(t *testing.T) {
	const requests = 400
	var open, most atomic.Int32
	srv := httptest.NewUnstartedServer(echoHandler())
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			n := open.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
		case http.StateClosed:
			open.Add(-1)
		}
	}
	srv.Start()
	defer srv.Close()
	for _, o := range []web.ClientOptions{{ConnsPerHost: 7}, {Conns: 5}, {}} {
		most.Store(open.Load())
		withClient(t, o, func(ctx context.Context, c *web.Client) error {
			client := &http.Client{Transport: c}
			return coro.Group(ctx, func(g *coro.Tasks) error {
				for i := range requests {
					g.Go(func(ctx context.Context) error {
						text := fmt.Sprint("request ", i)
						got, _, err := fetch(ctx, client, "POST", srv.URL, strings.NewReader(text))
						if err == nil && got != text {
							err = fmt.Errorf("%q, want %q", got, text)
						}
						return err
					})
				}
				return nil
			})
		})
		if bound := int32(o.ConnsPerHost + o.Conns); bound > 0 && most.Load() > bound {
			t.Errorf("%d connections, of %d", most.Load(), bound)
		}
	}
}

// TestClientOrder: requests that wait for a connection get one in their order, and one that is cancelled makes no hole.
func TestClientOrder(t *testing.T) {
	srv := httptest.NewServer(echoHandler())
	defer srv.Close()
	withClient(t, web.ClientOptions{ConnsPerHost: 1}, func(ctx context.Context, c *web.Client) error {
		client := &http.Client{Transport: c}
		var order []int
		first, cancel := context.WithCancel(ctx)
		defer cancel()
		gone, leave := context.WithCancel(ctx)
		defer leave()
		return coro.Group(ctx, func(g *coro.Tasks) error {
			g.Go(func(context.Context) error {
				_, _, err := fetch(first, client, "GET", srv.URL+"/silent", nil)
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				return nil
			})
			for i := range 6 {
				g.Go(func(ctx context.Context) error {
					if i == 2 {
						if _, _, err := fetch(gone, client, "GET", srv.URL, nil); !errors.Is(err, context.Canceled) {
							t.Error(err)
						}
						return nil
					}
					_, _, err := fetch(ctx, client, "GET", srv.URL, nil)
					if order = append(order, i); len(order) == 5 && fmt.Sprint(order) != "[0 1 3 4 5]" {
						t.Error(order)
					}
					return err
				})
			}
			if err := coro.Sleep(ctx, 5*time.Millisecond); err != nil { // whether they have begun or not, the order holds
				return err
			}
			leave()
			cancel()
			return nil
		})
	})
}

// TestClientIdle: a connection that rests serves the next request; one that its server has closed, or on which bytes
// come that nobody asked for, does not.
func TestClientIdle(t *testing.T) {
	srv := httptest.NewServer(echoHandler())
	defer srv.Close()
	withClient(t, web.ClientOptions{}, func(ctx context.Context, c *web.Client) error {
		client := &http.Client{Transport: c}
		var peers []string
		for i := range 3 {
			if i == 2 {
				srv.CloseClientConnections()
			}
			_, resp, err := fetch(ctx, client, "POST", srv.URL, nil) // POST is not sent again
			if err != nil {
				return err
			}
			peers = append(peers, resp.Header.Get("X-Peer"))
			for c.Stats().Idle != 1 {
				if err := coro.Sleep(ctx, time.Millisecond); err != nil {
					return err
				}
			}
			if i < 1 {
				continue
			}
			srv.CloseClientConnections()
			for c.Stats().Idle != 0 { // it is noticed
				if err := coro.Sleep(ctx, time.Millisecond); err != nil {
					return err
				}
			}
		}
		if peers[0] != peers[1] || peers[1] == peers[2] {
			t.Error(peers)
		}
		return nil
	})
}

// TestClientUnasked: bytes behind an answer, come when they may, are never the answer to the next request.
func TestClientUnasked(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	late := make(chan net.Conn, 2)
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = nc.Read(make([]byte, 4096))
				_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				late <- nc
			}()
		}
	}()
	withClient(t, web.ClientOptions{}, func(ctx context.Context, c *web.Client) error {
		client := &http.Client{Transport: c}
		for range 2 {
			got, _, err := fetch(ctx, client, "GET", "http://"+ln.Addr().String(), nil)
			if err != nil || got != "ok" {
				return fmt.Errorf("%q, %w", got, err)
			}
			nc := <-late
			_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			defer nc.Close()
			if err := coro.Sleep(ctx, 20*time.Millisecond); err != nil { // for it to come; if it does not, nothing is tested
				return err
			}
		}
		return nil
	})
}

// TestClientRetry: what may be sent again is, when a connection that rested ends before an answer, and nothing else.
func TestClientRetry(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var conns atomic.Int32
	go func() { // each connection answers once, and ends when it is asked again
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			go func() {
				defer nc.Close()
				for i := range 2 {
					if _, err := nc.Read(make([]byte, 4096)); err != nil || i == 1 {
						return
					}
					_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}()
		}
	}()
	for _, row := range []struct {
		method string
		body   io.Reader
		key    bool
		no     bool
		again  bool
	}{
		{method: "GET", again: true}, {method: "GET", no: true}, {method: "POST"}, {method: "POST", key: true, again: true},
		{method: "PUT", body: strings.NewReader("x"), again: true},
		{method: "PUT", body: struct{ io.Reader }{strings.NewReader("x")}},
	} {
		conns.Store(0)
		withClient(t, web.ClientOptions{NoRetry: row.no}, func(ctx context.Context, c *web.Client) error {
			for i := range 2 {
				var body io.Reader
				if i == 1 {
					body = row.body
				}
				req, err := http.NewRequestWithContext(ctx, row.method, "http://"+ln.Addr().String(), body)
				if err != nil {
					return err
				}
				if row.key {
					req.Header.Set("Idempotency-Key", "1")
				}
				resp, err := c.RoundTrip(req)
				if i == 0 || row.again {
					if err != nil {
						return fmt.Errorf("%+v: %w", row, err)
					}
					_, _ = io.ReadAll(resp.Body)
				} else if err == nil {
					t.Errorf("%+v: it was sent again", row)
				}
			}
			return nil
		})
		if want := map[bool]int32{true: 2, false: 1}[row.again]; conns.Load() != want {
			t.Errorf("%+v: %d connections", row, conns.Load())
		}
	}
}

// TestClientCancels: a context that anybody cancels, http.Client's Timeout, and the Client's own times, end a request
// wherever it waits; and the connection's place is free again.
func TestClientCancels(t *testing.T) {
	srv := httptest.NewServer(echoHandler())
	defer srv.Close()
	why := errors.New("why")
	for _, path := range []string{"/silent", "/slow"} {
		for _, how := range []string{"cause", "Timeout", "Time", "HeadTime", "task"} {
			if path == "/slow" && how == "HeadTime" {
				continue // it has a head
			}
			o := web.ClientOptions{ConnsPerHost: 1}
			switch how {
			case "Time":
				o.Time = 20 * time.Millisecond
			case "HeadTime":
				o.HeadTime = 20 * time.Millisecond
			}
			withClient(t, o, func(ctx context.Context, c *web.Client) error {
				client := &http.Client{Transport: c}
				if how == "Timeout" {
					client.Timeout = 20 * time.Millisecond
				}
				run := func(ctx context.Context) error {
					reqCtx, cancel := context.WithCancelCause(context.Background())
					defer cancel(nil)
					if how == "cause" {
						time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
					}
					_, _, err := fetch(reqCtx, client, "GET", srv.URL+path, nil)
					return err
				}
				var err error
				if how == "task" {
					err = coro.Timeout(ctx, 20*time.Millisecond, run)
				} else {
					err = run(ctx)
				}
				var ne net.Error
				if err == nil || how == "cause" && !errors.Is(err, why) ||
					how != "cause" && how != "task" && !(errors.As(err, &ne) && ne.Timeout()) {
					t.Errorf("%s, %s: %v", path, how, err)
				}
				// One that was opened too late, and has carried nothing, rests.
				for s := c.Stats(); s.Conns > s.Idle; s = c.Stats() {
					if err := coro.Sleep(ctx, time.Millisecond); err != nil {
						return err
					}
				}
				if how == "Time" || how == "HeadTime" {
					return nil // they hold for the next request too, and this machine may be slow
				}
				client.Timeout = 0
				if got, _, err := fetch(ctx, client, "POST", srv.URL, strings.NewReader("x")); err != nil || got != "x" {
					t.Errorf("%s, %s: the next: %q, %v", path, how, got, err)
				}
				return nil
			})
		}
	}
}
