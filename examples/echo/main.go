// Command echo sends back what it is sent: each connection is a coroutine that copies.
//
//	go run ./examples/echo                       # on tcp://127.0.0.1:9000; stop it with Ctrl-C
//	printf hello | nc -N 127.0.0.1 9000          # prints hello
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
)

func main() {
	srv := new(plexor.Server)
	echo := plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) })
	addr, err := srv.Open(append(os.Args, "tcp://127.0.0.1:9000")[1], echo)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	log.Printf("listening on %s://%s", addr.Network(), addr)
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
