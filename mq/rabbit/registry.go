package rabbit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/plexor-go/plexor/mq"
)

// AMQP can't list queues, so their names lie in a queue, r, one message each: "Q" for a queue, "Q/G?" for a group of it
// that is about to be made, and "Q/G" for one that is there. Such a queue is read by taking all its messages and giving
// them back, and so is that of the dead jobs. Whoever does so holds a lock of the broker's, since another one would see
// the rest only: a queue that is exclusive to a connection, and is gone when that ends.

// lockPause is the pause between two tries to get the lock.
const lockPause = 20 * time.Millisecond

// A verdict is what becomes of a message that was looked at.
type verdict int

const (
	keep verdict = iota
	remove
	enough     // keep it, and look no further
	removeLast // remove it, and look no further
)

// browse shows the messages of a queue to f, in their order, while nobody else does so. at the end, if it is not nil,
// runs before the lock is given back.
func (b *backend) browse(ctx context.Context, queue string, f func(d amqp.Delivery) (verdict, error),
	end func() error) error {
	select {
	case b.browsing <- struct{}{}: // the broker's lock is the connection's
		defer func() { <-b.browsing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	lock := b.prefix + ".k"
	for {
		err := b.control.with(ctx, func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare(lock, false, false, true, false, nil)
			return err
		})
		if err == nil {
			break
		}
		var e *amqp.Error
		if !errors.As(err, &e) || e.Code != amqp.ResourceLocked {
			return err
		}
		if err := pause(ctx, lockPause); err != nil {
			return err
		}
	}
	// The end of this channel gives the messages back, at their places, and only then is the lock given up.
	kept, err := ask(ctx, b.control, func(ch *amqp.Channel) (int, error) { return look(ctx, ch, queue, f) })
	err = errors.Join(err, b.settled(ctx, queue, kept))
	if err == nil && end != nil {
		err = end()
	}
	return errors.Join(err, b.unlock(lock))
}

// count is how many messages wait in a queue.
func count(ch *amqp.Channel, queue string) (int64, error) {
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	return int64(q.Messages), err
}

// settled waits until the broker has what was given back: it does not wait for that itself when a channel ends.
func (b *backend) settled(ctx context.Context, queue string, kept int) error {
	for kept > 0 {
		there, err := ask(ctx, b.control, func(ch *amqp.Channel) (int64, error) { return count(ch, queue) })
		if err != nil || there >= int64(kept) {
			return err
		}
		if err := pause(ctx, lockPause/10); err != nil {
			return err
		}
	}
	return nil
}

// unlock gives back the lock.
func (b *backend) unlock(lock string) error {
	ctx, cancel := context.WithTimeout(context.Background(), dialed)
	defer cancel()
	return b.control.with(ctx, func(ch *amqp.Channel) error {
		_, err := ch.QueueDelete(lock, false, false, false)
		return err
	})
}

// look takes the messages that are there.
func look(ctx context.Context, ch *amqp.Channel, queue string,
	f func(d amqp.Delivery) (verdict, error)) (kept int, err error) {
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil || q.Messages == 0 {
		return 0, err
	}
	kept = q.Messages // also those that f does not see
	ds, err := ch.ConsumeWithContext(ctx, queue, "browse", false, false, false, false, nil)
	if err != nil {
		return 0, err
	}
	for range q.Messages {
		var d amqp.Delivery
		var ok bool
		select {
		case d, ok = <-ds:
		case <-ctx.Done():
			return kept, context.Cause(ctx)
		}
		if !ok {
			return 0, errors.New("the connection ended while a queue was read")
		}
		v, err := f(d)
		if err == nil && (v == remove || v == removeLast) {
			kept--
			err = d.Ack(false)
		}
		if err != nil || v == enough || v == removeLast {
			return kept, err
		}
	}
	return kept, nil
}

// registry makes the queue of names.
func (b *backend) registry(ctx context.Context) error {
	return b.control.with(ctx, func(ch *amqp.Channel) error { return declare(ch, b.prefix+".r", b.quorum(b.nodes, nil)) })
}

// knows reports whether this process has seen a name.
func (b *backend) knows(entry string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.groups[entry]
}

// remember adds a name, if it is not there.
func (b *backend) remember(ctx context.Context, entry string) error {
	if b.knows(entry) {
		return nil
	}
	if err := b.registry(ctx); err != nil {
		return err
	}
	found := false
	err := b.browse(ctx, b.prefix+".r", func(d amqp.Delivery) (verdict, error) {
		found = found || string(d.Body) == entry
		return keep, nil
	}, func() error {
		if found {
			return nil
		}
		m := amqp.Publishing{Body: []byte(entry), DeliveryMode: amqp.Persistent}
		for {
			err := b.link.publish(ctx, []parcel{{key: b.prefix + ".r", m: m}})[0]
			if !errors.Is(err, mq.ErrFull) || errors.Is(err, errAlarm) {
				return err
			}
			// A queue that was just made may refuse its first messages.
			if err := pause(ctx, lockPause); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return fmt.Errorf("the list of queues: %w", err)
	}
	b.mu.Lock()
	b.groups[entry] = true
	b.mu.Unlock()
	return nil
}

// names are all entries, sorted.
func (b *backend) names(ctx context.Context) (all []string, err error) {
	if err := b.registry(ctx); err != nil {
		return nil, err
	}
	err = b.browse(ctx, b.prefix+".r", func(d amqp.Delivery) (verdict, error) {
		all = append(all, string(d.Body))
		return keep, nil
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("the list of queues: %w", err)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// lookUp returns the groups of a queue, those that are perhaps there too if perhaps is set, and whether there is a
// queue.
func (b *backend) lookUp(ctx context.Context, queue string, perhaps bool) (groups []string, ok bool, err error) {
	all, err := b.names(ctx)
	for _, entry := range all {
		if perhaps {
			entry = strings.TrimSuffix(entry, "?")
		}
		name, group, grouped := strings.Cut(entry, "/")
		if name != queue {
			continue
		}
		ok = true
		if grouped && !strings.HasSuffix(group, "?") {
			groups = append(groups, group)
		}
	}
	return slices.Compact(groups), ok, err
}

// forget removes a queue's names.
func (b *backend) forget(ctx context.Context, queue string) error {
	b.mu.Lock()
	for entry := range b.groups {
		if name, _, _ := strings.Cut(entry, "/"); name == queue {
			delete(b.groups, entry)
		}
	}
	clear(b.levels) // they are declared anew when they are needed
	b.mu.Unlock()
	err := b.browse(ctx, b.prefix+".r", func(d amqp.Delivery) (verdict, error) {
		if name, _, _ := strings.Cut(string(d.Body), "/"); name == queue {
			return remove, nil
		}
		return keep, nil
	}, nil)
	if err != nil {
		return fmt.Errorf("the list of queues: %w", err)
	}
	return nil
}

func (b *backend) Queues(ctx context.Context) (names []string, err error) {
	all, err := b.names(ctx)
	if err != nil {
		return nil, fmt.Errorf("rabbit: %w", err)
	}
	for _, entry := range all {
		if !strings.Contains(entry, "/") {
			names = append(names, entry)
		}
	}
	return names, nil
}
