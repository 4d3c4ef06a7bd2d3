package mq

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"
)

// mem://NAME is a broker in the memory of this process: those who open the same name have the same queues, which are
// gone when the last of them has closed. mem:// without a name is nobody else's. It has no parameters.
func init() { Register("mem", Driver{Open: openMem}) }

var memStores struct {
	sync.Mutex
	of map[string]*memStore
}

func openMem(_ context.Context, u *url.URL, _ Options) (Backend, error) {
	if u.RawQuery != "" || u.Opaque != "" || u.User != nil || u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("mq: mem:// takes a name and nothing else: mem://NAME")
	}
	if u.Host == "" {
		return &memBackend{s: newMemStore(), name: ""}, nil
	}
	if err := checkName("mem:// broker", u.Host); err != nil {
		return nil, err
	}
	memStores.Lock()
	defer memStores.Unlock()
	s := memStores.of[u.Host]
	if s == nil {
		s = newMemStore()
		if memStores.of == nil {
			memStores.of = make(map[string]*memStore)
		}
		memStores.of[u.Host] = s
	}
	s.users++
	return &memBackend{s: s, name: u.Host}, nil
}

// A memStore is the driver of memQueues: it has the lock and the clock, and wakes those who wait.
type memStore struct {
	users int // under memStores

	mu     sync.Mutex
	queues map[string]*memQueue
	kvs    map[string]*memKV
	kvSize int
	timer  *time.Timer
	armed  time.Time // when timer fires; zero: it does not
	closed bool
}

func newMemStore() *memStore {
	return &memStore{queues: make(map[string]*memQueue), kvs: make(map[string]*memKV)}
}

// changed wakes who can be served, and sets the timer. s.mu is held, and q has been ticked.
func (s *memStore) changed(q *memQueue) {
	for _, g := range q.groups {
		if len(g.ready) > 0 {
			for _, src := range g.sources {
				src.notify()
			}
		}
	}
	s.arm(q.next())
}

// memLook bounds how long the timer sleeps: a delay ends by the wall's clock, and that may be put forward meanwhile.
const memLook = time.Minute

// arm has the timer fire at a time, if it does not before.
func (s *memStore) arm(at time.Time) {
	if at.IsZero() || s.closed {
		return
	}
	now := time.Now()
	if look := now.Add(memLook); at.After(look) {
		at = look
	}
	if !s.armed.IsZero() && !at.Before(s.armed) {
		return
	}
	s.armed = at
	if s.timer == nil {
		s.timer = time.AfterFunc(at.Sub(now), s.fire)
	} else {
		s.timer.Reset(at.Sub(now))
	}
}

func (s *memStore) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = time.Time{}
	now := time.Now().Round(0) // by the wall's clock
	for _, q := range s.queues {
		q.tick(now)
		s.changed(q)
	}
}

func (s *memStore) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

// A memBackend is one who has opened a memStore.
type memBackend struct {
	s    *memStore
	name string
	once sync.Once
}

func (b *memBackend) Capabilities() Capabilities { return known[0].Can }

func (b *memBackend) OpenQueue(_ context.Context, name string, o QueueOptions) (BackendQueue, error) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	q := b.s.queues[name]
	if q == nil {
		q = newMemQueue(name, o)
		b.s.queues[name] = q
	}
	return &memHandle{b.s, q}, o.Differs(name, q.o)
}

func (b *memBackend) Queues(context.Context) ([]string, error) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	return slices.Sorted(maps.Keys(b.s.queues)), nil
}

func (b *memBackend) DeleteQueue(_ context.Context, name string) error {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	q := b.s.queues[name]
	if q == nil {
		return ErrNoQueue
	}
	delete(b.s.queues, name)
	for _, g := range q.groups {
		for _, src := range g.sources {
			src.gone = true
			src.notify()
		}
	}
	return nil
}

func (b *memBackend) Close() error {
	b.once.Do(func() {
		memStores.Lock()
		defer memStores.Unlock()
		if b.s.users--; b.s.users > 0 {
			return
		}
		if b.name != "" {
			delete(memStores.of, b.name)
		}
		b.s.close()
	})
	return nil
}

// A memHandle is a queue of a store.
type memHandle struct {
	s *memStore
	q *memQueue
}

func (h *memHandle) Settings() QueueOptions { return h.q.o }

func (h *memHandle) Publish(_ context.Context, ms []*Message, rs []Receipt) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	now := time.Now()
	for i, m := range ms {
		if h.s.queues[h.q.name] != h.q {
			rs[i].Err = &PublishError{Stored: NotStored, Err: ErrNoQueue}
			continue
		}
		rs[i].Duplicate, rs[i].Err = h.q.publish(now, m)
	}
	h.s.changed(h.q)
}

func (h *memHandle) Group(_ context.Context, group string) error {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.q.group(group)
	return nil
}

func (h *memHandle) Subscribe(_ context.Context, group string, o SubscribeOptions) (Source, error) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	src := &memSource{s: h.s, q: h.q, g: h.q.group(group), o: o, has: make(map[*memItem]struct{}),
		wake: make(chan struct{}, 1)}
	src.g.sources = append(src.g.sources, src)
	return src, nil
}

func (h *memHandle) Dead(_ context.Context, after string, most int) ([]DeadJob, error) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	return h.q.listDead(after, most), nil
}

func (h *memHandle) Redrive(_ context.Context, ref string) error {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	defer h.s.changed(h.q)
	return h.q.redrive(time.Now(), ref)
}

func (h *memHandle) Drop(_ context.Context, ref string) error {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	return h.q.drop(ref)
}

func (h *memHandle) Stats(context.Context) (QueueStats, error) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.q.tick(time.Now())
	return h.q.stats(), nil
}
