package plexor_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/loop"
)

// TestHTTPClient: net/http's client over Dial and Shared, in plain text, over TLS of ours, and over its own, HTTP/2
// included, against net/http's server on package net and on Server.Listen.
func TestHTTPClient(t *testing.T) {
	beside(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	})
	for r, row := range []struct {
		name, scheme, proto string
		ours                bool // the TLS is that of Dial
	}{
		{"plain", "http", "HTTP/1.1", false},
		{"TLS of Dial", "https", "HTTP/1.1", true},
		{"TLS of net/http", "https", "HTTP/1.1", false},
		{"TLS of net/http, HTTP/2", "https", "HTTP/2.0", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				for i, on := range []string{"net", "Listen"} {
					if !portion.Everywhere() && (driver == drivers()[0]) != (r%2 == i) {
						continue // with each kind of server on one driver
					}
					t.Run("server on "+on, func(t *testing.T) {
						web := httptest.NewUnstartedServer(handler)
						web.EnableHTTP2 = row.proto == "HTTP/2.0"
						if on == "Listen" {
							_, ln := place{driver, "tcp://127.0.0.1:0"}.listen(t, &plexor.Server{})
							web.Listener.Close()
							web.Listener = ln
						}
						if row.scheme == "https" {
							web.StartTLS()
						} else {
							web.Start()
						}
						defer web.Close()
						dialled, stop := dialler(t, driver, row.ours)
						defer stop()
						transport := &http.Transport{ForceAttemptHTTP2: row.proto == "HTTP/2.0",
							TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
						if row.ours {
							transport.DialTLSContext = dialled
						} else {
							transport.DialContext = dialled
						}
						defer transport.CloseIdleConnections()
						askHTTP(t, &http.Client{Transport: transport, Timeout: patience}, web.URL, row.proto)
					})
				}
			})
		})
	}
}

// dialler connects by plexor.Dial on a loop of its own, and gives the connections to goroutines.
func dialler(t *testing.T, driver string, secure bool) (dial func(ctx context.Context, network, addr string) (net.Conn,
	error), stop func()) {
	t.Helper()
	l, err := loop.New(loop.Options{Driver: driver})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	d := &plexor.Dialer{TLS: &tls.Config{InsecureSkipVerify: true}}
	scheme := "tcp://"
	if secure {
		scheme = "tls://"
	}
	return func(ctx context.Context, _, addr string) (net.Conn, error) {
			return coro.Call(ctx, coro.On(l), "dial", func(ctx context.Context) (net.Conn, error) {
				c, err := d.Dial(ctx, scheme+addr)
				if err != nil {
					return nil, err
				}
				return c.Shared(), nil
			})
		}, func() {
			if err := errors.Join(l.Close(), <-ended); err != nil {
				t.Error(err)
			}
		}
}

// askHTTP makes requests, several at once and one after the other on the same connection.
func askHTTP(t *testing.T, client *http.Client, url, proto string) {
	body := random(300_000, 3)
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			for range 3 {
				resp, err := client.Post(url+"/echo", "", bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !bytes.Equal(got, body) || resp.Header.Get("X-Proto") != proto {
					t.Errorf("echo: %d bytes by %s, %v; want %d by %s", len(got), resp.Header.Get("X-Proto"), err, len(body), proto)
				}
			}
		})
	}
	g.Wait()
	resp, err := client.Get(url + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || !bytes.HasSuffix(got, []byte("98\n99\n")) {
		t.Errorf("stream: %d bytes, %v", len(got), err)
	}
}
