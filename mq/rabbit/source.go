package rabbit

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/plexor-go/plexor/mq"
)

const (
	// firstBack and lastBack are the pauses while the broker is not there.
	firstBack = 50 * time.Millisecond
	lastBack  = 2 * time.Second
	// A connection of which one side has heard nothing for about two heartbeats is given up, and its jobs go to others:
	// three in the time of Visibility, within what RabbitMQ finds sensible: shorter ones see death where a machine is
	// busy.
	beatsPer = 3
	// idle is how long a consumer goes on without somebody who asks for jobs.
	idle      = 100 * time.Millisecond
	looksPer  = 10 // how often within Visibility a source looks for jobs that were silent for that long
	leastBeat = 5 * time.Second
	mostBeat  = 30 * time.Second
)

// A source is a consumer of a group.
type source struct {
	q     *queue
	group string
	queue string // RabbitMQ's
	o     mq.SubscribeOptions

	life context.Context
	end  context.CancelFunc

	watch sync.WaitGroup

	// turn holds a token while Next, or what pauses the consumer, is at work: what follows is theirs.
	turn  chan struct{}
	tag   string               // of the consumer on ch
	in    <-chan amqp.Delivery // nil: there is no consumer
	until context.Context      // of the last Next
	quit  func() bool          // ends the watch on until

	mu   sync.Mutex
	conn *amqp.Connection
	ch   *amqp.Channel
	left time.Time           // when the last Next returned
	out  map[*token]struct{} // handed out and not settled
	// open are the tags of ch that Next has taken and that are not settled: also of what can't be read.
	open   tags
	acked  []*token // to be told the broker
	acking bool     // somebody tells it
}

// A token is what a delivery has of its own.
type token struct {
	d     amqp.Delivery
	ch    *amqp.Channel // with whose end the job is another's
	heard time.Time     // under source.mu: when it was handed out, or extended
	busy  bool          // under source.mu: it is being settled
	lost  bool          // under source.mu: it was silent for too long, and was given back
}

func (q *queue) Subscribe(ctx context.Context, group string, o mq.SubscribeOptions) (mq.Source, error) {
	s := &source{q: q, group: group, o: o, out: make(map[*token]struct{}),
		turn: make(chan struct{}, 1)}
	var err error
	if s.queue, err = q.groupQueue(ctx, group); err != nil {
		return nil, q.wrap("subscribe", err)
	}
	s.life, s.end = context.WithCancel(context.Background())
	if _, err := s.deliveries(ctx); err != nil {
		s.end()
		return nil, q.wrap("subscribe", err)
	}
	s.watch.Go(s.look)
	return s, nil
}

// look gives back what was silent for too long: RabbitMQ itself hands out anew what a connection has when that ends,
// and not before. And it pauses the consumer while nobody asks for jobs: RabbitMQ sends them ahead, and they would wait
// here while others have nothing to do.
func (s *source) look() {
	tick := time.NewTicker(min(s.o.Visibility/looksPer, idle))
	defer tick.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case <-tick.C:
		}
		var silent []*token
		s.mu.Lock()
		unasked := time.Since(s.left) > idle
		for t := range s.out {
			if !t.busy && time.Since(t.heard) > s.o.Visibility {
				t.lost = true
				delete(s.out, t)
				silent = append(silent, t)
			}
		}
		s.mu.Unlock()
		for _, t := range silent {
			_ = t.d.Nack(false, true) // it fails with the connection, whose end does the same
			s.release(t, true)
		}
		if unasked && s.q.b.link.alarmed() == nil { // what was sent ahead could not be given back uncounted
			select {
			case s.turn <- struct{}{}:
				s.halt()
				<-s.turn
			default: // Next is at work
			}
		}
	}
}

// deliveries returns those of the consumer, which is made, with its connection, if there is none. The caller has the
// turn.
func (s *source) deliveries(ctx context.Context) (<-chan amqp.Delivery, error) {
	if s.in != nil {
		return s.in, nil
	}
	s.mu.Lock()
	ch := s.ch
	s.mu.Unlock()
	if ch == nil || ch.IsClosed() {
		s.broken()
		var err error
		if ch, err = s.connect(ctx); err != nil {
			return nil, err
		}
	}
	s.tag = s.o.Worker + "/" + strconv.FormatUint(seq.Add(1), 10)
	in, err := ch.Consume(s.queue, s.tag, false, false, false, false, nil)
	if err != nil {
		s.broken()
		return nil, err
	}
	s.in = in
	return in, nil
}

// connect makes the connection. The caller has the turn.
func (s *source) connect(ctx context.Context) (*amqp.Channel, error) {
	beat := min(max(s.o.Visibility/beatsPer, leastBeat), mostBeat)
	conn, _, err := s.q.b.dial(ctx, beat)
	if err != nil {
		return nil, err
	}
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Qos(s.o.InFlight, 0, false)
	}
	if err != nil {
		return nil, errors.Join(err, closeQuietly(conn))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return nil, errors.Join(mq.ErrClosed, closeQuietly(conn))
	}
	s.conn, s.ch = conn, ch
	return ch, nil
}

func closeQuietly(conn *amqp.Connection) error {
	err := conn.CloseDeadline(time.Now().Add(dialed))
	if errors.Is(err, amqp.ErrClosed) {
		return nil
	}
	return err
}

// broken gives up the connection. The caller has the turn.
func (s *source) broken() {
	s.in = nil
	s.mu.Lock()
	conn := s.conn
	s.conn, s.ch = nil, nil
	clear(s.out)
	s.open = nil
	s.mu.Unlock()
	if conn != nil {
		_ = closeQuietly(conn) // it is of no use, whatever its end says
	}
}

func (s *source) Next(ctx context.Context, most int) (ds []*mq.Delivery, err error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() {
		s.mu.Lock()
		s.left = time.Now()
		s.mu.Unlock()
		<-s.turn
	}()
	s.ahead(ctx)
	for back := firstBack; ; {
		switch {
		case s.life.Err() != nil:
			return nil, mq.ErrClosed
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		}
		in, err := s.deliveries(ctx)
		if err != nil {
			if isNotFound(err) || errors.Is(err, amqp.ErrCredentials) || errors.Is(err, amqp.ErrVhost) {
				return nil, s.q.wrap("consume", explain(err))
			}
			if ctx.Err() == nil && s.life.Err() == nil {
				s.q.b.log.Warn("rabbit: a consumer has no connection, and tries again", "queue", s.q.name, "group", s.group,
					"err", err)
			}
			_ = pause(ctx, back) // the loop looks at ctx
			back = min(2*back, lastBack)
			continue
		}
		select {
		case d, ok := <-in:
			if !ok {
				s.broken()
				continue
			}
			if ds = s.rest(s.take(nil, d), in, most); len(ds) > 0 {
				return ds, nil
			}
		case <-ctx.Done():
		case <-s.life.Done():
		}
	}
}

// rest takes what else is there.
func (s *source) rest(ds []*mq.Delivery, in <-chan amqp.Delivery, most int) []*mq.Delivery {
	for len(ds) < most {
		select {
		case d, ok := <-in:
			if !ok {
				return ds // the next Next sees it
			}
			ds = s.take(ds, d)
		default:
			return ds
		}
	}
	return ds
}

// take adds a delivery.
func (s *source) take(ds []*mq.Delivery, d amqp.Delivery) []*mq.Delivery {
	s.mu.Lock()
	s.open = append(s.open, d.DeliveryTag)
	s.mu.Unlock()
	l, err := read(&d)
	if err != nil {
		// Nobody can do it, and it holds a place in flight until the connection ends: so nothing of it is lost.
		s.q.b.log.Error("rabbit: a job that can't be read", "queue", s.q.name, "message", d.MessageId, "err", err)
		return ds
	}
	t := &token{d: d, heard: time.Now()}
	s.mu.Lock()
	t.ch = s.ch
	s.out[t] = struct{}{}
	s.mu.Unlock()
	return append(ds, &mq.Delivery{Message: l.m, Published: l.published, Attempt: l.attempt, History: l.history, Token: t})
}

// claim keeps a job from being given back while it is being settled, and reports whether it is this consumer's. release
// follows.
func (s *source) claim(t *token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.lost || t.ch.IsClosed() {
		return false
	}
	t.busy = true
	return true
}

func (s *source) release(t *token, settled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.busy = false
	if settled {
		delete(s.out, t)
		if t.ch == s.ch {
			s.open.settle(t.d.DeliveryTag)
		}
	}
}

// settle tells the broker that a job is no more in the queue as it was.
func (s *source) settle(t *token, f func(d amqp.Delivery) error) (err error) {
	if !s.claim(t) {
		return mq.ErrLost
	}
	defer func() { s.release(t, err == nil) }()
	if err := f(t.d); err != nil {
		return s.failed(t, err)
	}
	return nil
}

// failed is why a job could not be settled.
func (s *source) failed(t *token, err error) error {
	if errors.Is(err, amqp.ErrClosed) || t.ch.IsClosed() {
		return mq.ErrLost
	}
	return s.q.wrap("settle", err)
}

func (s *source) Ack(_ context.Context, d *mq.Delivery) error {
	t := d.Token.(*token)
	s.mu.Lock()
	_, out := s.out[t]
	delete(s.out, t)
	s.mu.Unlock()
	if !out || t.ch.IsClosed() {
		return mq.ErrLost
	}
	if err := s.acknowledge(t); err != nil {
		return s.failed(t, err)
	}
	return nil
}

func (s *source) Nak(ctx context.Context, d *mq.Delivery, delay time.Duration, history []byte) error {
	err := s.replace(ctx, d, func(p *parcel) (err error) {
		p.key = s.queue
		if delay > 0 {
			p.exchange, p.key, err = s.q.delayed(ctx, delay, s.queue)
		}
		p.m.Headers[headHistory], p.m.Headers[headAttempt] = history, int64(d.Attempt)
		return err
	})
	if errors.Is(err, mq.ErrFull) && !errors.Is(err, errAlarm) { // with an alarm it would come and fail at once, and again
		// The queue has no room for what it has already: the broker takes the job back as it was, and at once.
		return s.settle(d.Token.(*token), func(d amqp.Delivery) error { return d.Nack(false, true) })
	}
	return err
}

func (s *source) Bury(ctx context.Context, d *mq.Delivery, history []byte) error {
	return s.replace(ctx, d, func(p *parcel) error {
		now := time.Now()
		n, err := s.q.dead(ctx)
		if err != nil {
			return err
		}
		if n >= s.q.has.MaxDead { // the broker's own bound is a rough one
			return mq.ErrFull
		}
		p.key = s.q.b.name("d", s.q.name)
		p.m.Headers[headHistory], p.m.Headers[headGroup], p.m.Headers[headDied] = history, s.group, now.UnixNano()
		p.m.Headers[headRef] = strconv.FormatInt(now.UnixNano(), 36) + "-" + strconv.FormatUint(seq.Add(1), 36) + "-" + d.ID
		return nil
	})
}

// replace publishes a job anew, elsewhere, and acknowledges it when the broker has it there.
func (s *source) replace(ctx context.Context, d *mq.Delivery, change func(p *parcel) error) error {
	t := d.Token.(*token)
	if !s.claim(t) {
		return mq.ErrLost
	}
	p := again(&t.d)
	err := change(&p)
	if err == nil {
		err = s.q.b.link.publish(ctx, []parcel{p})[0]
	}
	if err != nil {
		s.release(t, false)
		var e *mq.PublishError
		if errors.As(err, &e) {
			err = e.Err // it names no job
		}
		return s.q.wrap("store a job anew", err)
	}
	return s.Ack(ctx, d)
}

// Extend says nothing to the broker: a job is its consumer's as long as the connection lives, which heartbeats show.
func (s *source) Extend(_ context.Context, d *mq.Delivery) error {
	t := d.Token.(*token)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.lost || t.ch.IsClosed() {
		return mq.ErrLost
	}
	t.heard = time.Now()
	return nil
}

func (s *source) Close() error {
	if s.life.Err() != nil {
		return mq.ErrClosed
	}
	s.end()
	s.watch.Wait()
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.quit != nil {
		s.quit()
	}
	s.halt()
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn == nil || conn.IsClosed() {
		return nil
	}
	if err := closeQuietly(conn); err != nil {
		return s.q.wrap("close", err)
	}
	return nil
}
