package plexor_test

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/loop"
)

// keepers are handlers for a protocol that is read by hand, of messages as part makes them, and that echo them: what
// has come of one is kept from turn to turn, and told. What all of them keep is added up.
func keepers(sum *atomic.Int64) map[string]plexor.Handler {
	type kept struct{ b []byte }
	keep := func(c *plexor.Conn, k *kept, b []byte) {
		sum.Add(int64(cap(b) - cap(k.b)))
		k.b = b
		c.HoldsInput(cap(b))
	}
	h := plexor.Sessions[*kept]{
		Open: func(*plexor.Conn) (*kept, error) { return new(kept), nil },
		Turn: func(c *plexor.Conn, k *kept) error {
			p := make([]byte, 64<<10)
			n, err := c.Read(p)
			if err != nil {
				return err
			}
			keep(c, k, slices.Concat(k.b, p[:n]))
			for len(k.b) >= 4 && len(k.b)-4 >= int(binary.BigEndian.Uint32(k.b)) {
				size := 4 + int(binary.BigEndian.Uint32(k.b))
				if _, err := c.Write(k.b[:size]); err != nil {
					return err
				}
				rest := slices.Clone(k.b[size:])
				keep(c, k, nil)
				keep(c, k, rest)
			}
			return nil
		},
		Closed: func(k *kept, _ error) { sum.Add(-int64(cap(k.b))) },
	}
	return map[string]plexor.Handler{"Sessions": h, "ServeConn": plexor.HandlerFunc(h.ServeConn)}
}

func eachKeeper(t *testing.T, f func(t *testing.T, p place, h plexor.Handler, sum *atomic.Int64)) {
	for _, name := range []string{"Sessions", "ServeConn"} {
		t.Run(name, func(t *testing.T) {
			eachMessagePlace(t, func(t *testing.T, p place) {
				var sum atomic.Int64
				t.Cleanup(func() { // behind the server's end
					if n := sum.Load(); n != 0 {
						t.Errorf("%d bytes are kept when all is over", n)
					}
				})
				f(t, p, keepers(&sum)[name], &sum)
			})
		})
	}
}

// TestHoldsInput: what protocols that are read by hand say they keep is bounded for all connections of a loop together:
// those with most have to go, are counted, and the others go on.
func TestHoldsInput(t *testing.T) {
	const bound, conns, have = 1 << 20, 24, 100 << 10
	eachKeeper(t, func(t *testing.T, p place, h plexor.Handler, sum *atomic.Int64) {
		clock := loop.NewManualClock(time.Now()) // which stands still, so that the largest go
		b := p.serve(t, &plexor.Server{Loops: 1, Clock: clock, Limits: plexor.Limits{PartialInput: bound}}, h)
		small, busy := b.dialMessages(), b.dialMessages()
		send(t, small, part(1000, 10))
		all := []net.Conn{small, busy}
		for range conns {
			c := b.dialMessages()
			all = append(all, c)
			shake(t, c)
			_, _ = io.WriteString(c, part(128<<10, have)) // it may have to go meanwhile
			send(t, busy, part(1, 1))
			want(t, busy, part(1, 1))
			if n := sum.Load(); n > bound+bound/4 { // one that had to go tells its handler at the end of the loop's turn
				t.Errorf("%d bytes are kept, want at most %d", n, bound)
			}
		}
		b.await("those that had to go", func(s plexor.Stats) bool { return s.EvictedInputs >= conns-bound/have })
		send(t, small, strings.Repeat("x", 990))
		want(t, small, part(1000, 1000))
		if s := b.Stats(); s.EvictedInputs >= conns || s.SlowFrames > 0 {
			t.Errorf("%+v, want no more evicted than necessary", s)
		}
		for _, c := range all {
			c.Close()
		}
		b.awaitNoInput()
	})
}

// TestHoldsInputLongest: those that hold some for long have to go, and not one that holds much for a moment, nor one
// whose messages come one behind the other, though part of one is there all the time.
func TestHoldsInputLongest(t *testing.T) {
	const bound, size = 1 << 20, 200 << 10
	eachKeeper(t, func(t *testing.T, p place, h plexor.Handler, _ *atomic.Int64) {
		clock := loop.NewManualClock(time.Now())
		b := p.serve(t, &plexor.Server{Loops: 1, Clock: clock, Limits: plexor.Limits{PartialInput: bound}}, h)
		steady, fresh := b.dialMessages(), b.dialMessages()
		shake(t, fresh) // before the clock goes on
		send(t, steady, part(size, size/2))
		for range 4 {
			c := b.dialMessages()
			shake(t, c)
			send(t, c, part(size, size*3/4))
		}
		b.awaitHeld(4*size*3/4 + size/2)
		for range 20 {
			clock.Advance(time.Second)
			go io.WriteString(steady, strings.Repeat("x", size/2)+part(size, size/2))
			want(t, steady, part(size, size))
		}
		send(t, fresh, part(500<<10, 500<<10-1))
		b.await("one that had to go", func(s plexor.Stats) bool { return s.EvictedInputs > 0 })
		go io.WriteString(fresh, "x")
		want(t, fresh, part(500<<10, 500<<10))
		go io.WriteString(steady, strings.Repeat("x", size/2))
		want(t, steady, part(size, size))
		if s := b.Stats(); s.EvictedInputs > 4 {
			t.Errorf("%d had to go, want none but the 4", s.EvictedInputs)
		}
	})
}
