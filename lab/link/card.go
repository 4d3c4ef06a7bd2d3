package link

import (
	"fmt"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// A Card is a host's end of a cable. It is for one goroutine at a time.
type Card struct {
	Addr        wire.MAC
	MTU         int  // bytes behind the Ethernet header: 1500 at 0
	Promiscuous bool // Receive hands out frames to others as well

	// Counters.
	Sent, Received   int
	Strange, TooLong int // frames to others; those that were too long, or too short to have a header

	pool *Pool
	out  Line
	in   Line
}

// Connect makes two cards the ends of a cable: there goes from a to b, back from b to a. What both send comes from
// pool.
func Connect(a, b *Card, there, back Line, pool *Pool) {
	a.pool, b.pool = pool, pool
	a.out, a.in, b.out, b.in = there, back, back, there
}

func (c *Card) mtu() int {
	if c.MTU > 0 {
		return c.MTU
	}
	return 1500
}

// tagLen is how much longer a frame may be for an 802.1Q tag.
const tagLen = 4

// Send puts a copy of an Ethernet frame on the cable. One that is longer than the MTU, its header and a tag, or
// shorter than a header, is counted and refused.
func (c *Card) Send(now time.Duration, frame []byte) error {
	if n := len(frame); n < wire.EthernetLen || n > c.mtu()+wire.EthernetLen+tagLen {
		c.TooLong++
		return fmt.Errorf("link: a frame of %d bytes: want %d to %d", n, wire.EthernetLen,
			c.mtu()+wire.EthernetLen+tagLen)
	}
	c.Sent++
	c.out.Put(now, c.pool.Copy(frame))
	return nil
}

// Receive is the next frame that has come by now; nil where there is none. The caller owns it, and frees it.
func (c *Card) Receive(now time.Duration) *Frame {
	for {
		f := c.in.Take(now)
		switch {
		case f == nil:
			return nil
		case len(f.Bytes) < wire.EthernetLen || len(f.Bytes) > c.mtu()+wire.EthernetLen+tagLen:
			c.TooLong++
		case !c.Promiscuous && !c.mine(wire.MAC(f.Bytes[:6])):
			c.Strange++
		default:
			c.Received++
			return f
		}
		f.Free()
	}
}

// mine reports whether a frame to this address is for the card: groups are, and the host looks which it is in.
func (c *Card) mine(dst wire.MAC) bool { return dst == c.Addr || dst.IsMulticast() }

// Next is the time at which a frame may come.
func (c *Card) Next() (at time.Duration, ok bool) { return c.in.Next() }
