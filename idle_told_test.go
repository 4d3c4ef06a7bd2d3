package plexor_test

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
)

type idleHook = func(*plexor.Conn, plexor.Idle) error

// idleKinds are handlers of lines: each is answered with itself, but those that begin with a dash.
var idleKinds = map[string]func(hook idleHook) plexor.Handler{
	"messages": func(idleHook) plexor.Handler {
		return plexor.Messages(frame.Line{}, answerLine)
	},
	"turns": func(idleHook) plexor.Handler { return plexor.Turns(answerTurn) },
	"sessions": func(hook idleHook) plexor.Handler {
		return plexor.Sessions[int]{
			Codec:   frame.Line{},
			Message: func(c *plexor.Conn, _ int, msg []byte) error { return answerLine(c, msg) },
			Open:    func(*plexor.Conn) (int, error) { return 7, nil },
			Idle:    idleOfSeven(hook),
		}
	},
	"sessions of turns": func(hook idleHook) plexor.Handler {
		return plexor.Sessions[int]{
			Turn: func(c *plexor.Conn, _ int) error { return answerTurn(c) },
			Open: func(*plexor.Conn) (int, error) { return 7, nil },
			Idle: idleOfSeven(hook),
		}
	},
	"stream": func(idleHook) plexor.Handler { return plexor.HandlerFunc(answerStream) },
	"messages on a stream": func(idleHook) plexor.Handler {
		return plexor.HandlerFunc(func(c *plexor.Conn) { plexor.Messages(frame.Line{}, answerLine).ServeConn(c) })
	},
}

// idleOfSeven is a hook of sessions, whose state is 7.
func idleOfSeven(hook idleHook) func(*plexor.Conn, int, plexor.Idle) error {
	return func(c *plexor.Conn, s int, idle plexor.Idle) error {
		if s != 7 {
			return errors.New("the hook has another's state")
		}
		return hook(c, idle)
	}
}

func answerLine(c *plexor.Conn, msg []byte) error {
	if msg[0] == '-' {
		return nil
	}
	_, err := c.Write(append(msg, '\n'))
	return err
}

func answerTurn(c *plexor.Conn) error {
	buf := make([]byte, 64)
	n, err := c.Read(buf)
	if err != nil {
		return err
	}
	return answerLine(c, buf[:n-1])
}

func answerStream(c *plexor.Conn) {
	for in := bufio.NewScanner(c); in.Scan(); {
		if answerLine(c, in.Bytes()) != nil {
			return
		}
	}
}

// idleBench is a server whose clock the test moves, with connections that are idle after 8 s.
func idleBench(t *testing.T, p place, kind string, limits plexor.Limits, hook idleHook,
) (b *bench, second func()) {
	clock := loop.NewManualClock(time.Now())
	srv := &plexor.Server{Loops: 1, Clock: clock, Limits: limits, OnIdle: hook}
	if strings.HasPrefix(kind, "sessions") {
		srv.OnIdle = func(*plexor.Conn, plexor.Idle) error { return errors.New("a session has a hook of its own") }
	}
	b = p.serve(t, srv, idleKinds[kind](hook))
	return b, func() {
		clock.Advance(time.Second)
		if err := plexor.Turn(srv); err != nil {
			t.Fatal(err)
		}
	}
}

// eachIdle runs f for kinds of handlers in each place, by default for one of each way to be told.
func eachIdle(t *testing.T, f func(t *testing.T, p place, kind string), kinds ...string) {
	if kinds == nil {
		kinds = []string{"messages", "sessions of turns", "stream"}
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			eachMessagePlace(t, func(t *testing.T, p place) { f(t, p, kind) })
		})
	}
}

// TestReadIdle: a handler is told when nothing has come for so long, and not before; again after as long; not if
// something came meanwhile; and closes by an error.
func TestReadIdle(t *testing.T) {
	eachIdle(t, func(t *testing.T, p place, kind string) {
		var calls atomic.Int32
		limits := plexor.Limits{ReadIdle: 8 * time.Second}
		b, second := idleBench(t, p, kind, limits, func(c *plexor.Conn, idle plexor.Idle) error {
			if idle != (plexor.Idle{Read: true}) {
				t.Errorf("told of %+v, want Read alone", idle)
			}
			if calls.Add(1) == 3 {
				return plexor.ErrIdle
			}
			_, err := c.Write([]byte("ping\n"))
			return err
		})
		c := b.dialMessages()
		for i := range int32(2) {
			send(t, c, "hello\n")
			want(t, c, "hello\n")
			for range 8 {
				second()
			}
			if n := calls.Load(); n != i {
				t.Fatalf("the hook was called %d times after 8 s in which %d calls were due", n, i)
			}
			second()
			second()
			want(t, c, "ping\n")
		}
		for range 8 { // its own ping is nothing that has come
			second()
		}
		wantEnd(t, c)
		c.Close()
		b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.Handlers == 0 })
		if s := b.Stats(); s.Idle != 1 || s.Failed != 0 || calls.Load() != 3 {
			t.Errorf("%d calls, and the stats are %+v; want 3, and one idle", calls.Load(), s)
		}
	}, slices.Sorted(maps.Keys(idleKinds))...)
}

// TestWriteIdle: a handler is told when nothing was written for so long, whatever comes, and its ping counts.
func TestWriteIdle(t *testing.T) {
	beside(t)
	eachIdle(t, func(t *testing.T, p place, kind string) {
		var calls atomic.Int32
		b, second := idleBench(t, p, kind, plexor.Limits{ReadIdle: 80 * time.Second, WriteIdle: 8 * time.Second},
			func(c *plexor.Conn, idle plexor.Idle) error {
				if idle != (plexor.Idle{Write: true}) {
					t.Errorf("told of %+v, want Write alone", idle)
				}
				calls.Add(1)
				_, err := c.Write([]byte("ping\n"))
				return err
			})
		c := b.dialMessages()
		for i := range int32(3) {
			send(t, c, "hello\n")
			want(t, c, "hello\n")
			for range 8 {
				send(t, c, "-\n")
				second()
			}
			if n := calls.Load(); n != i {
				t.Fatalf("the hook was called %d times after 8 s in which %d calls were due", n, i)
			}
			second()
			second()
			want(t, c, "ping\n")
		}
	})
}

// TestIdleHookFails: an error of the hook is logged and closes; a panic resets; and both are counted.
func TestIdleHookFails(t *testing.T) {
	beside(t)
	for name, row := range map[string]struct {
		fail func() error
		ok   func(plexor.Stats) bool
		log  string
	}{
		"error": {func() error { return errors.New("a peer that sleeps") },
			func(s plexor.Stats) bool { return s.Failed == 1 }, "a peer that sleeps"},
		"panic": {func() error { panic("the hook is broken") },
			func(s plexor.Stats) bool { return s.Panics == 1 }, "the hook is broken"},
	} {
		t.Run(name, func(t *testing.T) {
			eachIdle(t, func(t *testing.T, p place, kind string) {
				b, second := idleBench(t, p, kind, plexor.Limits{ReadIdle: 8 * time.Second},
					func(*plexor.Conn, plexor.Idle) error { return row.fail() })
				c := b.dialMessages()
				send(t, c, "hello\n")
				want(t, c, "hello\n")
				for range 10 {
					second()
				}
				if n, err := io.ReadAll(c); len(n) > 0 || isTimeout(err) {
					t.Errorf("read %q, %v; want the end", n, err)
				}
				c.Close()
				b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.Handlers == 0 && row.ok(s) })
				if log := b.log.text(); !strings.Contains(log, row.log) {
					t.Errorf("the log does not say %q", row.log)
				}
			})
		})
	}
}

// TestIdleHookWaits: what comes while the hook of a connection that rests waits is handled behind it, in order; and
// the hook is not called a second time meanwhile.
func TestIdleHookWaits(t *testing.T) {
	beside(t)
	eachIdle(t, func(t *testing.T, p place, kind string) {
		var calls atomic.Int32
		release, waits := make(chan struct{}), make(chan struct{})
		limits := plexor.Limits{ReadIdle: 8 * time.Second}
		b, second := idleBench(t, p, kind, limits, func(c *plexor.Conn, _ plexor.Idle) error {
			if calls.Add(1) > 1 {
				return errors.New("called beside itself")
			}
			err := awaitClosed(c, waits, release)
			if err == nil {
				_, err = c.Write([]byte("ping\n"))
			}
			return err
		})
		c := b.dialMessages()
		send(t, c, "hello\n")
		want(t, c, "hello\n")
		for range 10 {
			second()
		}
		receive(t, waits, "the hook")
		for range 20 {
			second()
		}
		answer := "ping\none\n"
		if strings.Contains(kind, "stream") { // its handler runs beside the hook
			send(t, c, "one\n")
			want(t, c, "one\n")
			answer = "ping\n"
		} else {
			send(t, c, "one\n")
		}
		close(release)
		want(t, c, answer)
		send(t, c, "two\n")
		want(t, c, "two\n")
	})
}

// awaitClosed tells that it waits, and waits for release beside the loop.
func awaitClosed(c *plexor.Conn, waits chan<- struct{}, release <-chan struct{}) error {
	_, err := coro.Await(c.Context(), func() (int, error) {
		waits <- struct{}{}
		<-release
		return 0, nil
	})
	return err
}

// TestIdleNotTold: nobody is told before the first byte, while a message is handled, and of what Listen accepts.
func TestIdleNotTold(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		release, waits := make(chan struct{}), make(chan struct{})
		clock := loop.NewManualClock(time.Now())
		srv := &plexor.Server{Loops: 1, Clock: clock,
			Limits: plexor.Limits{ReadIdle: 8 * time.Second, FirstByte: time.Minute},
			OnIdle: func(*plexor.Conn, plexor.Idle) error { t.Error("the hook is called"); return nil }}
		b := p.serve(t, srv, plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
			return awaitClosed(c, waits, release)
		}))
		ln, err := srv.Listen(p.plain(t))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		_ = dial(t, ln.Addr())
		accepted, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		silent, busy := b.dial(), b.dialMessages()
		send(t, busy, "work\n")
		receive(t, waits, "the handler")
		b.await("all of them", func(s plexor.Stats) bool { return s.Conns == 3 })
		for range 20 {
			clock.Advance(time.Second)
			if err := plexor.Turn(srv); err != nil {
				t.Fatal(err)
			}
		}
		close(release)
		for _, c := range []net.Conn{silent, busy} {
			c.Close()
		}
	})
}

// TestIdleConfigured: times of which nobody is told, and hooks that would never be called, are refused.
func TestIdleConfigured(t *testing.T) {
	hook := func(*plexor.Conn, plexor.Idle) error { return nil }
	none := plexor.HandlerFunc(func(*plexor.Conn) {})
	told := plexor.Sessions[int]{
		Turn: func(*plexor.Conn, int) error { return nil },
		Idle: func(*plexor.Conn, int, plexor.Idle) error { return nil },
	}
	for name, row := range map[string]struct {
		srv  *plexor.Server
		h    plexor.Handler
		want string // of the error; "": none
	}{
		"nobody":         {&plexor.Server{Limits: plexor.Limits{ReadIdle: 1}}, none, "nobody is told"},
		"no time":        {&plexor.Server{OnIdle: hook}, none, "never be called"},
		"a session's":    {&plexor.Server{}, told, "never be called"},
		"negative":       {&plexor.Server{OnIdle: hook, Limits: plexor.Limits{WriteIdle: -1}}, none, "WriteIdle is -1ns"},
		"told":           {&plexor.Server{OnIdle: hook, Limits: plexor.Limits{WriteIdle: 1}}, none, ""},
		"a session told": {&plexor.Server{Limits: plexor.Limits{ReadIdle: 1}}, told, ""},
	} {
		t.Run(name, func(t *testing.T) {
			defer row.srv.Close()
			if _, err := row.srv.Open("tcp://127.0.0.1:0", row.h); err == nil && row.want != "" ||
				err != nil && (row.want == "" || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("Open: %v, want %q", err, row.want)
			}
		})
	}
}
