package rabbit

import (
	"context"
	"errors"

	amqp "github.com/rabbitmq/amqp091-go"
)

// halt ends the consumer, not its channel, and gives back what was sent ahead. The caller has the turn.
func (s *source) halt() {
	if s.in == nil {
		return
	}
	s.mu.Lock()
	ch := s.ch
	s.mu.Unlock()
	if err := s.untried(ch, s.tag, s.in); err != nil && !ch.IsClosed() {
		s.q.b.log.Warn("rabbit: a consumer could not be paused", "queue", s.q.name, "group", s.group, "err", err)
		s.broken()
	}
	s.in = nil
}

// ahead has the consumer paused as soon as ctx, of Next, has ended: so that a Consume that drains gets no more jobs for
// those that it finishes. The caller has the turn.
func (s *source) ahead(ctx context.Context) {
	if s.until == ctx {
		return
	}
	if s.quit != nil {
		s.quit()
	}
	s.until = ctx
	s.quit = context.AfterFunc(ctx, func() {
		s.turn <- struct{}{}
		if s.until == ctx {
			s.halt()
		}
		<-s.turn
	})
}

// untried ends a consumer, and gives back what the broker had sent ahead and Next did not return. The broker would
// count it as tried, so it is published anew.
func (s *source) untried(ch *amqp.Channel, tag string, in <-chan amqp.Delivery) error {
	ctx, cancel := context.WithTimeout(context.Background(), dialed)
	defer cancel()
	cancelled := make(chan error, 1)
	go func() { cancelled <- ch.Cancel(tag, false) }() // it waits for the broker; then in is closed
	var ahead, odd []amqp.Delivery                     // odd: can't be read
	var ps []parcel
	for more := true; more; {
		select {
		case d, ok := <-in:
			if more = ok; !ok {
				break
			}
			l, err := read(&d)
			if err != nil {
				odd = append(odd, d)
				break
			}
			p := again(&d)
			p.key = s.queue
			p.m.Headers[headHistory], p.m.Headers[headAttempt] = l.history, int64(l.attempt-1)
			ahead, ps = append(ahead, d), append(ps, p)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err := <-cancelled
	var stored []error
	if len(ps) > 0 {
		stored = s.q.b.link.publish(ctx, ps)
	}
	for i, e := range stored {
		if e != nil { // the broker takes it back, and counts it
			odd = append(odd, ahead[i])
		} else {
			err = errors.Join(err, ahead[i].Ack(false))
		}
	}
	for _, d := range odd {
		err = errors.Join(err, d.Nack(false, true))
	}
	return err
}
