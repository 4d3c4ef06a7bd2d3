//go:build linux || darwin || freebsd

package loop_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// holdTheLoop is what a report must name.
func holdTheLoop(d time.Duration) { time.Sleep(d) }

// A handler that holds its loop is reported once, while it does, with the stack that names the line; each one anew.
func TestStall(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		stalls, goOn := make(chan loop.Stall, 100), make(chan struct{})
		r := run(t, loop.Options{Driver: driver, Stall: 50 * time.Millisecond, OnStall: func(s loop.Stall) { stalls <- s }})
		k := r.connect("tcp", sock.Options{}, &watcher{data: func(*loop.Conn, []byte) {
			holdUntil(func() bool { return len(stalls) > 0 })
			<-goOn
		}})
		for n := range 2 {
			k.peer.send([]byte("x"))
			eventually(t, "the report", func() bool { return len(stalls) > 0 })
			goOn <- struct{}{}
			s := <-stalls
			if s.Loop != r.Loop || s.For < 50*time.Millisecond || s.For > 10*time.Second {
				t.Errorf("reported for %v (the right loop: %v)", s.For, s.Loop == r.Loop)
			}
			if !strings.Contains(s.Stack, "holdUntil") || !strings.Contains(s.Stack, "suite_stall_test.go:") {
				t.Errorf("the stack names no line of the handler:\n%s", s.Stack)
			}
			r.turns(1)
			if len(stalls) > 0 {
				t.Errorf("reported twice:\n%s", (<-stalls).Stack)
			}
			if got := r.Stats().Stalls; got != int64(n+1) {
				t.Errorf("%d stalls counted: want %d", got, n+1)
			}
		}
		k.do(func() { k.c.Abort() })
	})
}

// holdUntil holds the loop until it is known.
func holdUntil(known func() bool) {
	for end := time.Now().Add(patience); !known() && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
}

// A buffer that a log may be written to from any goroutine.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Without OnStall the report goes to the log; with a negative limit there is none.
func TestStallIsLogged(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		var log lockedBuffer
		r := run(t, loop.Options{Driver: driver, Stall: 20 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))})
		r.do(func() { holdUntil(func() bool { return strings.Contains(log.String(), "holdUntil") }) })
		text := log.String()
		if strings.Count(text, "\n") != 1 || strings.Contains(text, `\n`) || strings.Contains(text, "goroutine ") {
			t.Errorf("the report is not one line of frames:\n%s", text)
		}
		for _, want := range []string{` at="`, ` stack.1="time.Sleep (`,
			` stack.2="github.com/plexor-go/plexor/loop_test.holdUntil (`, `suite_stall_test.go:`} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s in\n%s", want, text)
			}
		}
		never := run(t, loop.Options{Driver: driver, Stall: -1, OnStall: func(loop.Stall) {
			t.Error("reported, though it is switched off")
		}})
		never.do(func() { holdTheLoop(150 * time.Millisecond) })
		if n := never.Stats().Stalls; n != 0 {
			t.Errorf("%d stalls counted though it is switched off", n)
		}
	})
}

// A loop with nothing to do uses no processor: neither it nor its monitor turns.
func TestIdleLoopSleeps(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, Stall: 4 * time.Millisecond, OnStall: func(loop.Stall) {}})
		ks := []*link{
			r.connect("tcp", sock.Options{}, &watcher{}), // idle
			// paused, with input
			r.connect("tcp", sock.Options{}, &watcher{opened: func(c *loop.Conn) { c.Pause() }}),
			r.connect("tcp", sock.Options{}, &watcher{opened: func(c *loop.Conn) { fill(t, c, 1<<20) }}), // full
			// half-closed
			r.connect("tcp", sock.Options{}, &watcher{eof: func(*loop.Conn) {}}),
			// with a deadline
			r.connect("tcp", sock.Options{}, &watcher{opened: func(c *loop.Conn) { c.SetDeadline(r.Now().Add(1e15)) }}),
		}
		r.packets("127.0.0.1", sock.Options{})
		ks[1].peer.send([]byte("nobody reads this"))
		ks[2].peer.send([]byte("nor this"))
		ks[3].peer.closeWrite()
		r.until("EOF", func() bool { return ks[3].w.sawEOF })
		const watched, most = 150 * time.Millisecond, 5 * time.Millisecond
		used := time.Hour
		for range 10 { // the rest of the process may have something to do, as to collect garbage
			if used = min(used, cpu(watched)); used < most {
				break
			}
		}
		if used >= most {
			t.Errorf("%v of processor in %v with nothing to do", used, watched)
		}
		for _, k := range ks {
			k.do(func() { k.c.Abort() })
		}
	})
}
