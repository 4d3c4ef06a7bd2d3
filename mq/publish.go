package mq

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/plexor-go/plexor/internal/stack"
)

// Pauses of a Publish with QueueOptions.Wait: a queue is full for long, or for the moment.
const (
	firstFull = 10 * time.Millisecond
	lastFull  = time.Second
)

// publish is PublishBatch.
func (q *Queue) publish(ctx context.Context, ms []Message) ([]Receipt, error) {
	stack.Given("mq: Queue.Publish", "the context", ctx != nil)
	rs := make([]Receipt, len(ms))
	own := slices.Clone(ms)                                           // the caller's are not changed
	good, at := make([]*Message, 0, len(ms)), make([]int, 0, len(ms)) // at: where in ms and rs
	var random []byte
	now := time.Now()
	for i := range own {
		m := &own[i]
		if m.ID == "" {
			if len(random) == 0 {
				random = make([]byte, idSize*(len(own)-i)) // one call for all: of a batch few have an ID, or all
				_, _ = rand.Read(random)                   // it never fails
			}
			m.ID, random = newID(random[:idSize]), random[idSize:]
		}
		rs[i].ID = m.ID
		if rs[i].Err = q.refuses(m, now); rs[i].Err != nil {
			q.b.counts.refused.Add(1)
			continue
		}
		good, at = append(good, m), append(at, i)
	}
	_, err := await(ctx, "mq: publish", func(ctx context.Context) (struct{}, error) {
		for len(good) > 0 {
			n := min(len(good), q.b.opt.Limits.Batch)
			part := make([]Receipt, n)
			q.store(ctx, good[:n], part)
			for i, r := range part {
				rs[at[i]] = r
			}
			good, at = good[n:], at[n:]
		}
		return struct{}{}, nil
	})
	for _, r := range rs {
		if r.Err != nil && err == nil {
			err = r.Err
		}
	}
	return rs, err
}

// idSize is how many characters an ID has that Publish makes, each of five random bits: what crypto/rand.Text has.
const idSize = 26

// newID makes one of so many random bytes, which it changes.
func newID(random []byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	for i, b := range random {
		random[i] = alphabet[b%32]
	}
	return string(random)
}

func (q *Queue) refuses(m *Message, now time.Time) error {
	if err := q.b.opt.Limits.check(m); err != nil {
		return err
	}
	if m.Priority < 0 || m.Priority >= q.o.Priorities {
		return fmt.Errorf("mq: Message.Priority is %d: queue %s has %d priorities, from 0", m.Priority, q.name,
			q.o.Priorities)
	}
	return checkTimes(q.name, &q.b.can, m, now)
}

// store publishes a part of a batch, and waits for room if it is to.
func (q *Queue) store(ctx context.Context, ms []*Message, rs []Receipt) {
	for i, m := range ms {
		rs[i].ID = m.ID
	}
	if err := q.b.life.Err(); err != nil || ctx.Err() != nil {
		for i := range rs {
			rs[i].Err = &PublishError{Stored: NotStored, Err: context.Cause(ctx)}
			if err != nil {
				rs[i].Err = &PublishError{Stored: NotStored, Err: ErrClosed}
			}
		}
	} else {
		q.q.Publish(ctx, ms, rs)
	}
	q.waitForRoom(ctx, ms, rs)
	for i := range rs {
		q.count(&rs[i])
	}
}

// waitForRoom publishes again what found the queue full, if that is to wait.
func (q *Queue) waitForRoom(ctx context.Context, ms []*Message, rs []Receipt) {
	for pause := firstFull; q.o.Wait; pause = min(2*pause, lastFull) {
		var late []*Message
		var at []int
		for i := range rs {
			if errors.Is(rs[i].Err, ErrFull) {
				late, at = append(late, ms[i]), append(at, i)
			}
		}
		if len(late) == 0 {
			return
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-q.b.life.Done():
			t.Stop()
			return
		case <-ctx.Done():
			t.Stop()
			return // ErrFull says more than the context's end
		}
		again := make([]Receipt, len(late))
		for i, m := range late {
			again[i].ID = m.ID
		}
		q.q.Publish(ctx, late, again)
		for i, r := range again {
			if ctx.Err() == nil || StoredBy(r.Err) != NotStored { // else ErrFull says more
				rs[at[i]] = r
			}
		}
		if len(late) > 0 && !errors.Is(again[0].Err, ErrFull) {
			pause = firstFull / 2
		}
	}
}

// count completes a receipt's error, and counts it.
func (q *Queue) count(r *Receipt) {
	var e *PublishError
	switch {
	case r.Err == nil && r.Duplicate:
		q.b.counts.duplicates.Add(1)
		return
	case r.Err == nil:
		q.b.counts.published.Add(1)
		return
	case errors.Is(r.Err, ErrFull):
		q.b.counts.refused.Add(1)
	default:
		q.b.counts.failed.Add(1)
	}
	if !errors.As(r.Err, &e) {
		e = &PublishError{Stored: PerhapsStored, Err: r.Err}
		if errors.Is(r.Err, ErrFull) {
			e.Stored = NotStored
		}
	}
	r.Err = &PublishError{Queue: q.name, ID: r.ID, Stored: e.Stored, Err: e.Err}
}
