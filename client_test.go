package plexor_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/loop"
)

// eachClient runs f with a Client on each driver, closes it, and looks for what is left.
func eachClient(t *testing.T, f func(t *testing.T, c *plexor.Client)) {
	eachDriver(t, func(t *testing.T, driver string) {
		shared := isBeside(t)
		var before leak.Inventory
		if !shared {
			before = leak.Take()
		}
		c := &plexor.Client{Driver: driver, Loops: 2, Dialer: plexor.Dialer{TLS: &tls.Config{InsecureSkipVerify: true}}}
		t.Cleanup(func() { // behind those of f
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if shared {
				return // what is there is that of other tests too
			}
			if left := before.Left(); left != "" {
				t.Error(left)
			}
		})
		f(t, c)
	})
}

// echoed has the other end echo a word, twice: before and after the dial's context has ended.
func echoed(t *testing.T, dial func(ctx context.Context) (net.Conn, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := dial(ctx)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Error(err)
	}
	send(t, c, "hello")
	want(t, c, "hello")
	cancel()
	send(t, c, "again")
	want(t, c, "again")
	closeWrite(t, c)
	wantEnd(t, c)
}

// TestClient: addresses of both kinds, and a connection that outlives the context that it was dialled with.
func TestClient(t *testing.T) {
	tcp := echoOn(t, "tcp", "127.0.0.1:0")
	path := filepath.Join(t.TempDir(), "sock")
	echoOn(t, "unix", path)
	eachClient(t, func(t *testing.T, c *plexor.Client) {
		srv := &plexor.Server{Handler: plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) })}
		secure, err := srv.Open("tls://127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		for _, address := range []string{"tcp://" + tcp.String(), "tcp://localhost:" + portOf(tcp), "unix://" + path,
			"tls://" + secure.String()} {
			echoed(t, func(ctx context.Context) (net.Conn, error) { return c.Dial(ctx, address) })
		}
		for _, a := range [][2]string{{"tcp", tcp.String()}, {"tcp4", "localhost:" + portOf(tcp)}, {"unix", path},
			{"tls", secure.String()}} {
			echoed(t, func(ctx context.Context) (net.Conn, error) { return c.DialContext(ctx, a[0], a[1]) })
		}
	})
}

// TestClientErrors: what can't be dialled is told as a *DialError.
func TestClientErrors(t *testing.T) {
	eachClient(t, func(t *testing.T, c *plexor.Client) {
		for _, a := range [][2]string{{"udp", "127.0.0.1:1"}, {"tcp", "127.0.0.1"}, {"tcp", "127.0.0.1:http"},
			{"tcp6", "127.0.0.1:1"}, {"tcp4", "[::1]:1"},
			{"tcp", "127.0.0.1:0"}, {"unix", "/nowhere/sock"}} {
			conn, err := c.DialContext(t.Context(), a[0], a[1])
			if _, ok := errors.AsType[*plexor.DialError](err); !ok || conn != nil {
				t.Errorf("%s %s: %v, %v", a[0], a[1], conn, err)
			}
		}
		if _, err := c.Dial(t.Context(), "udp://127.0.0.1:1"); err == nil {
			t.Error("udp: no error")
		}
		ended, cancel := context.WithCancelCause(t.Context())
		why := errors.New("no longer wanted")
		cancel(why)
		if _, err := c.Dial(ended, "tcp://127.0.0.1:1"); !errors.Is(err, why) {
			t.Errorf("a context that has ended: %v", err)
		}
	})
}

// TestClientTimeout: a dial that gets no answer ends with its context, as a timeout of net.Error, and leaves nothing.
func TestClientTimeout(t *testing.T) {
	beside(t)
	hole := blackHole(t, portOf(echoOn(t, "tcp", "127.0.0.1:0")))
	eachClient(t, func(t *testing.T, c *plexor.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := c.Dial(ctx, "tcp://"+hole)
		if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Dial: %v, want a timeout", err)
		}
		ended := make(chan error, 1)
		go func() { _, err := c.Dial(t.Context(), "tcp://"+hole); ended <- err }()
		time.Sleep(10 * time.Millisecond) // most likely it is under way then; if not, it fails alike
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := receive(t, ended, "the dial"); !errors.Is(err, plexor.ErrClientClosed) {
			t.Errorf("a dial under way at Close: %v, want ErrClientClosed", err)
		}
	})
}

// TestClientClose: what was written to a connection that was closed arrives, those that are open are reset.
func TestClientClose(t *testing.T) {
	eachClient(t, func(t *testing.T, c *plexor.Client) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		pair := func() (near, far net.Conn) {
			near, err := c.Dial(t.Context(), "tcp://"+ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if far, err = ln.Accept(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { far.Close() })
			return near, far
		}
		done, doneFar := pair()
		left, leftFar := pair()
		send(t, done, "the last word")
		if err := done.Close(); err != nil {
			t.Error(err)
		}
		waits := make(chan error, 1)
		go func() { _, err := left.Read(make([]byte, 1)); waits <- err }()
		var g sync.WaitGroup
		g.Go(func() {
			if got, err := io.ReadAll(doneFar); err != nil || string(got) != "the last word" {
				t.Errorf("the peer of one that was closed read %q, %v", got, err)
			}
			doneFar.Close()
		})
		for range 2 {
			g.Go(func() {
				if err := c.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
		g.Wait()
		if err := receive(t, waits, "Read"); !errors.Is(err, plexor.ErrClientClosed) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("a Read that waits: %v, want ErrClientClosed", err)
		}
		if _, err := left.Write([]byte("?")); !errors.Is(err, plexor.ErrClientClosed) {
			t.Errorf("Write: %v, want ErrClientClosed", err)
		}
		if _, err := leftFar.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("the peer of one that was open: %v, want a reset", err)
		}
		if _, err := c.Dial(t.Context(), "tcp://"+ln.Addr().String()); !errors.Is(err, plexor.ErrClientClosed) {
			t.Errorf("Dial after Close: %v, want ErrClientClosed", err)
		}
	})
}

// TestClientHTTP: net/http's client with no more than DialContext, several requests at once.
func TestClientHTTP(t *testing.T) {
	beside(t)
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			eachClient(t, func(t *testing.T, c *plexor.Client) {
				web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/stream" {
						for i := range 100 {
							fmt.Fprintln(w, i)
							w.(http.Flusher).Flush()
						}
						return
					}
					p, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					w.Header().Set("X-Proto", r.Proto)
					w.Write(p)
				}))
				if web.EnableHTTP2 = proto == "HTTP/2.0"; web.EnableHTTP2 {
					web.StartTLS()
				} else {
					web.Start()
				}
				defer web.Close()
				transport := &http.Transport{DialContext: c.DialContext, ForceAttemptHTTP2: true,
					TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
				defer transport.CloseIdleConnections()
				askHTTP(t, &http.Client{Transport: transport, Timeout: patience}, web.URL, proto)
			})
		})
	}
}

// TestBubbleClient: a Client that was started outside a bubble is used inside it, with contexts of the bubble.
func TestBubbleClient(t *testing.T) {
	tcp := echoOn(t, "tcp", "127.0.0.1:0")
	eachClient(t, func(t *testing.T, c *plexor.Client) {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			for range 3 {
				echoed(t, func(ctx context.Context) (net.Conn, error) { return c.Dial(ctx, "tcp://"+tcp.String()) })
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := c.Dial(ctx, "tcp://"+tcp.String()); !errors.Is(err, context.Canceled) {
				t.Errorf("a context that has ended: %v", err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	})
}

// A Client gives net/http's client, and any library that takes a function to dial by, connections of its loops.
func ExampleClient() {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
	}))
	defer web.Close()

	client := new(plexor.Client)
	defer client.Close()
	transport := &http.Transport{DialContext: client.DialContext}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(web.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Printf("%s %v\n", body, err)
	// Output: hello <nil>
}

// TestClientCloseHeld: a callback of TLS that holds its loop keeps neither Close nor the dial that called it.
func TestClientCloseHeld(t *testing.T) {
	beside(t)
	eachDriver(t, func(t *testing.T, driver string) {
		t.Parallel() // it waits for two seconds
		srv := &plexor.Server{Handler: plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) })}
		addr, err := srv.Open("tls://127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		released, holds := make(chan struct{}), make(chan struct{})
		defer close(released)
		config := &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error {
			close(holds)
			holdUntil(released)
			return nil
		}}
		c := &plexor.Client{Driver: driver, Loops: 1, Log: slog.New(slog.DiscardHandler), Dialer: plexor.Dialer{TLS: config}}
		dialled := make(chan error, 1)
		go func() { _, err := c.Dial(t.Context(), "tls://"+addr.String()); dialled <- err }()
		receive(t, holds, "the callback")
		ends := make(chan error, 2)
		for range 2 {
			go func() { ends <- c.Close() }()
		}
		for range 2 {
			err := recvError(t, ends)
			if held, ok := errors.AsType[*loop.HeldError](err); !ok || !strings.Contains(held.At, "holdUntil") {
				t.Errorf("Close: %v, want a *loop.HeldError that names holdUntil", err)
			}
		}
		if err := recvError(t, dialled); !errors.Is(err, plexor.ErrClientClosed) {
			t.Errorf("the dial: %v, want ErrClientClosed", err)
		}
	})
}
