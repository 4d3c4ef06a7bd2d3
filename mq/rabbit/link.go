package rabbit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/plexor-go/plexor/mq"
)

const (
	dialed    = 10 * time.Second // for a connection with its handshake
	heartbeat = 10 * time.Second // of a connection that publishes
	// mostOut is how many publishes of a link are under way at once: so many returns of the broker find room.
	mostOut = 1024
)

// dial makes a connection, and says what gathers its writes. ctx bounds it; the connection that is made nevertheless is
// closed.
func (b *backend) dial(ctx context.Context, beat time.Duration) (*amqp.Connection, *gatherer, error) {
	type made struct {
		c   *amqp.Connection
		g   *gatherer
		err error
	}
	ch := make(chan made, 1)
	go func() {
		config := b.config
		config.Heartbeat = beat
		var g *gatherer
		config.Dial = func(network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{Timeout: dialed}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			if err := c.SetDeadline(time.Now().Add(dialed)); err != nil { // of the handshake; the library sets others then
				return nil, errors.Join(err, c.Close())
			}
			g = gather(c)
			return g, nil
		}
		c, err := amqp.DialConfig(b.url, config)
		ch <- made{c, g, err}
	}()
	select {
	case m := <-ch:
		return m.c, m.g, m.err
	case <-ctx.Done():
		go func() {
			if m := <-ch; m.err == nil {
				_ = m.c.CloseDeadline(time.Now().Add(dialed)) // nobody has it
			}
		}()
		return nil, nil, context.Cause(ctx)
	}
}

// A link is a connection for publishing and for declaring, made when it is needed, and anew when it has ended. Its
// methods are for any number of goroutines.
type link struct {
	b     *backend
	calls chan struct{} // a token for each goroutine of publish and with

	mu      sync.Mutex // held while a connection is made: others need it too
	conn    *amqp.Connection
	writes  *gatherer // conn's
	blocked *alarm    // conn's
	pub     *publisher
	closed  bool
}

// A publisher is a channel with confirms.
type publisher struct {
	ch      *amqp.Channel
	writes  *gatherer // the connection's
	returns chan amqp.Return
	out     chan struct{} // a token for each publish that is under way

	mu       sync.Mutex
	returned map[string]bool // by CorrelationId, of those that no queue took and whose confirm has not come
}

// seq numbers publishes, so that a return is known by it.
var seq atomic.Uint64

// connection returns the one that is there.
func (l *link) connection(ctx context.Context) (*amqp.Connection, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.connectionLocked(ctx)
}

func (l *link) connectionLocked(ctx context.Context) (*amqp.Connection, error) {
	if l.closed {
		return nil, mq.ErrClosed
	}
	if l.conn != nil && !l.conn.IsClosed() {
		return l.conn, nil
	}
	c, g, err := l.b.dial(ctx, heartbeat)
	if err != nil {
		return nil, err
	}
	l.conn, l.writes, l.blocked = c, g, watch(c)
	return c, nil
}

// publisher returns the one that is there.
func (l *link) publisher(ctx context.Context) (*publisher, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil && !l.conn.IsClosed() && !l.closed {
		if err := l.blocked.err(); err != nil {
			return nil, err // nor would the broker make a channel
		}
	}
	if l.pub != nil && !l.pub.ch.IsClosed() && !l.closed {
		return l.pub, nil
	}
	c, err := l.connectionLocked(ctx)
	if err != nil {
		return nil, err
	}
	ch, err := c.Channel()
	if err != nil {
		return nil, err
	}
	p := &publisher{ch: ch, writes: l.writes, returned: make(map[string]bool), out: make(chan struct{}, mostOut)}
	if err := ch.Confirm(false); err != nil {
		return nil, errors.Join(err, ch.Close())
	}
	p.returns = ch.NotifyReturn(make(chan amqp.Return, mostOut))
	l.pub = p
	return p, nil
}

// with calls f with a channel of its own. The broker closes a channel with the first thing that it refuses. f may go on
// behind the end of ctx, and so behind with: it sets nothing that the caller reads.
func (l *link) with(ctx context.Context, f func(ch *amqp.Channel) error) error {
	_, err := ask(ctx, l, func(ch *amqp.Channel) (struct{}, error) { return struct{}{}, f(ch) })
	return err
}

// ask is with, of a function that returns something.
func ask[T any](ctx context.Context, l *link, f func(ch *amqp.Channel) (T, error)) (T, error) {
	type answer struct {
		is  T
		err error
	}
	if err := l.begin(ctx); err != nil {
		return *new(T), err
	}
	done := make(chan answer, 1)
	go func() {
		defer l.end()
		c, err := l.connection(ctx) // which others may be at, with a context that lasts longer
		var ch *amqp.Channel
		if err == nil {
			ch, err = c.Channel()
		}
		var is T
		if err == nil {
			is, err = f(ch)
			if !ch.IsClosed() {
				if e := ch.Close(); err == nil && e != nil && !errors.Is(e, amqp.ErrClosed) {
					err = e
				}
			}
		}
		done <- answer{is, err}
	}()
	select {
	case a := <-done:
		return a.is, a.err
	case <-ctx.Done(): // what f does goes on, and ends with the connection at the latest
		return *new(T), context.Cause(ctx)
	}
}

// begin waits until one more call may be under way. Its goroutine may last for longer than its context, and so longer
// than the caller: until the heartbeat ends a connection on which nothing moves.
func (l *link) begin(ctx context.Context) error {
	select {
	case l.calls <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *link) end() { <-l.calls }

func (l *link) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn == nil || l.conn.IsClosed() {
		return nil
	}
	if err := l.conn.CloseDeadline(time.Now().Add(dialed)); err != nil && !errors.Is(err, amqp.ErrClosed) {
		return fmt.Errorf("rabbit: close: %w", err)
	}
	return nil
}

// A parcel is a message on its way.
type parcel struct {
	exchange, key string
	mark          string // the CorrelationId begins with it, and link.publish adds a number
	m             amqp.Publishing
}

var errUnroutable = errors.New("no queue takes it")

// publish sends messages, in their order, and waits for the broker's word on each. The messages are its own.
func (l *link) publish(ctx context.Context, ps []parcel) []error {
	fill := func(stored mq.Stored, err error) []error {
		errs := make([]error, len(ps))
		for i := range errs {
			errs[i] = &mq.PublishError{Stored: stored, Err: err}
		}
		return errs
	}
	// A broker that stands still makes the way to a channel, and a write, wait for longer than ctx may last.
	done := make(chan []error, 1)
	var begun atomic.Bool // something is sent, or, set by who waits, nothing is to be
	if err := l.begin(ctx); err != nil {
		return fill(mq.NotStored, err)
	}
	go func() {
		defer l.end()
		p, err := l.publisher(ctx)
		switch {
		case err != nil:
			done <- fill(mq.NotStored, err)
		case begun.CompareAndSwap(false, true):
			done <- p.all(ctx, ps)
		}
	}()
	select {
	case errs := <-done:
		return errs
	case <-ctx.Done():
		stored := mq.PerhapsStored
		if begun.CompareAndSwap(false, true) {
			stored = mq.NotStored
		}
		return fill(stored, l.why(ctx))
	}
}

// why is why a publish has no answer when its context has ended.
func (l *link) why(ctx context.Context) error {
	if why := l.alarmed(); why != nil {
		return fmt.Errorf("%w: the broker is %s, and reads no jobs", context.Cause(ctx), *why)
	}
	return context.Cause(ctx)
}

// alarmed is why the broker reads nothing; nil: it reads. A connection that is being made has no alarm, and is not
// waited for.
func (l *link) alarmed() *string {
	if !l.mu.TryLock() {
		return nil
	}
	defer l.mu.Unlock()
	if l.blocked == nil {
		return nil
	}
	return l.blocked.reason.Load()
}

// A shipment is what a call of link.publish sends.
type shipment struct {
	ps      []parcel
	waits   []*amqp.DeferredConfirmation // of each; nil: it was not sent, and its error is noted
	errs    []error
	settled int // so many of the first have the broker's word, or an error
}

// all sends messages, then waits for all.
func (p *publisher) all(ctx context.Context, ps []parcel) []error {
	s := &shipment{ps: ps, waits: make([]*amqp.DeferredConfirmation, len(ps)), errs: make([]error, len(ps))}
	p.send(ctx, s)
	p.settle(s, len(ps))
	return s.errs
}

// send sends all, those of a batch in few writes.
func (p *publisher) send(ctx context.Context, s *shipment) {
	if len(s.ps) > 1 {
		p.writes.hold()
		defer p.writes.let()
	}
	for i := range s.ps {
		if err := p.place(ctx, s, i); err != nil {
			for ; i < len(s.ps); i++ {
				s.errs[i] = &mq.PublishError{Stored: mq.NotStored, Err: err}
			}
			return
		}
		m := &s.ps[i]
		m.m.CorrelationId = m.mark + strconv.FormatUint(seq.Add(1), 10)
		var err error
		s.waits[i], err = p.ch.PublishWithDeferredConfirm(m.exchange, m.key, true, false, m.m)
		if err != nil {
			<-p.out
			stored := mq.PerhapsStored
			if errors.Is(err, amqp.ErrClosed) { // before it wrote
				stored = mq.NotStored
			}
			s.errs[i], s.waits[i] = &mq.PublishError{Stored: stored, Err: err}, nil
		}
	}
}

// place waits until one more may be under way. Those of a call do not wait for each other: the n that are sent already
// are settled before.
func (p *publisher) place(ctx context.Context, s *shipment, n int) error {
	select {
	case p.out <- struct{}{}:
		return nil
	default:
	}
	if len(s.ps) > 1 {
		p.writes.let()
		defer p.writes.hold()
	}
	p.settle(s, n)
	select {
	case p.out <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// settle waits for the broker's word on the first n.
func (p *publisher) settle(s *shipment, n int) {
	for ; s.settled < n; s.settled++ {
		if d := s.waits[s.settled]; d != nil {
			s.errs[s.settled] = p.wait(d, s.ps[s.settled].m.CorrelationId)
		}
	}
}

// wait waits for the broker's word on one. A return comes before its confirm, so it is in p.returns by then.
func (p *publisher) wait(d *amqp.DeferredConfirmation, id string) error {
	acked := d.Wait()
	<-p.out
	p.mu.Lock()
	for more := true; more; {
		select {
		case r, ok := <-p.returns:
			if more = ok; ok {
				p.returned[r.CorrelationId] = true
			}
		default:
			more = false
		}
	}
	returned := p.returned[id]
	delete(p.returned, id)
	p.mu.Unlock()
	switch {
	case returned:
		return &mq.PublishError{Stored: mq.NotStored, Err: errUnroutable}
	case acked:
		return nil
	case p.ch.IsClosed():
		return &mq.PublishError{Stored: mq.PerhapsStored, Err: errors.New("the connection ended before the broker's answer")}
	default: // a queue at its bound (x-overflow reject-publish), or one that has just lost its leader
		return &mq.PublishError{Stored: mq.PerhapsStored, Err: fmt.Errorf("%w, or the broker could not store the "+
			"job in all queues", mq.ErrFull)}
	}
}
