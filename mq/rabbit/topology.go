package rabbit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/plexor-go/plexor/mq"
)

// What a queue Q of package mq is made of, each name after the prefix:
//
//	Publish ─▶ exchange x.Q (fanout) ─┬▶ queue q.Q, of the first group, also before there is one
//	                ▲                 └▶ queue q.Q.G, of a later group G
//	                │                          ▲            jobs that are given back with a delay
//	 time has come  │                          │
//	           exchange t.Q (topic) ───────────┘
//	                ▲
//	     the levels of delays of Q, see delay.go
//
//	queue d.Q: the dead jobs. queue r: the names of all Q and G, see registry.go. exchanges s.Q and f.Q: the registers of
//	Q's settings and of its first group, see register.
//
// All queues are quorum queues: a message is on the disk of most of their nodes when the broker confirms it.
func (b *backend) name(kind string, parts ...string) string {
	return b.prefix + "." + kind + "." + strings.Join(parts, ".")
}

// unlimited is the bound of how often a message is handed out: RabbitMQ 4 has one of 20 where none is set, and 3 takes
// no word for none. Nothing is dropped at it, nevertheless: package mq gives up jobs long before.
const unlimited = 1 << 30

// quorum are the arguments of a queue.
func (b *backend) quorum(replicas int, more amqp.Table) amqp.Table {
	t := amqp.Table{"x-queue-type": "quorum", "x-delivery-limit": int64(unlimited)}
	if replicas > 1 {
		t["x-quorum-initial-group-size"] = int64(replicas)
	}
	for k, v := range more {
		t[k] = v
	}
	return t
}

// register sets a value that is set once, and returns the one that it has. RabbitMQ has no place for such, but for the
// arguments of an exchange, which it compares when somebody declares it anew, and then says in words what they are:
//
//	inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received 'a' but current is 'b'
//
// The alternate exchange that is named so does not exist, and nothing is ever sent to the exchange.
func (b *backend) register(ctx context.Context, name, value string) (has string, err error) {
	err = b.control.with(ctx, func(ch *amqp.Channel) error {
		args := amqp.Table{"alternate-exchange": value}
		return ch.ExchangeDeclare(name, amqp.ExchangeFanout, true, false, false, false, args)
	})
	if err == nil {
		return value, nil
	}
	var e *amqp.Error
	if !errors.As(err, &e) || e.Code != amqp.PreconditionFailed {
		return "", err
	}
	_, after, ok := strings.Cut(e.Reason, "but current is '")
	has, _, closed := strings.Cut(after, "'")
	if !ok || !closed {
		return "", fmt.Errorf("exchange %s is there, and not one of ours: delete it, or give another prefix in the URL: %w",
			name, err)
	}
	return has, nil
}

// settings are a queue's as its register has them.
func settings(o mq.QueueOptions) string {
	return fmt.Sprintf("mq1:%d:%d:%d:%d", o.Replicas, o.MaxJobs, o.MaxBytes, o.MaxDead)
}

func parseSettings(s string) (o mq.QueueOptions, err error) {
	f := strings.Split(s, ":")
	if len(f) != 5 || f[0] != "mq1" {
		return o, fmt.Errorf("its settings are %q, which another version of this package has made", s)
	}
	var n [4]int64
	for i := range n {
		v, e := strconv.ParseInt(f[i+1], 10, 64)
		n[i], err = v, errors.Join(err, e)
	}
	return mq.QueueOptions{Replicas: int(n[0]), MaxJobs: n[1], MaxBytes: n[2], MaxDead: n[3]}.Fill(), err
}

func (b *backend) OpenQueue(ctx context.Context, name string, o mq.QueueOptions) (mq.BackendQueue, error) {
	q := &queue{b: b, name: name}
	if err := q.open(ctx, o); err != nil {
		var s *mq.SettingsError
		if errors.As(err, &s) {
			return nil, err
		}
		return nil, fmt.Errorf("rabbit: open queue %s: %w", name, err)
	}
	return q, nil
}

func (q *queue) open(ctx context.Context, o mq.QueueOptions) error {
	b := q.b
	if o.Replicas == 0 && b.nodes > 1 {
		o.Replicas = b.nodes
	}
	want := o.Fill()
	// First the name: a queue that is made in part is one that can be deleted.
	if err := b.remember(ctx, q.name); err != nil {
		return err
	}
	has, err := b.register(ctx, b.name("s", q.name), settings(want))
	if err != nil {
		return err
	}
	if q.has, err = parseSettings(has); err != nil {
		return err
	}
	if err := o.Differs(q.name, q.has); err != nil {
		return err
	}
	return b.control.with(ctx, func(ch *amqp.Channel) error {
		x := b.name("x", q.name)
		if err := ch.ExchangeDeclare(x, amqp.ExchangeFanout, true, false, false, false, nil); err != nil {
			return err
		}
		dead := b.quorum(q.has.Replicas, amqp.Table{"x-max-length": q.has.MaxDead, "x-overflow": "reject-publish"})
		if err := declare(ch, b.name("d", q.name), dead); err != nil {
			return err
		}
		return q.declare(ch, b.name("q", q.name))
	})
}

func declare(ch *amqp.Channel, name string, args amqp.Table) error {
	_, err := ch.QueueDeclare(name, true, false, false, false, args)
	var e *amqp.Error
	if errors.As(err, &e) && e.Code == amqp.PreconditionFailed {
		return fmt.Errorf("RabbitMQ's queue %s is there with other arguments, which a policy or somebody else has given it: "+
			"delete it with its jobs, or give another prefix in the URL: %w", name, err)
	}
	return err
}

// declare makes the queue of a group.
func (q *queue) declare(ch *amqp.Channel, name string) error {
	args := q.b.quorum(q.has.Replicas, amqp.Table{"x-max-length": q.has.MaxJobs, "x-max-length-bytes": q.has.MaxBytes,
		"x-overflow": "reject-publish"})
	if err := declare(ch, name, args); err != nil {
		return err
	}
	return ch.QueueBind(name, "", q.b.name("x", q.name), false, nil)
}

// groupQueue is the name of a group's queue.
func (q *queue) groupQueue(ctx context.Context, group string) (string, error) {
	first, err := q.b.register(ctx, q.b.name("f", q.name), group)
	if err != nil {
		return "", err
	}
	if first == group {
		return q.b.name("q", q.name), nil
	}
	return q.b.name("q", q.name, group), nil
}

func (q *queue) Group(ctx context.Context, group string) error {
	if err := q.group(ctx, group); err != nil {
		return q.wrap("make group "+group, err)
	}
	return nil
}

// group makes a group: who stops in the midst leaves its name, so that it can be deleted.
func (q *queue) group(ctx context.Context, group string) error {
	entry := q.name + "/" + group
	if q.b.knows(entry) {
		return nil
	}
	if err := q.b.remember(ctx, entry+"?"); err != nil {
		return err
	}
	name, err := q.groupQueue(ctx, group)
	if err != nil {
		return err
	}
	if err := q.b.control.with(ctx, func(ch *amqp.Channel) error { return q.declare(ch, name) }); err != nil {
		return err
	}
	return q.b.remember(ctx, entry)
}

func (b *backend) DeleteQueue(ctx context.Context, name string) error {
	groups, ok, err := b.lookUp(ctx, name, true)
	if err == nil && !ok {
		return mq.ErrNoQueue
	}
	if err == nil {
		err = b.control.with(ctx, func(ch *amqp.Channel) error { return b.delete(ch, name, groups) })
	}
	if err == nil {
		err = b.forget(ctx, name) // last: what was deleted in part can be deleted again
	}
	if err != nil {
		return fmt.Errorf("rabbit: delete queue %s: %w", name, err)
	}
	return nil
}

// delete deletes what there is. Deleting what is not there is no error in RabbitMQ.
func (b *backend) delete(ch *amqp.Channel, name string, groups []string) error {
	queues := []string{b.name("q", name), b.name("d", name)}
	for _, g := range groups {
		queues = append(queues, b.name("q", name, g))
	}
	exchanges := []string{b.name("x", name), b.name("s", name), b.name("f", name), b.name("t", name)}
	for level := range levels {
		queues = append(queues, b.level(name, level))
		exchanges = append(exchanges, b.level(name, level))
	}
	for _, x := range exchanges {
		if err := ch.ExchangeDelete(x, false, false); err != nil {
			return err
		}
	}
	for _, q := range queues {
		if _, err := ch.QueueDelete(q, false, false, false); err != nil {
			return err
		}
	}
	return nil
}

// pause is that of something that is tried again, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
