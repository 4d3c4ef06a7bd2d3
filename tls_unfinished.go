package plexor

import (
	"container/list"
	"context"
	"fmt"
	"net/netip"

	"github.com/plexor-go/plexor/coro"
)

// The bounds of handshakes that clients begin. A handshake is at work, or waits for its client:
//
//	begin ──▶ slot? ──▶ at work ◀──slot?── the client's bytes
//	                       │                     ▲
//	                       └──nothing there──▶ waiting ──▶ evicted
//
// A place among Limits.Handshakes is held at work alone, so no client can hold one. What clients can hold is bounded by
// Limits.UnfinishedHandshakes, for one peer by Limits.UnfinishedPerPeer. When there are as many, the one that has
// waited longest for its client has to go: an honest one waits for a round trip, one that is in the way waits on. Only
// if none waits for its client, as when a callback of the tls.Config is slow, is the new one refused.

// handshakes are the unfinished ones of a loop.
type handshakes struct {
	slots   *coro.Semaphore
	limits  *Limits
	n       int
	waiting list.List // of *handshake, which wait for their clients; the longest first
	peers   map[netip.Addr]*peerHandshakes
}

// peerHandshakes are those of one peer.
type peerHandshakes struct {
	n       int
	waiting list.List // likewise
}

// A handshake is one that is not done yet.
type handshake struct {
	ctx     context.Context
	of      *handshakes
	c       *Conn
	key     netip.Addr      // of peer
	peer    *peerHandshakes // nil: it has no address, or there is no bound
	places  [2]*list.Element
	working bool // it has a slot
	late    bool // it waits for one: that it takes long is not the client's fault
	evicted bool
}

// errEvicted is the end of a handshake that had to make room.
var errEvicted = fmt.Errorf("%w: of those that wait for their clients it had waited longest", ErrBusy)

// peerKey is what counts as one peer: an address, of IPv6 the 64 bits that one customer gets at least (RFC 6177).
func peerKey(a netip.Addr) netip.Addr {
	if a = a.Unmap(); a.Is4() || a.IsLinkLocalUnicast() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a // it has no address
	}
	return p.Addr()
}

// beginHandshake counts one more, and evicts another if there are as many as may be.
func (w *worker) beginHandshake(ctx context.Context, c *Conn) (*handshake, error) {
	if w.shakes == nil {
		w.shakes = &handshakes{
			slots:  coro.NewSemaphore(w.srv.limits.Handshakes),
			limits: &w.srv.limits,
			peers:  make(map[netip.Addr]*peerHandshakes),
		}
	}
	a := w.shakes
	h := &handshake{ctx: ctx, of: a, c: c}
	if peer := c.raw.peer; peer.IsValid() && a.limits.UnfinishedPerPeer > 0 {
		h.key = peerKey(peer.Addr())
		if p := a.peers[h.key]; p != nil && p.n >= a.limits.UnfinishedPerPeer && !evict(&p.waiting) {
			return nil, ErrBusy
		}
	}
	if a.n >= a.limits.UnfinishedHandshakes && !evict(&a.waiting) {
		return nil, ErrBusy
	}
	a.n++
	w.srv.stats.handshaking.Add(1)
	if h.key.IsValid() {
		if h.peer = a.peers[h.key]; h.peer == nil { // evict may have removed it
			h.peer = new(peerHandshakes)
			a.peers[h.key] = h.peer
		}
		h.peer.n++
	}
	if err := h.work(); err != nil {
		h.end()
		return nil, err
	}
	return h, nil
}

// evict ends the first that waits; it reports whether there was one.
func evict(waiting *list.List) bool {
	front := waiting.Front()
	if front == nil {
		return false
	}
	h := front.Value.(*handshake)
	h.evicted = true
	h.end()
	h.c.raw.abort(errEvicted) // which wakes it at the end of the turn
	return true
}

// end counts it out, however it ended.
func (h *handshake) end() {
	a := h.of
	if a == nil {
		return
	}
	h.rest()
	h.leave()
	h.of = nil
	a.n--
	h.c.raw.w.srv.stats.handshaking.Add(-1)
	if p := h.peer; p != nil {
		if p.n--; p.n == 0 {
			delete(a.peers, h.key)
		}
	}
}

// work waits for a slot.
func (h *handshake) work() error {
	if !h.of.slots.TryAcquire(1) {
		h.late = true
		if err := h.of.slots.Acquire(h.ctx, 1); err != nil {
			return err
		}
		h.late = false
	}
	h.working = true
	return nil
}

// rest gives the slot back.
func (h *handshake) rest() {
	if h.working {
		h.working = false
		h.of.slots.Release(1)
	}
}

// queue goes to the end of those that wait for their clients, and leave leaves them.
func (h *handshake) queue() {
	h.places[0] = h.of.waiting.PushBack(h)
	if h.peer != nil {
		h.places[1] = h.peer.waiting.PushBack(h)
	}
}

func (h *handshake) leave() {
	if h.places[0] != nil {
		h.of.waiting.Remove(h.places[0])
	}
	if h.places[1] != nil {
		h.peer.waiting.Remove(h.places[1])
	}
	h.places = [2]*list.Element{}
}

// read is stream.read, which holds no slot while it waits.
func (h *handshake) read(t *coro.Task, p []byte) (int, error) {
	s := &h.c.raw
	if len(s.peek()) > 0 {
		return s.read(t, p)
	}
	h.rest()
	h.queue()
	n, err := s.read(t, p)
	if h.evicted {
		return 0, errEvicted
	}
	h.leave()
	if err != nil {
		return 0, err
	}
	return n, h.work()
}
