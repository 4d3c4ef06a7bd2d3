package loop

import (
	"fmt"
	"io"

	"github.com/plexor-go/plexor/uring"
	"golang.org/x/sys/unix"
)

// The buffers that all connections of a loop receive into: as many as the load was seen to need, in bytes.
const (
	leastReceive = 256 << 10 // and completionSize has the most
	// Where the kernel fills a buffer with what several connections send, a few large ones do, and small messages lie
	// close together: a piece of ReadBuffer bytes is cut in two only where a buffer ends. Where it gives each message a
	// buffer of its own, they are small.
	sharedBuffer = 128 << 10
	singleBuffer = 4 << 10
	// A ring that has not run out for so many turns is made smaller.
	calmTurns = 1 << 14
)

// resize brings more buffers into use, or fewer.
func (d *completion) resize(bytes int) {
	d.ranOut = d.turn
	if bytes = min(max(bytes, leastReceive), d.most); bytes != d.limit {
		d.limit = bytes
		d.bufs.SetLimit(bytes / d.bufs.Size())
	}
}

// readsAtOnce is for how many reads' worth (ReadBuffer) one multishot receive is good. Two make a turn of a connection
// that sends much as long as one on a selector, which costs a tenth less than with one.
const readsAtOnce = 2

// receive asks for what comes, up to some bytes. Unbounded, a multishot receive takes in a mebibyte from a fast peer
// before anybody looks, and all of that would have to be kept when the handler does not want it. So it ends after
// readsAtOnce, and is asked for again. The piece with which it ends is not cut, and ReadBudget holds with it too.
// Kernels that know no such bound (before 6.17) receive once each time.
func (d *completion) receive(s *slot) {
	e := d.submission(s, opReceive)
	piece := min(d.opt.ReadBuffer, d.opt.ReadBudget, d.bufs.Size())
	if d.single {
		e.RecvSelect(s.sock.FD(), receiveGroup, piece, 0)
		return
	}
	e.RecvMultishot(s.sock.FD(), receiveGroup)
	e.RecvLimits(piece, min(readsAtOnce*d.opt.ReadBuffer, d.opt.ReadBudget-piece+1))
}

// received is bytes, the end of the stream, or the end of the receive.
func (d *completion) received(s *slot, c *uring.CQE) {
	if c.HasBuffer() {
		d.hungry.served++
		p := d.bufs.Data(c)
		d.arrived(s, p)
		d.bufs.Release(c.BufferID())
	}
	if c.Res <= 0 && s.conn != nil {
		switch err := c.Errno(); err {
		case 0:
			d.ended(s, io.EOF)
		case unix.ECANCELED:
		case unix.ENOBUFS: // all buffers hold something; they are free again when this dispatch is over
			if !d.hungry.short {
				d.hungry.short = true
				d.resize(2 * d.limit)
			}
			d.hungry.failed++
			d.starve(s)
		case unix.EINVAL:
			if d.single {
				d.ended(s, fmt.Errorf("loop: receive: %w", err))
			}
			d.single = true // and update asks again
		default:
			d.ended(s, fmt.Errorf("loop: receive: %w", err))
		}
	}
	if s.conn != nil && !c.More() {
		d.update(s.conn)
	}
}

// A hungry is the queue of those connections that are to receive and wait for buffers, in their order. Once a receive
// has failed for want of one, all others queue too, and in a turn as many are asked for as there are buffers: with
// thousands of connections that all send much, nearly all of them would fail in every turn.
type hungry struct {
	queue   []*slot
	first   int  // those before it are served
	portion int  // how many are asked for in a turn
	served  int  // receives that had a buffer in this turn
	short   bool // one had none
	failed  int  // receives that had none, in all; for tests
}

func (h *hungry) none() bool { return h.first == len(h.queue) }

// starve has s wait for its turn to receive.
func (d *completion) starve(s *slot) {
	if !s.queued {
		s.queued = true
		d.hungry.queue = append(d.hungry.queue, s)
	}
}

// feed is the end of a turn, when all buffers are free again. As many receives as had buffers in a turn that ran short
// of them will have some in the next; after a turn that did not, it is tried with some more.
func (d *completion) feed() {
	h := &d.hungry
	if h.none() {
		return
	}
	if h.short {
		h.portion = max(h.served, 1)
	} else {
		h.portion += max(h.portion/8, 1)
	}
	for range min(h.portion, len(h.queue)-h.first) {
		s := h.queue[h.first]
		h.queue[h.first] = nil
		h.first++
		s.queued = false
		if c := s.conn; c == nil || s.held != nil || s.ends {
			d.lookAt(s)
		} else if c.wantsRead() && s.ops&opReceive == 0 && !c.is(lending) {
			d.receive(s)
		}
	}
	if h.none() {
		h.queue, h.first = h.queue[:0], 0
	} else if h.first > len(h.queue)/2 {
		n := copy(h.queue, h.queue[h.first:])
		clear(h.queue[n:])
		h.queue, h.first = h.queue[:n], 0
	}
}
