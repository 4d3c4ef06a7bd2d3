package mq

import (
	"context"
	"slices"
	"time"
)

// A memSource is a consumer of a memQueue.
type memSource struct {
	s    *memStore
	q    *memQueue
	g    *memGroup
	o    SubscribeOptions
	wake chan struct{} // has a token when there may be something new

	has    map[*memItem]struct{} // under s.mu, as the rest
	closed bool
	gone   bool // the queue was deleted
}

func (s *memSource) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *memSource) Next(ctx context.Context, most int) ([]*Delivery, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		ds, err := s.take(most)
		if len(ds) > 0 || err != nil {
			return ds, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		}
	}
}

func (s *memSource) take(most int) ([]*Delivery, error) {
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.gone:
		return nil, ErrNoQueue
	}
	ds := s.q.take(time.Now(), s.g, s, most)
	if len(ds) > 0 {
		s.s.arm(s.q.next())
	}
	return ds, nil
}

// with finds a delivery's item, if it is here still, and does something with it.
func (s *memSource) with(d *Delivery, f func(now time.Time, i *memItem) error) error {
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	now := time.Now()
	i, err := s.q.mine(now, s, d)
	if err == nil {
		err = f(now, i)
	}
	s.s.changed(s.q)
	return err
}

func (s *memSource) Ack(_ context.Context, d *Delivery) error {
	return s.with(d, func(now time.Time, i *memItem) error {
		s.q.ack(now, s.g, i)
		return nil
	})
}

func (s *memSource) Nak(_ context.Context, d *Delivery, delay time.Duration, history []byte) error {
	return s.with(d, func(now time.Time, i *memItem) error {
		s.q.nak(now, s.g, i, delay, history)
		return nil
	})
}

func (s *memSource) Extend(_ context.Context, d *Delivery) error {
	return s.with(d, func(now time.Time, i *memItem) error {
		s.q.extend(now, s.g, i)
		return nil
	})
}

func (s *memSource) Bury(_ context.Context, d *Delivery, history []byte) error {
	return s.with(d, func(now time.Time, i *memItem) error { return s.q.bury(now, s.g, i, history) })
}

func (s *memSource) Close() error {
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.q.close(time.Now(), s.g, s)
	s.g.sources = slices.DeleteFunc(s.g.sources, func(o *memSource) bool { return o == s })
	s.notify()
	s.s.changed(s.q)
	return nil
}
