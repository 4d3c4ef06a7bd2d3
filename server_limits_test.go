package plexor_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/loop"
)

// refusedDial is a connection that the server resets.
func refusedDial(t *testing.T, b *bench) {
	t.Helper()
	c, err := dialPeer(b.addr)
	if err != nil {
		return // the reset was as fast as that
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("a connection over the limit read %d bytes, %v", n, err)
	}
}

// TestLimits: connections over a limit are refused, each is counted, and there is room again when one ends.
func TestLimits(t *testing.T) {
	for _, row := range []struct {
		name    string
		limits  plexor.Limits
		refused func(plexor.Stats) int64
	}{
		{"in all", plexor.Limits{Conns: 3}, func(s plexor.Stats) int64 { return s.RefusedConns }},
		{"per peer", plexor.Limits{ConnsPerPeer: 3}, func(s plexor.Stats) int64 { return s.RefusedPeer }},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachPlace(t, func(t *testing.T, p place) {
				if strings.HasPrefix(p.addr, "unix") && row.limits.ConnsPerPeer > 0 {
					t.Skip("peers on unix sockets have no address")
				}
				b := p.serve(t, &plexor.Server{Limits: row.limits}, echo)
				var held []net.Conn
				for range 3 {
					c := b.dial()
					send(t, c, "x")
					want(t, c, "x")
					held = append(held, c)
				}
				refusedDial(t, b)
				refusedDial(t, b)
				b.await("two refusals by this limit", func(s plexor.Stats) bool {
					return row.refused(s) == 2 && s.Conns == 3 && s.RefusedDriver == 0
				})
				held[1].Close()
				b.await("room", func(s plexor.Stats) bool { return s.Conns == 2 })
				c := b.dial()
				send(t, c, "x")
				want(t, c, "x")
			})
		})
	}
}

// TestIdleTimeout: by the loops' clock, a connection without a byte for so long is closed, and who waits to read is
// told; one on which bytes move is not.
func TestIdleTimeout(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		clock := loop.NewManualClock(time.Now())
		errs := make(chan error, 2)
		b := p.serve(t, &plexor.Server{Loops: 1, Clock: clock, Limits: plexor.Limits{IdleTimeout: 8 * time.Second}},
			onConn(errs, func(c *plexor.Conn) error {
				_, err := io.Copy(c, c)
				return err
			}))
		silent, reads, busy := b.dial(), b.dial(), b.dial()
		for _, c := range []net.Conn{reads, busy} {
			send(t, c, "x")
			want(t, c, "x")
		}
		b.await("three connections", func(s plexor.Stats) bool { return s.Conns == 3 })
		step := func(seconds int) {
			for range seconds {
				clock.Advance(time.Second)
				send(t, busy, "x")
				want(t, busy, "x")
			}
		}
		step(7)
		if s := b.Stats(); s.Idle != 0 || s.Conns != 3 {
			t.Errorf("after 7 s of 8: %+v", s)
		}
		step(3)
		wantEnd(t, silent)
		wantEnd(t, reads)
		var ne net.Error
		if err := receive(t, errs, "the handler"); !errors.Is(err, plexor.ErrIdle) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("the handler's Copy ended with %v, want ErrIdle, a timeout", err)
		}
		silent.Close()
		reads.Close()
		b.await("their end", func(s plexor.Stats) bool { return s.Idle == 2 && s.Conns == 1 })
		send(t, busy, "still")
		want(t, busy, "still")
	})
}

// TestStall: a handler that blocks its loop is reported, with the line that blocks.
func TestStall(t *testing.T) {
	beside(t)
	eachPlace(t, func(t *testing.T, p place) {
		stalls, told := make(chan loop.Stall, 1), make(chan struct{})
		tell := sync.OnceFunc(func() { close(told) })
		b := p.serve(t, &plexor.Server{OnStall: func(s loop.Stall) {
			if strings.Contains(s.Stack, "plexor_test.blocks(") { // a loaded machine can hold a loop too
				tell()
				select {
				case stalls <- s:
				default: // it goes on
				}
			}
		}}, plexor.HandlerFunc(func(c *plexor.Conn) {
			c.Read(make([]byte, 1))
			blocks(told)
			c.Write([]byte("done"))
		}))
		c := b.dial()
		send(t, c, "x")
		want(t, c, "done")
		s := receive(t, stalls, "the report")
		if first, _, _ := strings.Cut(s.Stack, "\n\n"); !strings.Contains(first, "plexor_test.blocks(") ||
			s.For < 100*time.Millisecond {
			t.Errorf("reported after %v:\n%s\nwant the function that blocks in the first stack", s.For, s.Stack)
		}
		if n := b.Stats().Stalls; n < 1 {
			t.Errorf("%d stalls are counted, want at least 1", n)
		}
	})
}

// blocks holds the loop, as a call to something that does not know of loops does.
func blocks(released <-chan struct{}) {
	select {
	case <-released:
	case <-time.After(patience / 2): // the test has failed
	}
}

// TestIdleStuck: a peer that neither sends nor reads, with output pending, is idle too, and is cut.
func TestIdleStuck(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		clock := loop.NewManualClock(time.Now())
		errs := make(chan error, 1)
		b := p.serve(t, &plexor.Server{Loops: 1, Clock: clock, Limits: plexor.Limits{IdleTimeout: 8 * time.Second}},
			onConn(errs, func(c *plexor.Conn) error {
				for {
					if _, err := c.Write(make([]byte, 1<<20)); err != nil {
						return err
					}
				}
			}))
		send(t, b.dial(), "!")
		for end := time.Now().Add(patience); len(errs) == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
			clock.Advance(time.Second)
		}
		if err := receive(t, errs, "the handler"); !errors.Is(err, plexor.ErrIdle) {
			t.Errorf("Write ended with %v, want ErrIdle", err)
		}
		b.await("the end", func(s plexor.Stats) bool { return s.Idle == 1 && s.Conns == 0 })
	})
}
