package rabbit

import (
	"context"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// RabbitMQ has no delays, but a queue whose messages all live for the same time passes them on, in order, when that has
// passed. So a delay is taken apart into powers of two of a unit, and a message goes through one queue for each bit
// that is set, from the highest down. Each level n of a queue Q has an exchange and, once a message needs it, a queue,
// both called l.Q.n. The routing key has a word for each level, then where the message goes to in the end:
//
//	key 1.0.1.x    level 2 ─▶ queue l.Q.2, for 4 units ─▶ level 1 ─▶ level 0 ─▶ queue l.Q.0, for 1 unit ─▶ t.Q ─▶ x
//	               an exchange passes on what has 1 in its word to its queue, and what has 0 to the exchange below
//
// The queues are Q's own: a queue that is full holds up the delayed jobs of no other. Dead letters are passed on at
// least once: a message is taken from its level when the next one has confirmed it.
const (
	unit      = 100 * time.Millisecond
	levels    = 24
	mostDelay = (1<<levels - 1) * unit // 19 days
)

func (b *backend) level(queue string, n int) string {
	return b.name("l", queue, string(rune('a'+n)))
}

// delayed makes sure that a queue has the levels for a delay, and returns the exchange and the key for it. to is where
// the message goes in the end: the name of an exchange or a queue of Q's.
func (q *queue) delayed(ctx context.Context, d time.Duration, to string) (exchange, key string, err error) {
	n := min(int64((d+unit-1)/unit), 1<<levels-1)
	top := 0
	words := make([]string, levels)
	var need []int
	q.b.mu.Lock()
	bound := q.b.levels["to/"+to]
	for level := range levels {
		bit := n >> level & 1
		words[levels-1-level] = string(rune('0' + bit))
		if bit == 1 {
			top = level
			if !q.b.levels[q.b.level(q.name, level)] {
				need = append(need, level)
			}
		}
	}
	q.b.mu.Unlock()
	if len(need) > 0 || !bound {
		err := q.b.control.with(ctx, func(ch *amqp.Channel) error { return q.declareLevels(ch, need, to) })
		if err != nil {
			return "", "", err
		}
	}
	return q.b.level(q.name, top), strings.Join(words, ".") + "." + to, nil
}

// declareLevels makes all exchanges, the queues of some levels, and the way to a group's queue.
func (q *queue) declareLevels(ch *amqp.Channel, need []int, to string) error {
	b := q.b
	below := func(level int) string {
		if level == 0 {
			return b.name("t", q.name)
		}
		return b.level(q.name, level-1)
	}
	word := func(level int, bit string) string {
		return strings.Repeat("*.", levels-1-level) + bit + ".#"
	}
	key := "t/" + q.name
	b.mu.Lock()
	known := b.levels[key]
	b.mu.Unlock()
	if !known {
		if err := q.declareExchanges(ch, below, word); err != nil {
			return err
		}
	}
	for _, level := range need {
		name := b.level(q.name, level)
		args := b.quorum(q.has.Replicas, amqp.Table{
			"x-message-ttl": (unit << level).Milliseconds(), "x-dead-letter-exchange": below(level),
			"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"})
		if err := declare(ch, name, args); err != nil {
			return err
		}
		if err := ch.QueueBind(name, word(level, "1"), name, false, nil); err != nil {
			return err
		}
	}
	if to != b.name("x", q.name) {
		if err := ch.QueueBind(to, q.final(to), b.name("t", q.name), false, nil); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.levels[key], b.levels["to/"+to] = true, true
	for _, level := range need {
		b.levels[b.level(q.name, level)] = true
	}
	return nil
}

func (q *queue) declareExchanges(ch *amqp.Channel, below func(int) string,
	word func(int, string) string) error {
	t := q.b.name("t", q.name)
	if err := ch.ExchangeDeclare(t, amqp.ExchangeTopic, true, false, false, false, nil); err != nil {
		return err
	}
	for level := range levels {
		name := q.b.level(q.name, level)
		if err := ch.ExchangeDeclare(name, amqp.ExchangeTopic, true, false, false, false, nil); err != nil {
			return err
		}
		if err := ch.ExchangeBind(below(level), word(level, "0"), name, false, nil); err != nil {
			return err
		}
	}
	x := q.b.name("x", q.name)
	return ch.ExchangeBind(x, q.final(x), t, false, nil)
}

// final is the key of t.Q for what goes to an exchange or a queue in the end.
func (q *queue) final(to string) string { return strings.Repeat("*.", levels) + to }
