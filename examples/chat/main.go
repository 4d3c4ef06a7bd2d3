// Command chat is a room: each line that somebody says goes to everybody else. Whoever reads too slowly is dropped, so
// that nobody has to wait for them, and nobody's lines pile up in memory.
//
//	go run ./examples/chat                       # on tcp://127.0.0.1:9000; stop it with Ctrl-C
//	printf 'hello\n' | nc -N 127.0.0.1 9000      # says hello, and goes; without printf it stays, and listens
//
// One loop runs it all, so the room is a plain map without a lock: two handlers of a loop never run at once, and what is
// done between two waits is done undisturbed.
package main

import (
	"context"
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

// backlog is how many lines may wait for one member. The lines are of 1000 bytes at most, so that is a bound in bytes.
const backlog = 100

var lines = frame.Line{Max: 1000}

// A member has a queue of lines to be sent.
type member struct {
	*plexor.Conn
	queue *coro.Queue[string]
}

type room map[*member]bool

// say puts a line into the queue of everybody else. A queue that is full ends its member.
func (r room) say(from *member, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	for m := range r {
		if m != from && m.queue.TryPut(line) != nil {
			delete(r, m)
			log.Printf("%s is too slow: dropped", m)
			m.Abort() // its coroutines' Read and Write fail
		}
	}
}

// join serves one member: a coroutine sends what is in the queue, and this one reads.
func (r room) join(c *plexor.Conn) {
	m := &member{c, coro.NewQueue[string](backlog)}
	r[m] = true
	r.say(m, "* %s came", m)
	coro.Group(c.Context(), func(g *coro.Tasks) error {
		g.Go(m.send)
		in, err := frame.NewReader(c, lines)
		if err != nil {
			return err
		}
		for line, err := range in.All() {
			if err != nil {
				return err
			}
			r.say(m, "%s: %s", m, line)
			coro.Yield(g.Context()) // the others send this one before the next
		}
		m.queue.Close()
		return nil
	})
	delete(r, m)
	r.say(m, "* %s went", m)
}

// send ends when the queue is closed, or the connection.
func (m *member) send(ctx context.Context) error {
	out, err := frame.NewWriter(m, frame.Line{Max: 2 * lines.Max})
	for err == nil {
		var line string
		if line, err = m.queue.Get(ctx); err == nil {
			_, err = out.Write([]byte(line))
		}
	}
	return err
}

func main() {
	srv := &plexor.Server{Loops: 1}
	addr, err := srv.Open(append(os.Args, "tcp://127.0.0.1:9000")[1], plexor.GreeterFunc(make(room).join))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on %s://%s", addr.Network(), addr)
	if err := drain(srv); err != nil {
		log.Fatal(err)
	}
}

// drain waits for SIGINT or SIGTERM, and lets what is under way come to its end.
func drain(srv *plexor.Server) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	<-ctx.Done()
	stop() // a second signal ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return srv.Shutdown(ctx)
}
