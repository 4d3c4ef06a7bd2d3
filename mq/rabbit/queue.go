package rabbit

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/plexor-go/plexor/mq"
)

// A queue is one that was opened.
type queue struct {
	b    *backend
	name string
	has  mq.QueueOptions
}

func (q *queue) Settings() mq.QueueOptions { return q.has }

// wrap says what failed.
func (q *queue) wrap(what string, err error) error {
	if isNotFound(err) {
		err = errors.Join(mq.ErrNoQueue, err)
	}
	return fmt.Errorf("rabbit: queue %s: %s: %w", q.name, what, err)
}

func isNotFound(err error) bool {
	var e *amqp.Error
	return errors.As(err, &e) && e.Code == amqp.NotFound
}

func (q *queue) Publish(ctx context.Context, ms []*mq.Message, rs []mq.Receipt) {
	now := time.Now()
	ps := make([]parcel, len(ms))
	x := q.b.name("x", q.name)
	for i, m := range ms {
		ps[i] = post(m, now)
		ps[i].exchange = x
		if d := m.NotBefore.Sub(now); !m.NotBefore.IsZero() && d > 0 {
			var err error
			if ps[i].exchange, ps[i].key, err = q.delayed(ctx, d, x); err != nil {
				for j := range rs {
					rs[j].Err = &mq.PublishError{Stored: mq.NotStored, Err: err}
				}
				return
			}
		}
	}
	for i, err := range q.b.link.publish(ctx, ps) {
		if errors.Is(err, errUnroutable) {
			err = &mq.PublishError{Stored: mq.NotStored, Err: mq.ErrNoQueue}
		}
		rs[i].Err = err
	}
}

func (q *queue) Dead(ctx context.Context, after string, most int) (jobs []mq.DeadJob, err error) {
	found := after == ""
	err = q.b.browse(ctx, q.b.name("d", q.name), func(d amqp.Delivery) (verdict, error) {
		ref, _ := d.Headers[headRef].(string)
		switch {
		case !found:
			found = ref == after
			return keep, nil
		case len(jobs) == most:
			return enough, nil
		}
		l, err := read(&d)
		if err != nil {
			q.b.log.Error("rabbit: a dead job that can't be read", "queue", q.name, "err", err)
			return keep, nil
		}
		j := mq.DeadJob{Message: l.m, Ref: ref, Queue: q.name, Published: l.published}
		j.Group, _ = d.Headers[headGroup].(string)
		if ns, ok := d.Headers[headDied].(int64); ok {
			j.Died = time.Unix(0, ns)
		}
		if j.History, err = mq.ParseHistory(l.history); err != nil {
			q.b.log.Warn("rabbit: a dead job's history", "queue", q.name, "ref", ref, "err", err)
		}
		jobs = append(jobs, j)
		return keep, nil
	}, nil)
	if err != nil {
		return nil, q.wrap("list dead jobs", err)
	}
	return jobs, nil
}

func (q *queue) Redrive(ctx context.Context, ref string) error {
	return q.one(ctx, "redrive", ref, func(d *amqp.Delivery) error {
		if _, err := read(d); err != nil {
			return err
		}
		group, _ := d.Headers[headGroup].(string)
		to, err := q.groupQueue(ctx, group)
		if err != nil {
			return err
		}
		p := again(d)
		p.key = to
		return q.b.link.publish(ctx, []parcel{p})[0]
	})
}

func (q *queue) Drop(ctx context.Context, ref string) error {
	return q.one(ctx, "drop", ref, func(*amqp.Delivery) error { return nil })
}

// one does something with one dead job, and then removes it.
func (q *queue) one(ctx context.Context, what, ref string, f func(d *amqp.Delivery) error) error {
	found := false
	err := q.b.browse(ctx, q.b.name("d", q.name), func(d amqp.Delivery) (verdict, error) {
		if r, _ := d.Headers[headRef].(string); r != ref || found {
			return keep, nil
		}
		found = true
		if err := f(&d); err != nil {
			return keep, err
		}
		return removeLast, nil
	}, nil)
	switch {
	case err != nil:
		return q.wrap(what+" a dead job", err)
	case !found:
		return mq.ErrNoJob
	}
	return nil
}

// Stats counts what waits: AMQP tells no more.
func (q *queue) Stats(ctx context.Context) (s mq.QueueStats, err error) {
	groups, ok, err := q.b.lookUp(ctx, q.name, false)
	if err != nil {
		return s, q.wrap("count", err)
	}
	if !ok {
		return s, q.wrap("count", mq.ErrNoQueue)
	}
	names := make([]string, len(groups))
	for i, g := range groups {
		if names[i], err = q.groupQueue(ctx, g); err != nil {
			return s, q.wrap("count", err)
		}
	}
	s, err = ask(ctx, q.b.control, func(ch *amqp.Channel) (s mq.QueueStats, err error) {
		s = mq.QueueStats{Jobs: -1, Bytes: -1}
		if s.Dead, err = count(ch, q.b.name("d", q.name)); err != nil {
			return s, err
		}
		for i, g := range groups {
			n, err := count(ch, names[i])
			if err != nil {
				return s, err
			}
			s.Groups = append(s.Groups, mq.GroupStats{Name: g, Waiting: n, InFlight: -1})
		}
		return s, nil
	})
	if err != nil {
		return s, q.wrap("count", err)
	}
	return s, nil
}

// dead counts the dead jobs.
func (q *queue) dead(ctx context.Context) (int64, error) {
	return ask(ctx, q.b.control, func(ch *amqp.Channel) (int64, error) { return count(ch, q.b.name("d", q.name)) })
}
