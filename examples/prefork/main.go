// Command prefork serves echo by worker processes, which share one listening socket: a worker that crashes takes its
// own connections along and no others, and another is started in its place.
//
//	go run ./examples/prefork                    # on tcp://127.0.0.1:9000; stop it with Ctrl-C
//	printf 'hello\n' | nc -N 127.0.0.1 9000      # prints worker …, process …: hello
//
// What it does at a signal:
//
//	kill -HUP  PID    new workers, one by one; no connection is refused
//	kill -TTIN PID    one worker more (TTOU: one fewer)
//	kill -USR2 PID    a second master, from the program's file as it is by then; TERM then ends the first one
//	kill -TERM PID    the end, after what is under way
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/proc"
	"github.com/plexor-go/plexor/sock"
)

// serve is what each worker does: it answers lines, and says who it is.
func serve(w *proc.Worker) error {
	answer := func(c *plexor.Conn, line []byte) error {
		return c.Send(fmt.Appendf(nil, "worker %d, process %d: %s", w.Number, os.Getpid(), line))
	}
	return w.Serve(&plexor.Server{Loops: 1, Handler: plexor.Messages(frame.Line{Max: 1000}, answer)})
}

func main() {
	proc.Register("serve", serve)
	proc.Main() // a worker goes no further
	m := &proc.Master{
		Entry:   "serve",
		Workers: 2,
		Addrs:   []string{append(os.Args, "tcp://127.0.0.1:9000")[1]},
		OnReady: func(addrs []sock.Addr, _ string) { log.Printf("listening on %s", addrs[0]) },
	}
	if err := m.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
