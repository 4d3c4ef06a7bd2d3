package web_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/web"
)

// Many fetches at once on one thread, each in a coroutine, over eight connections at most.
func ExampleClient() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.URL.Path)
	}))
	defer srv.Close()

	err := plexor.Run(context.Background(), func(ctx context.Context) error {
		transport, err := web.NewClient(ctx, web.ClientOptions{ConnsPerHost: 8, Time: time.Minute})
		if err != nil {
			return err
		}
		defer transport.Close()
		client := &http.Client{Transport: transport} // redirects, cookies and the rest
		bytes := 0                                   // all of it belongs to the loop: no lock
		err = coro.Group(ctx, func(g *coro.Tasks) error {
			for i := range 1000 {
				g.Go(func(ctx context.Context) error {
					url := fmt.Sprintf("%s/%03d", srv.URL, i)
					req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
					if err != nil {
						return err
					}
					resp, err := client.Do(req)
					if err != nil {
						return err
					}
					defer resp.Body.Close()
					n, err := io.Copy(io.Discard, resp.Body)
					bytes += int(n)
					return err
				})
			}
			return nil
		})
		fmt.Println(bytes, "bytes")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// 4000 bytes
}

// A client that goes through a proxy, one that the environment names, and one that has a Unix socket for a server.
func ExampleClientOptions() {
	proxy := &url.URL{Scheme: "https", User: url.UserPassword("me", "secret"), Host: "proxy.example:8443"}
	byProxy := web.ClientOptions{Proxy: http.ProxyURL(proxy)}
	byEnvironment := web.ClientOptions{Proxy: http.ProxyFromEnvironment}
	bySocket := web.ClientOptions{Dial: func(ctx context.Context, _ string) (*plexor.Conn, error) {
		return plexor.Dial(ctx, "unix:///var/run/docker.sock")
	}}
	for _, o := range []web.ClientOptions{byProxy, byEnvironment, bySocket} {
		err := plexor.Run(context.Background(), func(ctx context.Context) error {
			transport, err := web.NewClient(ctx, o)
			if err != nil {
				return err
			}
			defer transport.Close()
			fmt.Println(transport.Stats().Conns, "connections before the first request")
			return nil
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 0 connections before the first request
	// 0 connections before the first request
	// 0 connections before the first request
}
