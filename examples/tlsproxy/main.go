// Command tlsproxy takes connections over TLS, with a certificate that it makes for itself unless the address names one
// (tls://127.0.0.1:8443?cert=cert.pem&key=key.pem), and hands what they say to a server that speaks plain TCP:
//
//	go run ./examples/tlsproxy tls://127.0.0.1:8443 tcp://127.0.0.1:8080    # stop it with Ctrl-C
//	go run ./examples/echo tcp://127.0.0.1:8080 &
//	printf hello | go run ./cmd/plexor dial --insecure tls://127.0.0.1:8443   # prints hello
//
// Either side may end its half of the conversation and still listen: the end is passed on, and not more.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// pass copies one direction until its end, and passes that on.
func pass(dst, src *plexor.Conn) error {
	if _, err := io.Copy(dst, src); err != nil {
		return err
	}
	return dst.CloseWrite()
}

// proxy serves one connection, with another one to the server behind. The first error ends both directions.
func proxy(in *plexor.Conn, server string) error {
	ctx, cancel := coro.WithTimeout(in.Context(), 10*time.Second)
	out, err := plexor.Dial(ctx, server)
	cancel()
	if err != nil {
		return err
	}
	err = coro.Group(in.Context(), func(g *coro.Tasks) error {
		g.Go(func(context.Context) error { return pass(out, in) })
		g.Go(func(context.Context) error { return pass(in, out) })
		return nil
	})
	if err != nil {
		out.Abort()
		return err
	}
	return out.Close()
}

func main() {
	args := append(os.Args, "tls://127.0.0.1:8443", "tcp://127.0.0.1:8080")
	srv := &plexor.Server{}
	// A greeter, for it may be the other side that speaks first.
	addr, err := srv.Open(args[1], plexor.GreeterFunc(func(c *plexor.Conn) {
		if err := proxy(c, args[2]); err != nil {
			log.Printf("%s: %v", c, err)
			c.Abort()
		}
	}))
	if err != nil {
		log.Fatal(err)
	}
	_, fingerprint := srv.SelfSigned()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	log.Printf("listening on tls://%s %s", addr, fingerprint)
	if err := drain(ctx, srv); err != nil {
		log.Fatal(err)
	}
}

// drain waits for SIGINT or SIGTERM, and lets what is under way come to its end.
func drain(signalled context.Context, srv *plexor.Server) error {
	<-signalled.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return srv.Shutdown(ctx)
}
