package bus

import (
	"errors"
	"sync"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/proto/websocket"
)

// An Outlet is where a connection's messages are put, encoded as T. Put never waits. An error that is
// plexor.ErrOutboxFull or websocket.ErrFull to errors.Is means that there is no room now, any other one that the
// connection is over. A *plexor.Outbox is an Outlet[plexor.Prepared].
type Outlet[T any] interface {
	comparable
	Put(T) error
}

// An Audience are connections that are in a room: each event is encoded once, and put into the outlet of each. It is
// what Subscription is for a goroutine.
//
// A connection that does not read delays nobody, and costs no memory beyond its outlet's bound: when that is full,
// the connection falls behind, and gets what it missed from what the node keeps of the room, as soon as it reads
// again; if that is gone it gets a Gap. So its outlet must refuse what does not fit (plexor.RefuseNewest, which is the
// default), or close the connection; one that drops the oldest would drop them untold.
//
// All methods are for any goroutine.
type Audience[O Outlet[T], T any] struct {
	room   Room
	encode func(Event) (T, bool)
	all    *Subscription // of those who keep up
	poke   chan struct{}
	ends   sync.WaitGroup

	mu      sync.Mutex
	members map[O]*member[O]
	even    []*member[O] // keep up
	late    []*member[O] // are behind, or have just come
	closed  bool
}

type member[O any] struct {
	o    O
	c    *cursor // of one that is behind; nil: it keeps up
	gone bool
}

// lateEvery is how often those who are behind are tried.
const lateEvery = 25 * time.Millisecond

// lateAtOnce is how many events one of them gets before the others have their turn.
const lateAtOnce = 64

// NewAudience is an audience without connections. encode makes of an event what is sent; false: nothing is. One
// goroutine calls it.
func NewAudience[O Outlet[T], T any](r Room, encode func(Event) (T, bool)) (*Audience[O, T], error) {
	all, err := r.Subscribe()
	if err != nil {
		return nil, err
	}
	a := &Audience[O, T]{room: r, encode: encode, all: all, poke: make(chan struct{}, 1),
		members: make(map[O]*member[O])}
	a.ends.Add(1)
	go a.run()
	return a, nil
}

// Add makes a connection a member, from now on or behind positions, as [Room.Subscribe] does; one that is stays so.
func (a *Audience[O, T]) Add(o O, after ...Position) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return ErrClosed
	}
	if a.members[o] != nil {
		return nil
	}
	m := &member[O]{o: o}
	err := a.room.in(func(in *room) error {
		m.c = in.subscribe(after, func() {})
		return nil
	})
	if err != nil {
		return err
	}
	a.members[o] = m
	a.late = append(a.late, m)
	offer(a.poke)
	return nil
}

// Remove ends a connection's membership, and reports whether there was one. A connection that has ended leaves by
// itself when the next event is put.
func (a *Audience[O, T]) Remove(o O) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.members[o]
	if m == nil {
		return false
	}
	delete(a.members, o)
	m.gone = true
	offer(a.poke)
	return true
}

// Len is how many members there are.
func (a *Audience[O, T]) Len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.members)
}

// Close ends the audience, not its connections.
func (a *Audience[O, T]) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.all.Close()
	a.ends.Wait()
}

// run puts events into outlets, until the audience or the bus is closed.
func (a *Audience[O, T]) run() {
	defer a.ends.Done()
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	for {
		for a.cast() {
		}
		if a.catchUp() {
			t.Reset(lateEvery)
		} else {
			t.Reset(time.Hour)
		}
		select {
		case <-a.all.ready:
		case <-a.poke:
		case <-t.C:
		case <-a.all.over:
			a.leave()
			return
		case <-a.room.b.done:
			a.leave()
			return
		}
	}
}

// leave ends what those who are behind hold.
func (a *Audience[O, T]) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.room.b.do(func(*machine) {
		for _, m := range a.late {
			m.c.end()
		}
	})
}

// cast puts the next event into the outlets of those who keep up, and reports whether there was one. Who has no room
// falls behind.
func (a *Audience[O, T]) cast() bool {
	b := a.room.b
	b.mu.Lock()
	before := a.all.c.place
	e, ok := a.all.c.next()
	b.mu.Unlock()
	if !ok {
		return false
	}
	p, ok := a.encode(e)
	if !ok {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	keep := a.even[:0]
	for _, m := range a.even {
		switch err := a.put(m, p); {
		case err == nil:
			keep = append(keep, m)
		case isFull(err):
			a.fallBehind(m, before)
		}
	}
	clear(a.even[len(keep):])
	a.even = keep
	return true
}

// put gives p to a member that is one, and lets one that has ended go.
func (a *Audience[O, T]) put(m *member[O], p T) error {
	if m.gone {
		return ErrClosed
	}
	err := m.o.Put(p)
	if err != nil && !isFull(err) {
		m.gone = true
		delete(a.members, m.o)
	}
	return err
}

func isFull(err error) bool {
	return errors.Is(err, plexor.ErrOutboxFull) || errors.Is(err, websocket.ErrFull)
}

// fallBehind gives a member a place of its own, at the event that it could not take.
func (a *Audience[O, T]) fallBehind(m *member[O], at place) {
	err := ErrClosed
	a.room.b.do(func(*machine) {
		all := a.all.c
		if all.r == nil {
			return
		}
		m.c, err = all.r.subscribe(nil, func() {}), nil
		m.c.place = at
	})
	if err == nil {
		a.late = append(a.late, m)
	}
}

// catchUp gives those who are behind what they can take, and reports whether some are left.
func (a *Audience[O, T]) catchUp() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	late := a.late
	a.late = nil
	for _, m := range late {
		if !a.catchUpOne(m) {
			a.late = append(a.late, m)
		}
	}
	return len(a.late) > 0
}

// catchUpOne reports that a member is no longer behind. The caller holds mu.
func (a *Audience[O, T]) catchUpOne(m *member[O]) (over bool) {
	b := a.room.b
	for range lateAtOnce {
		if m.gone {
			b.do(func(*machine) { m.c.end() })
			return true
		}
		var e Event
		var ok, even bool
		var before place
		b.do(func(*machine) {
			before = m.c.place
			if e, ok = m.c.next(); !ok && m.c.known && a.all.c.known && m.c.at == a.all.c.at {
				even = true
				m.c.end()
			}
		})
		switch {
		case even:
			m.c = nil
			a.even = append(a.even, m)
			return true
		case !ok:
			return false
		}
		p, ok := a.encode(e)
		if !ok {
			continue
		}
		if err := a.put(m, p); err != nil && isFull(err) {
			b.do(func(*machine) { m.c.place = before })
			return false
		}
	}
	return false
}
