package web

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/proto/websocket"
)

// A Hub is a group of WebSocket connections to which one message is sent at once: a room. It is encoded once, and
// compressed once for those that have agreed on that without a window of the server's; others get it plain.
//
//	var room web.Hub
//	h := &websocket.Sockets[struct{}]{
//		Open:    func(s *websocket.Socket, r *http.Request) (struct{}, error) { return struct{}{}, room.Join(s) },
//		Message: func(s *websocket.Socket, _ struct{}, m websocket.Message) error { return room.Send(m) },
//	}
//
// A member that does not read misses what finds no room in its queue, or is closed, as Limits says, and delays
// nobody. On the engine the queue is the connection's [plexor.Outbox], and each loop writes to its members in one go;
// a member under net/http has a queue of its own, and a goroutine while there is something in it. All members get the
// messages of a Hub in the same order. A member leaves by itself when its connection ends.
//
// The zero value is ready, and empty. Set the fields before the first Join. All methods are for any goroutine, but
// Join.
type Hub struct {
	// Limits, unless zero, are set for the queue of each who joins: how much may wait, and what happens when it is full.
	Limits plexor.OutboxLimits
	// Deflate says how hard messages are compressed, and from which length on; nil: as a websocket.Deflate does by
	// default.
	Deflate *websocket.Deflate

	plain, packed plexor.Audience
	missed        atomic.Int64

	mu      sync.Mutex
	seats   map[*websocket.Socket]*plexor.Outbox // nil: it has a goroutine
	longest int                                  // frame that one of them may have, in bytes
	sending bool                                 // somebody does, and sends what others add
	casts   []cast
}

// A cast is a message to all.
type cast struct {
	p      *websocket.Prepared
	except *websocket.Socket
	key    any
}

// mostCasts bounds the messages that wait in a Hub while another one is handed to its members.
const mostCasts = 4096

// Join makes s a member; one that is stays so once. On the engine it is for the functions of websocket.Sockets.
func (h *Hub) Join(s *websocket.Socket) error {
	k, engine := s.NetConn().(*conn)
	var box *plexor.Outbox
	switch {
	case engine:
		box = k.c.Outbox()
		if h.Limits != (plexor.OutboxLimits{}) {
			if err := box.SetLimits(h.Limits); err != nil {
				return err
			}
		}
	case h.Limits != (plexor.OutboxLimits{}):
		s.SetPostLimits(websocket.PostLimits{Bytes: h.Limits.Bytes, Entries: h.Limits.Entries,
			DropOldest: h.Limits.WhenFull == plexor.DropOldest, Close: h.Limits.WhenFull == plexor.CloseWhenFull})
	}
	longest := s.PostLimits().Bytes
	if engine {
		longest = box.Limits().Bytes
	}
	h.mu.Lock()
	h.longest = max(h.longest, longest)
	if _, in := h.seats[s]; in {
		h.mu.Unlock()
		return nil
	}
	if h.seats == nil {
		h.seats = make(map[*websocket.Socket]*plexor.Outbox)
	}
	h.seats[s] = box
	h.mu.Unlock()
	err := s.OnEnd(h, func() { h.Leave(s) })
	if err == nil && box != nil {
		err = h.audience(s).Add(box)
	}
	if err != nil {
		h.Leave(s)
	}
	return err
}

// audience is the one for what s has agreed on.
func (h *Hub) audience(s *websocket.Socket) *plexor.Audience {
	if sharesPacked(s.Compression()) {
		return &h.packed
	}
	return &h.plain
}

// sharesPacked reports whether what is compressed with an empty window of full size can be had by a connection,
// whatever else it is sent.
func sharesPacked(c *websocket.Compression) bool {
	return c != nil && !c.SendWindow && c.SendBits == 15
}

// Leave ends the membership of s, and reports whether there was one. What was sent before still goes to it.
func (h *Hub) Leave(s *websocket.Socket) bool {
	h.mu.Lock()
	box, in := h.seats[s]
	delete(h.seats, s)
	h.mu.Unlock()
	if box != nil {
		h.audience(s).Remove(box)
	}
	s.OnEnd(h, nil)
	return in
}

// Len is how many members there are.
func (h *Hub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.seats)
}

// Missed counts what went to none of a loop's members, since too much waited for that loop, by member; and what
// members under net/http have missed.
func (h *Hub) Missed() int64 { return h.plain.Missed() + h.packed.Missed() + h.missed.Load() }

// Send sends a message to all members, and never waits. It is the caller's again when Send returns. Text that is not
// UTF-8 is refused. plexor.ErrOutboxFull, by errors.Is, is a loop that is held up, whose members miss the message
// while all others get it, or a Hub that is itself: what a single slow member misses is no error.
// plexor.ErrOutboxTooLong is what is longer than OutboxLimits.Bytes of all who have joined. While another goroutine
// sends, that one sends this message too, and has its error.
func (h *Hub) Send(m websocket.Message) error { return h.send(m, cast{}) }

// SendText is Send of a text.
func (h *Hub) SendText(text string) error {
	return h.Send(websocket.Message{Op: websocket.Text, Data: []byte(text)})
}

// SendExcept is Send to all but one.
func (h *Hub) SendExcept(s *websocket.Socket, m websocket.Message) error {
	return h.send(m, cast{except: s})
}

// SendLatest is Send for what only the latest of is of interest: where a message with the same key, which must be
// comparable, waits for a member, m takes its place.
func (h *Hub) SendLatest(key any, m websocket.Message) error { return h.send(m, cast{key: key}) }

func (h *Hub) send(m websocket.Message, c cast) (err error) {
	if c.p, err = websocket.Prepare(m.Op, append([]byte(nil), m.Data...), h.Deflate); err != nil {
		return err
	}
	h.mu.Lock()
	if len(h.casts) >= mostCasts {
		h.mu.Unlock()
		return plexor.ErrOutboxFull
	}
	h.casts = append(h.casts, c)
	if h.sending {
		h.mu.Unlock()
		return nil
	}
	h.sending = true
	for len(h.casts) > 0 {
		c := h.casts[0]
		if h.casts = h.casts[1:]; len(h.casts) == 0 {
			h.casts = nil
		}
		except := h.seats[c.except]
		longest := h.longest
		var others []*websocket.Socket
		for s, box := range h.seats {
			if box == nil && s != c.except {
				others = append(others, s)
			}
		}
		h.mu.Unlock()
		err = errors.Join(err, h.hand(c, except, others, longest))
		h.mu.Lock()
	}
	h.sending = false
	h.mu.Unlock()
	return err
}

// hand gives a message to all, with frames of so many bytes at most.
func (h *Hub) hand(c cast, except *plexor.Outbox, others []*websocket.Socket, longest int) error {
	var errs []error
	var tooLong bool
	for _, to := range []*plexor.Audience{&h.plain, &h.packed} {
		if to.Len() == 0 {
			continue
		}
		var agreed *websocket.Compression
		if to == &h.packed {
			agreed = &websocket.Compression{SendBits: 15, ReceiveBits: 15}
		}
		frame := c.p.Frame(agreed)
		if len(frame) > longest {
			tooLong = true
			continue
		}
		errs = append(errs, to.PutExcept(except, c.key, plexor.PrepareBytes(frame)))
	}
	for _, s := range others {
		agreed := s.Compression()
		if !sharesPacked(agreed) {
			agreed = nil
		}
		frame := c.p.Frame(agreed)
		if len(frame) > longest {
			tooLong = true
			continue
		}
		switch err := s.PostFrame(c.key, frame); err {
		case websocket.ErrFull, websocket.ErrTooLong:
			h.missed.Add(1)
		}
	}
	if tooLong {
		errs = append(errs, plexor.ErrOutboxTooLong)
	}
	return errors.Join(errs...)
}
