package rabbit

import (
	"runtime"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Acknowledgements of RabbitMQ can be for all deliveries of a channel up to one. One such frame in the place of many is
// less work for both sides, but it may pass over none that is still being worked on. So what is acknowledged while a
// frame is on its way is gathered, and of that what no open delivery is before goes as one, the rest one by one.

// tags are the delivery tags of a channel that are not settled, in their order, which is that of handing out. There are
// no more than the channel's prefetch.
type tags []uint64

// settle removes one.
func (g *tags) settle(tag uint64) {
	if i, ok := slices.BinarySearch(*g, tag); ok {
		*g = slices.Delete(*g, i, i+1)
	}
}

// acks removes some, and tells how they can be acknowledged: all up to upTo, which is one of them, unless it is 0, and
// each of the others. some is sorted.
func (g *tags) acks(some []uint64) (upTo uint64, others []uint64) {
	slices.Sort(some)
	*g = slices.DeleteFunc(*g, func(tag uint64) bool {
		_, ok := slices.BinarySearch(some, tag)
		return ok
	})
	n := len(some)
	if len(*g) > 0 {
		n, _ = slices.BinarySearch(some, (*g)[0])
	}
	if n > 0 {
		upTo = some[n-1]
	}
	return upTo, some[n:]
}

// acknowledge tells the broker of t, or leaves it to who is at it already. It is this consumer's, and no more in out.
func (s *source) acknowledge(t *token) error {
	s.mu.Lock()
	s.acked = append(s.acked, t)
	if s.acking {
		s.mu.Unlock()
		return nil
	}
	s.acking = true
	s.mu.Unlock()
	runtime.Gosched() // others that end now go together with this one
	var failed error
	for {
		s.mu.Lock()
		ch, upTo, others := s.nextAcksLocked()
		if ch == nil {
			s.acking = false
			s.mu.Unlock()
			return failed
		}
		s.mu.Unlock()
		var err error
		if upTo > 0 {
			err = ch.Ack(upTo, true)
		}
		for i := 0; i < len(others) && err == nil; i++ {
			err = ch.Ack(others[i], false)
		}
		if failed == nil {
			failed = err // the connection has ended with it: jobs whose Ack has returned come again
		}
	}
}

// nextAcksLocked are those that go next; ch is nil if there are none. What belongs to a channel that has ended is
// another consumer's.
func (s *source) nextAcksLocked() (ch *amqp.Channel, upTo uint64, others []uint64) {
	var some []uint64
	for _, t := range s.acked {
		if t.ch == s.ch {
			some = append(some, t.d.DeliveryTag)
		}
	}
	clear(s.acked)
	s.acked = s.acked[:0]
	if len(some) == 0 {
		return nil, 0, nil
	}
	upTo, others = s.open.acks(some)
	return s.ch, upTo, others
}
