package plexor_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
)

// each is what Each says.
func (b *bench) each() (all []plexor.ConnInfo) {
	b.t.Helper()
	if err := b.Each(func(i plexor.ConnInfo) bool { all = append(all, i); return true }); err != nil {
		b.t.Errorf("Each: %v", err)
	}
	return all
}

// TestEach: connections in all states, with their ages and how long they were idle.
func TestEach(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		release, waits := make(chan struct{}), make(chan struct{})
		clock := loop.NewManualClock(time.Now())
		b := p.serve(t, &plexor.Server{Clock: clock, Limits: plexor.Limits{FirstByte: time.Hour}},
			plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
				if msg[0] == '-' {
					return awaitClosed(c, waits, release)
				}
				return c.Send(msg)
			}))
		if infos := b.each(); len(infos) != 0 {
			t.Errorf("without a connection: %+v", infos)
		}
		step := func(seconds int) {
			for range seconds {
				clock.Advance(time.Second)
				if err := plexor.Turn(b.Server); err != nil {
					t.Fatal(err)
				}
			}
		}
		echo := func(c net.Conn) net.Conn {
			send(t, c, "x\n")
			want(t, c, "x\n")
			return c
		}
		resting := echo(b.dialMessages())
		step(10)
		busy := echo(b.dialMessages())
		step(5)
		echo(resting)
		step(5)
		send(t, busy, "-\n")
		receive(t, waits, "the handler")
		silent := b.dial()
		b.await("the silent one", func(s plexor.Stats) bool { return s.Conns == 3 })
		step(3)

		infos := b.each()
		slices.SortFunc(infos, func(a, b plexor.ConnInfo) int { return int(b.Age - a.Age) })
		close(release)
		if len(infos) != 3 {
			t.Fatalf("%d connections, want 3: %+v", len(infos), infos)
		}
		for i, want := range []struct {
			name             string
			c                net.Conn
			age, read, write time.Duration
			handling         bool
		}{
			{"resting", resting, 23 * time.Second, 8 * time.Second, 8 * time.Second, false},
			{"busy", busy, 13 * time.Second, 3 * time.Second, 13 * time.Second, true},
			{"silent", silent, 3 * time.Second, 3 * time.Second, 3 * time.Second, false},
		} {
			got := infos[i]
			near := func(got, want time.Duration) bool { return (got - want).Abs() <= time.Second+100*time.Millisecond }
			if !near(got.Age, want.age) || !near(got.ReadIdle, want.read) || !near(got.WriteIdle, want.write) ||
				got.Handling != want.handling || got.Shared || got.TLS != b.tls || got.Listener.String() != b.addr.String() ||
				got.Local.String() != want.c.RemoteAddr().String() || got.Pending != 0 || got.Unread != 0 {
				t.Errorf("%s: %+v, want %+v", want.name, got, want)
			}
			if at := want.c.LocalAddr(); at.Network() == "tcp" && got.Remote.String() != at.String() {
				t.Errorf("%s: its peer is %v, want %v", want.name, got.Remote, at)
			}
		}
		n := 0
		if err := b.Each(func(plexor.ConnInfo) bool { n++; return false }); err != nil || n != 1 {
			t.Errorf("Each went on %d times after false, %v", n-1, err)
		}
	})
}

// TestEachBytes: bytes that a handler does not read are counted.
func TestEachBytes(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		release, waits := make(chan struct{}), make(chan struct{})
		b := p.serve(t, &plexor.Server{}, plexor.HandlerFunc(func(c *plexor.Conn) {
			c.Read(make([]byte, 1))
			_ = awaitClosed(c, waits, release)
		}))
		send(t, b.dial(), "hello")
		receive(t, waits, "the handler")
		for end := time.Now().Add(patience); ; {
			infos := b.each()
			if len(infos) == 1 && infos[0].Unread == 4 && infos[0].Handling {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%+v, want a handler and 4 unread bytes", infos)
			}
		}
		close(release)
	})
}

// TestEachShared: what Listen and Shared have made is listed.
func TestEachShared(t *testing.T) {
	eachShared(t, func(t *testing.T, pair makePair) {
		b, server, client := pair(t, &plexor.Server{})
		send(t, client, "x")
		want(t, server, "x")
		infos := b.each()
		if len(infos) != 1 || !infos[0].Shared || infos[0].Handling ||
			infos[0].Local.String() != server.LocalAddr().String() ||
			infos[0].Remote.String() != server.RemoteAddr().String() || infos[0].Unread != 0 {
			t.Errorf("%+v, want the one from %v", infos, server.RemoteAddr())
		}
	})
}

// TestEachFromHandlers: a handler sees the connections of all loops, its own too; a function that was posted can't
// wait for them.
func TestEachFromHandlers(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		seen, misuses := make(chan int, 8), make(chan error, 1)
		b := p.serve(t, &plexor.Server{Loops: 2}, nil)
		b.tls = strings.HasPrefix(p.addr, "tls:")
		var err error
		b.addr, err = b.Open(p.addr, plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
			n := 0
			if err := b.Each(func(plexor.ConnInfo) bool { n++; return true }); err != nil {
				return err
			}
			seen <- n
			self, err := coro.Self(c.Context(), "the test")
			if err != nil {
				return err
			}
			if string(msg) == "post" {
				return self.Scheduler().Loop().Post(func() { misuses <- b.Each(func(plexor.ConnInfo) bool { return true }) })
			}
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		var all []net.Conn
		for range 4 {
			all = append(all, b.dialMessages())
		}
		b.await("four", func(s plexor.Stats) bool { return s.Conns == 4 })
		for _, c := range all { // two loops that ask each other
			send(t, c, "look\n")
		}
		for range all {
			if n := receive(t, seen, "a handler"); n != 4 {
				t.Errorf("a handler saw %d connections, want 4", n)
			}
		}
		send(t, all[0], "post\n")
		var misuse *coro.MisuseError
		if err := receive(t, misuses, "the posted function"); !errors.As(err, &misuse) {
			t.Errorf("in a posted function: %v, want a *coro.MisuseError", err)
		}
	})
}

// TestEachBesideStuckCalls: as many calls of the user's as there can be at once are stuck, and Each gets to another
// loop.
func TestEachBesideStuckCalls(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		const stuck = 70 // more than the bound
		release, errs := make(chan struct{}), make(chan error, 1)
		srv := &plexor.Server{Loops: 2}
		b := place{driver, "tcp://127.0.0.1:0"}.serve(t, srv, onConn(errs, func(c *plexor.Conn) error {
			return coro.Group(c.Context(), func(g *coro.Tasks) error {
				defer close(release)
				for range stuck {
					g.Go(func(ctx context.Context) error {
						_, err := coro.Await(ctx, func() (int, error) { <-release; return 0, nil })
						return err
					})
				}
				for range 20 { // they begin
					if err := coro.Yield(c.Context()); err != nil {
						return err
					}
				}
				return srv.Each(func(plexor.ConnInfo) bool { return true })
			})
		}))
		send(t, b.dial(), "!")
		if err := receive(t, errs, "the handler"); err != nil {
			t.Error(err)
		}
	})
}

// TestEachOfManyThatChange: more of them than a batch, while others come and go: those that stay are seen once.
func TestEachOfManyThatChange(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		// Half of them send nothing, for as long as it takes.
		srv := &plexor.Server{Limits: plexor.Limits{FirstByte: -1, IdleTimeout: -1}}
		b := place{driver, "tcp://127.0.0.1:0"}.serve(t, srv, plexor.Messages(frame.Line{}, answerLine))
		seen := make(map[string]int)
		for i := range 300 {
			c := b.dial()
			if i%2 == 0 {
				send(t, c, "x\n")
				want(t, c, "x\n")
			}
			seen[c.LocalAddr().String()] = 0
		}
		b.await("all", func(s plexor.Stats) bool { return s.Conns == 300 })
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if c, err := dialPeer(b.addr); err == nil {
					c.Close()
				}
			}
		}()
		for round := 1; round <= 5; round++ {
			for _, info := range b.each() {
				if n, ok := seen[info.Remote.String()]; ok {
					seen[info.Remote.String()] = n + 1
				}
			}
			for peer, n := range seen {
				if n != round {
					t.Fatalf("after %d rounds %s was seen %d times", round, peer, n)
				}
			}
		}
		close(stop)
		<-stopped
	})
}

// TestEachOfHeldLoop: a loop that a handler holds is left out, with an error that names the line; the others are
// listed.
func TestEachOfHeldLoop(t *testing.T) {
	beside(t)
	eachDriver(t, func(t *testing.T, driver string) {
		t.Parallel() // it waits for a second
		released, holds := make(chan struct{}), make(chan struct{})
		p := place{driver: driver}
		srv := &plexor.Server{Driver: driver, Network: p.network(t), Loops: 2, Stall: -1}
		defer srv.Close()
		defer close(released)
		addr, err := srv.Open(p.plain(t), plexor.HandlerFunc(func(c *plexor.Conn) {
			buf := make([]byte, 1)
			for {
				if _, err := c.Read(buf); err != nil {
					return
				}
				if buf[0] == '!' {
					close(holds)
					holdUntil(released)
				}
				c.Write(buf)
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		holder, other := dial(t, addr), dial(t, addr) // the least loaded loop gets the second
		for _, c := range []net.Conn{holder, other} {
			send(t, c, "x")
			want(t, c, "x")
		}
		send(t, holder, "!")
		<-holds
		var seen []string
		err = srv.Each(func(i plexor.ConnInfo) bool { seen = append(seen, i.Remote.String()); return true })
		if held, ok := errors.AsType[*loop.HeldError](err); !ok || !strings.Contains(held.At, "holdUntil") {
			t.Errorf("Each: %v, want a *loop.HeldError that names holdUntil", err)
		}
		if len(seen) != 1 || seen[0] != other.LocalAddr().String() {
			t.Errorf("seen: %v, want %v alone", seen, other.LocalAddr())
		}
	})
}

// TestListenerStats: each address has counts of its own, and one that is closed is listed while it has connections.
func TestListenerStats(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		b := p.serve(t, &plexor.Server{Limits: plexor.Limits{Conns: 3}}, plexor.Messages(frame.Line{}, answerLine))
		ln, err := b.Listen(p.plain(t))
		if err != nil {
			t.Fatal(err)
		}
		first, second := b.dial(), b.dial()
		b.await("two", func(s plexor.Stats) bool { return s.Listeners[0].Conns == 2 && s.Conns == 2 })
		third := dial(t, ln.Addr())
		b.await("a third", func(s plexor.Stats) bool { return s.Conns == 3 })
		if fourth, err := dialPeer(ln.Addr()); err == nil { // else it was refused at once
			defer fourth.Close()
		}
		b.await("its refusal", func(s plexor.Stats) bool { return s.Listeners[1].Refused == 1 })
		first.Close()
		b.await("its end", func(s plexor.Stats) bool { return s.Conns == 2 })
		want := []plexor.ListenerStats{
			{Addr: b.addr, TLS: b.tls, Conns: 1, Accepted: 2},
			{Addr: ln.Addr(), Conns: 1, Accepted: 2, Refused: 1},
		}
		got := b.Stats().Listeners
		for i, w := range want {
			if len(got) != 2 || got[i].Addr.String() != w.Addr.String() {
				t.Fatalf("%+v, want %+v", got, want)
			}
			w.Addr = got[i].Addr
			if got[i] != w {
				t.Errorf("%+v, want %+v", got[i], w)
			}
		}
		accepted, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		if got := b.Stats().Listeners; len(got) != 2 || got[1].Conns != 1 {
			t.Errorf("after its Close: %+v, want both, for one has a connection", got)
		}
		accepted.Close()
		third.Close()
		b.await("the end of the second", func(s plexor.Stats) bool { return len(s.Listeners) == 1 })
		second.Close()
	})
}
