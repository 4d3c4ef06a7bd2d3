//go:build linux || darwin || freebsd

package loop_test

import (
	"testing"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// An addressee is a watcher that is told of the delivery.
type addressee struct {
	*watcher
	told int
}

func (a *addressee) Delivered(*loop.Conn) {
	a.order("Delivered", a.wasOpened && !a.wasClosed)
	a.told++
}

// address makes the handler of a link one.
func (k *link) address() *addressee {
	a := &addressee{watcher: k.w}
	k.do(func() { k.c.SetHandler(a) })
	return a
}

// delivered is how often it was told.
func (k *link) delivered(a *addressee) (n int) {
	k.do(func() { n = a.told })
	return n
}

// A handler that asks for it is told, once, that all was delivered, while Closed waits for the end of the peer that
// stays.
func TestDelivered(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			for name, size := range map[string]int{"nothing written": 0, "a corked write": 100, "more than finds room": large} {
				t.Run(name, func(t *testing.T) {
					r := run(t, loop.Options{Driver: driver, Clock: manual()})
					k := r.connect(network, sock.Options{}, &watcher{})
					a := k.address()
					k.do(func() {
						if size > 0 {
							write(t, k.c, pattern(size))
						}
						k.c.Close()
						if a.told != 0 {
							t.Error("Delivered came inside Close")
						}
					})
					if size == large {
						k.turns(2)
						if n := k.delivered(a); n != 0 {
							t.Errorf("Delivered came %d times before the peer has read", n)
						}
					}
					readSlowly(t, k.peer, pattern(size))
					k.acked()
					eventually(t, "Delivered", func() bool {
						if k.delivered(a) == 0 {
							k.advance(step) // to the next look
						}
						return k.delivered(a) > 0
					})
					k.peer.Close()
					k.end(nil)
					if n := k.delivered(a); n != 1 {
						t.Errorf("Delivered came %d times, want once", n)
					}
				})
			}
		})
	})
}

// It is not told of what the peer has not taken.
func TestNotDelivered(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver, Clock: manual(), Linger: 10 * step})
			k := r.connect(network, sock.Options{}, &watcher{})
			a := k.address()
			k.do(func() {
				write(t, k.c, pattern(large))
				k.c.Close()
			})
			if _, err := k.advanceUntilClosed(100 * step); err != loop.ErrUndelivered {
				t.Errorf("Closed got %v, want ErrUndelivered", err)
			}
			if n := k.delivered(a); n != 0 {
				t.Errorf("Delivered came %d times", n)
			}
		})
	})
}
