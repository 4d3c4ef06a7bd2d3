package plexor

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/plexor-go/plexor/frame"
)

// An Audience is a group of outboxes to which one thing is sent at once: the members of a room, the subscribers of a
// subject. The message is encoded once for each codec that members have; each loop gets its share of the members in
// one go, and writes to them one after the other. The bytes are one piece of memory for all: they are copied when a
// member's connection takes them, or stay where they are while its Outbox holds them. (Over TLS they are encrypted
// for each.) Between some 2000 members a loop looks after its other connections.
//
// Who is a member when Send is called gets the message, unless its connection is closed before its loop has come to
// it; on the loop that calls Send that is at once for the first 2000. All members get the messages of an Audience in
// the same order, also if several goroutines send at once. For each member it is as if it were put into the Outbox by
// Put: between other entries in order, with the bounds and the choice of its OutboxLimits when that is full. What a
// member misses so is counted in its OutboxStats, and is no error of Send.
//
// A member leaves by itself when its connection ends, or is given away by Shared. The zero value is ready, and empty.
// All methods may be called by any goroutine.
type Audience struct {
	mu     sync.Mutex
	shares []*share // those with the same codec lie next to each other
	seats  map[*Outbox]seat
	missed atomic.Int64
}

// A share is the members on one loop that have one codec.
type share struct {
	w       *worker
	codec   frame.Codec
	members []*Outbox
	lent    bool // a cast has members: it must not change, but for what is appended
}

// A seat is a member's place.
type seat struct {
	share *share
	i     int
}

// Add makes o a member; one that is stays so once. The error is o.Err if its connection has ended.
func (a *Audience) Add(o *Outbox) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, in := a.seats[o]; in {
		return nil
	}
	o.mu.Lock()
	w, codec, err := o.w, o.codec, o.err
	if err == nil {
		o.in = append(o.in, a)
	}
	o.mu.Unlock()
	if err != nil {
		return err
	}
	s := a.shareOf(w, codec)
	if a.seats == nil {
		a.seats = make(map[*Outbox]seat)
	}
	a.seats[o] = seat{s, len(s.members)}
	s.members = append(s.members, o)
	return nil
}

// shareOf is the share for members of that kind.
func (a *Audience) shareOf(w *worker, codec frame.Codec) *share {
	for _, s := range a.shares {
		if s.w == w && sameCodec(s.codec, codec) {
			return s
		}
	}
	s := &share{w: w, codec: codec}
	i := slices.IndexFunc(a.shares, func(o *share) bool { return sameCodec(o.codec, codec) })
	a.shares = slices.Insert(a.shares, max(i, 0), s)
	return s
}

// sameCodec reports whether a and b encode alike. Of those that can't be compared nobody knows.
func sameCodec(a, b frame.Codec) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// Remove ends o's membership, and reports whether there was one. What was sent before still goes to o.
func (a *Audience) Remove(o *Outbox) bool {
	if !a.forget(o) {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.Index(o.in, a); i >= 0 {
		o.in = slices.Delete(o.in, i, i+1)
	}
	return true
}

// forget takes o out of the shares.
func (a *Audience) forget(o *Outbox) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, in := a.seats[o]
	if !in {
		return false
	}
	delete(a.seats, o)
	s := at.share
	if s.lent {
		s.members, s.lent = slices.Clone(s.members), false
	}
	last := len(s.members) - 1
	if moved := s.members[last]; moved != o {
		s.members[at.i] = moved
		a.seats[moved] = at
	}
	s.members[last] = nil
	if s.members = s.members[:last]; last == 0 {
		a.shares = slices.DeleteFunc(a.shares, func(o *share) bool { return o == s })
	}
	return true
}

// Len is how many members there are.
func (a *Audience) Len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seats)
}

// Missed counts, by member, what went to none of a loop's members, since too much waited for the loop: see Send.
func (a *Audience) Missed() int64 { return a.missed.Load() }

// Send sends msg to all members, as Outbox.Send does, and never waits. msg is the caller's again when it returns. If
// a member has no codec, or its codec refuses the message, nobody gets it, and that is the error. If a loop is held
// up, so that 4096 pieces or 16 MiB of audiences wait for it, its members miss the message and all others get it: the
// error is ErrOutboxFull to errors.Is.
func (a *Audience) Send(msg []byte) error { return a.send(nil, nil, msg) }

// SendExcept is Send to all members but one.
func (a *Audience) SendExcept(o *Outbox, msg []byte) error { return a.send(o, nil, msg) }

// SendLatest is Send, by Outbox.SendLatest: where an entry with the same key waits, msg takes its place.
func (a *Audience) SendLatest(key any, msg []byte) error { return a.send(nil, key, msg) }

// Put is Send for what is prepared, whatever codec a member has.
func (a *Audience) Put(m Prepared) error {
	return a.hand(cast{}, func(*share) ([]byte, error) { return m.p, nil })
}

// PutExcept is Put to all members but one, and by Outbox.PutLatest if key is not nil; except may be nil.
func (a *Audience) PutExcept(except *Outbox, key any, m Prepared) error {
	return a.hand(cast{except: except, key: key}, func(*share) ([]byte, error) { return m.p, nil })
}

func (a *Audience) send(except *Outbox, key any, msg []byte) error {
	var codec frame.Codec
	var p []byte
	return a.hand(cast{except: except, key: key}, func(s *share) ([]byte, error) {
		if p != nil && sameCodec(s.codec, codec) { // they lie next to each other
			return p, nil
		}
		m, err := Prepare(s.codec, msg)
		codec, p = s.codec, m.p
		return p, err
	})
}

// hand gives each share its cast, with the bytes that p has for it. All loops get the casts of an Audience in the
// same order.
func (a *Audience) hand(c cast, p func(*share) ([]byte, error)) error {
	here, missed, err := a.handLocked(c, p)
	if here != nil {
		here.mail.run()
	}
	switch {
	case err != nil:
		return err
	case missed > 0:
		a.missed.Add(int64(missed))
		return fmt.Errorf("plexor: audience: a loop is held up, and its %d members miss a message: %w", missed, ErrOutboxFull)
	}
	return nil
}

// handLocked returns the worker whose loop the caller is on, if that has a share.
func (a *Audience) handLocked(c cast, p func(*share) ([]byte, error)) (here *worker, missed int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	pieces := make([][]byte, len(a.shares))
	for i, s := range a.shares {
		if pieces[i], err = p(s); err != nil {
			return nil, 0, err
		}
	}
	for i, s := range a.shares {
		if len(pieces[i]) == 0 {
			continue
		}
		c.to, c.p = s.members, pieces[i]
		if !s.w.mail.cast(c) {
			missed += len(s.members)
			continue
		}
		if s.lent = true; here == nil && s.w.loop.OnLoop() {
			here = s.w
		}
		s.w.mail.ask()
	}
	return here, missed, nil
}
