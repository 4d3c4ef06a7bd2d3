//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/load"
	"github.com/plexor-go/plexor/web"
)

// serverNames are the servers in the order of the table: net/http, Plexor with handlers on goroutines and inline, and
// the others.
var serverNames = []string{"net/http", "goroutines", "inline", "fasthttp", "nginx"}

// greeting is what all of them answer, as text/plain.
const greeting = "Hello, World!"

// maxWait is how long they let a head take: longer than anything here lasts.
const maxWait = 10 * time.Minute

// nginxConf answers with greeting too: by one worker, as the others have one loop or are on one core.
const nginxConf = `daemon off; worker_processes 1; pid DIR/pid; error_log DIR/log;
events { worker_connections 65536; }
http {
	access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; client_header_timeout 600s;
	client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u;
	scgi_temp_path DIR/s;
	server { listen 127.0.0.1:PORT; location / { default_type text/plain; return 200 "` + greeting + `"; } }
}
`

// beServer is the process of a server: it prints its address, then its CPU time in nanoseconds for each line that it
// reads, until its input ends.
func beServer(name, driver string, secure bool) error {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, greeting)
	})
	var addr net.Addr
	switch name {
	case "goroutines", "inline":
		var marked http.Handler = h
		if name == "inline" {
			marked = web.Inline(h)
		}
		var err error
		srv := &plexor.Server{Driver: driver, Loops: 1}
		scheme := "tcp"
		if secure {
			scheme = "tls"
		}
		if addr, err = srv.Open(scheme+"://127.0.0.1:0", web.Handler(marked, web.Options{HeadTime: maxWait})); err != nil {
			return err
		}
	case "net/http", "fasthttp":
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		addr = ln.Addr()
		if secure {
			cert, _, err := plexor.NewSelfSigned("127.0.0.1")
			if err != nil {
				return err
			}
			ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}})
		}
		if name == "net/http" {
			go http.Serve(ln, h)
		} else {
			srv := &fasthttp.Server{Logger: log.New(io.Discard, "", 0), Handler: func(c *fasthttp.RequestCtx) {
				c.SetContentType("text/plain")
				c.SetBodyString(greeting)
			}}
			go srv.Serve(ln)
		}
	default:
		return fmt.Errorf("no server %q", name)
	}
	fmt.Println(addr)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var ru syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
			return fmt.Errorf("getrusage: %w", err)
		}
		fmt.Println(ru.Utime.Nano() + ru.Stime.Nano())
	}
	return nil
}

// beLoad is the process of the load: for each line that it reads it loads the server once, and prints how many requests
// were answered and how many a second.
func beLoad(address string, conns, depth int, d time.Duration) error {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		res, err := load.Run(context.Background(), load.Options{Address: "tcp://" + address, HTTP: &load.HTTP{},
			Conns: conns, Depth: depth, Duration: d})
		if err != nil {
			return err
		}
		if res.LostConns > 0 || res.NotConnected > 0 {
			return fmt.Errorf("%d connections were lost, and %d not made", res.LostConns, res.NotConnected)
		}
		fmt.Println(res.Messages, res.Rate)
	}
	return nil
}
