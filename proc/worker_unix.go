//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/sock"
)

var (
	errOrphan = errors.New("the master has ended")
	errTold   = errors.New("the master said to stop")
	errTerm   = errors.New("SIGTERM")

	// errEnding is no failure: the worker was told to end before it had begun to serve.
	errEnding = errors.New("the worker is to end")
)

// A control is a worker's end of the pipe to its master.
type control struct {
	file *os.File
	mu   sync.Mutex // of enc
	enc  *json.Encoder
}

func (c *control) say(m message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.enc.Encode(m)
}

// work is a worker's process from Main on, and returns its exit code.
func work(j *job) int {
	file := os.NewFile(uintptr(j.Control), "control") // non-blocking from its birth
	w := &Worker{control: &control{file: file, enc: json.NewEncoder(file)}, more: make(chan struct{})}
	w.ctx, w.end = context.WithCancelCause(context.Background())
	for i := range j.Sockets {
		w.sockets = append(w.sockets, sock.Socket(firstFD+i))
	}
	dec := json.NewDecoder(file)
	var hello message
	if err := dec.Decode(&hello); err != nil || hello.Kind != msgHello {
		return 1 // the master died before it could say what there is to do
	}
	w.Number, w.Config, w.Addrs = hello.Number, hello.Config, hello.Addrs
	w.tickets.set(hello.Tickets)
	log.SetPrefix(fmt.Sprintf("worker %d: %s", w.Number, log.Prefix()))
	w.signals(hello.Limit)
	go w.listen(dec, hello.Limit)
	f := entry(j.Entry)
	if f == nil {
		return w.fail(fmt.Errorf("proc: nothing is registered as %q in this program: call proc.Register before proc.Main",
			j.Entry))
	}
	if err := f(w); err != nil && !errors.Is(err, errEnding) {
		return w.fail(err)
	}
	return 0
}

// fail tells the master why the worker ends, or, if there is none any more, everybody.
func (w *Worker) fail(err error) int {
	_ = w.control.file.SetWriteDeadline(time.Now().Add(lastWords)) // without one it takes as long as it takes
	if w.control.say(message{Kind: msgFailed, Text: err.Error()}) != nil {
		log.Print(err)
	}
	return 1
}

// signals takes SIGTERM as the master's word. What a terminal sends to all of its processes, and what is meant for the
// master, is the master's matter; SIGQUIT does what Go does with it, print all goroutines.
func (w *Worker) signals(drain time.Duration) {
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU)
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		w.told(Retire, drain, errTerm) // the others serve on
	}()
}

// listen does what the master says, and ends the worker when the master has ended. (PR_SET_PDEATHSIG would tell of the
// end of the thread that started us, which Go may end at any time.)
func (w *Worker) listen(dec *json.Decoder, drain time.Duration) {
	for {
		var m message
		if err := dec.Decode(&m); err != nil {
			w.told(Drain, drain, errOrphan)
			return
		}
		switch m.Kind {
		case msgStop:
			w.told(m.Mode, m.Limit, errTold)
		case msgTickets:
			w.tickets.set(m.Tickets)
		}
	}
}

// told stops the worker, and sees to it that it comes to its end.
func (w *Worker) told(mode Mode, limit time.Duration, why error) {
	w.stop(mode, limit, why)
	w.dropSockets()
	if mode == Retire {
		limit *= 2
	}
	if mode == Quit {
		limit = 0
	}
	time.AfterFunc(limit+killGrace/2, func() {
		_ = w.fail(fmt.Errorf("it did not come to its end within %v (%w)", limit+killGrace/2, why))
		os.Exit(1)
	})
}

// Ready tells the master that the worker serves. status is for [Master.OnReady]. Before that the master waits, and
// kills a worker that takes longer than ReadyTimeout.
func (w *Worker) Ready(status string) error {
	if err := w.control.say(message{Kind: msgReady, Text: status}); err != nil {
		return fmt.Errorf("proc: tell the master that the worker is ready: %w", err)
	}
	return nil
}

// Bind gives the descriptor that is bound to one of Addrs, which must be named as it stands there: it is what
// plexor.Server.Bind wants. It is non-blocking, shared with the other workers and the master, and the caller's to
// close: only when all of them have does a socket listen no more. So each can be had once, and none when the worker is
// to end: an entry that returns that error ends in good order.
func (w *Worker) Bind(addr string) (sock.Socket, error) {
	i := slices.Index(w.Addrs, addr)
	if i < 0 {
		return sock.None, fmt.Errorf("proc: worker %d has no socket for %s: Master.Addrs has %q", w.Number, addr, w.Addrs)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mode != "" {
		return sock.None, fmt.Errorf("proc: worker %d: %w", w.Number, errEnding)
	}
	for ; i < len(w.Addrs); i++ { // an address with port 0 may be there twice
		if s := w.sockets[i]; w.Addrs[i] == addr && s != sock.None {
			w.sockets[i] = sock.None
			return s, nil
		}
	}
	return sock.None, fmt.Errorf("proc: worker %d: the socket for %s was taken already", w.Number, addr)
}

// dropSockets closes what nobody has taken.
func (w *Worker) dropSockets() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, s := range w.sockets {
		if s != sock.None {
			_ = s.Close() // it was never used
			w.sockets[i] = sock.None
		}
	}
}

// isPackets reports whether an address is one of datagrams.
func isPackets(addr string) bool {
	a, _, err := parse(addr)
	return err == nil && a.Scheme == "udp"
}
