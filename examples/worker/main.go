// Command worker answers each line with its SHA-256, hashed so many times over that it
// takes a while. The hashing would hold up the loop and everybody on it, so coro.Await
// hands it to a goroutine: the handler waits, and the loop serves others.
//
//	go run ./examples/worker                     # on tcp://127.0.0.1:9000; stop it with Ctrl-C
//	printf 'ping\n' | nc -N 127.0.0.1 9000       # prints pong
//	printf 'work\n' | nc -N 127.0.0.1 9000       # prints 4b22e3257d…
package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
)

// rounds make it about half a second.
const rounds = 5_000_000

// slow is what blocks; a query to a database or a file would do as well.
func slow(line []byte) ([32]byte, error) {
	sum := sha256.Sum256(line)
	for range rounds {
		sum = sha256.Sum256(sum[:])
	}
	return sum, nil
}

func answer(c *plexor.Conn, line []byte) error {
	if string(line) == "ping" {
		return c.Send([]byte("pong"))
	}
	sum, err := coro.Await(c.Context(), func() ([32]byte, error) { return slow(line) })
	if err != nil {
		return err // the connection broke meanwhile
	}
	return c.Send(fmt.Appendf(nil, "%x", sum))
}

func main() {
	srv := &plexor.Server{Loops: 1}
	addr, err := srv.Open(append(os.Args, "tcp://127.0.0.1:9000")[1], plexor.Messages(frame.Line{Max: 1000}, answer))
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
