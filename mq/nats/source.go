package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/plexor-go/plexor/mq"
)

// A source pulls jobs: it asks a consumer for so many as there are places free, and never has more on the way than
// that. The answers come to an inbox by a goroutine of the client.
type source struct {
	q     *queue
	group string
	o     mq.SubscribeOptions
	wake  chan struct{} // has a token when there may be something new

	behind sync.WaitGroup // what goes on behind a call

	mu     sync.Mutex
	inbox  string
	sub    *natsgo.Subscription
	age    int // of the requests: those of an earlier one are forgotten
	asked  []asked
	turn   int            // the partition that was asked last
	got    []*mq.Delivery // came, and were not handed out
	has    map[*mq.Delivery]struct{}
	err    error // the queue is gone
	closed bool
}

// asked is what a partition's consumer was asked for. A job does not tell which request it answers, so this is of all.
// The end of one does: its name has what was asked.
type asked struct {
	left int
	beat time.Time // when something last came of it
}

// A request's name is its partition, its size and its age.
func requestName(part, batch, age int) string { return fmt.Sprintf("%d.%d.%d", part, batch, age) }

func parseRequest(name string) (part, batch, age int, ok bool) {
	_, err := fmt.Sscanf(name, "%d.%d.%d", &part, &batch, &age)
	return part, batch, age, err == nil
}

// Times of requests. One that the server has forgotten is known by its silence.
const (
	pullTime = 30 * time.Second
	pullBeat = 5 * time.Second
	pullLost = 3 * pullBeat
	pullLook = time.Second           // how often that is looked at
	pollTime = 10 * time.Millisecond // of one partition, where they are asked in turn
)

// A token is what of a delivery is the backend's.
type token struct {
	reply   string
	seq     uint64
	part    int
	back    int    // see backHeader
	history string // the subject of its history; "": it has none
}

// listen makes the inbox. s.mu is held, or s is nobody else's yet.
func (s *source) listen() error {
	s.inbox = s.q.b.nc.NewInbox() + "."
	inbox := s.inbox
	sub, err := s.q.b.nc.Subscribe(inbox+">", func(m *natsgo.Msg) { s.came(inbox, m) })
	if err != nil {
		return err
	}
	s.sub = sub
	return sub.SetPendingLimits(-1, -1) // bounded by the pulls
}

func (s *source) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// came takes what the server sends.
func (s *source) came(inbox string, m *natsgo.Msg) {
	code, text := status(m)
	if code == 0 {
		s.job(inbox, m)
		return
	}
	part, batch, age, ok := parseRequest(strings.TrimPrefix(m.Subject, inbox))
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok || age != s.age || part >= len(s.asked) {
		return
	}
	p := &s.asked[part]
	p.beat = time.Now()
	switch {
	case code == 100: // it is there still
		return
	case code == 409 && strings.Contains(text, "consumer deleted"):
		s.err = mq.ErrNoQueue
	case code == 503:
		s.later(s.look)
	}
	if left, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages")); err == nil {
		batch = left
	}
	p.left = max(p.left-batch, 0)
	s.notify()
}

// look asks whether the queue is there, when nobody answers for it.
func (s *source) look(ctx context.Context) {
	_, err := s.q.b.js.Consumer(ctx, jobsPrefix+s.q.name, s.q.consumer(s.group, 0))
	if errors.Is(s.q.gone(orNil(err)), mq.ErrNoQueue) {
		s.mu.Lock()
		s.err = mq.ErrNoQueue
		s.mu.Unlock()
		s.notify()
	}
}

func orNil(err error) error {
	if err == nil {
		return errNoLeader
	}
	return err
}

// job takes a job that came.
func (s *source) job(inbox string, m *natsgo.Msg) {
	d, err := s.delivery(m)
	if err != nil {
		s.q.b.log.Warn("nats: a message that is no job came from a consumer", "stream", jobsPrefix+s.q.name, "err", err)
		return
	}
	s.mu.Lock()
	part := d.Token.(*token).part
	stale := inbox != s.inbox || s.closed
	if !stale {
		s.asked[part] = asked{max(s.asked[part].left-1, 0), time.Now()}
	}
	early := time.Until(d.NotBefore)
	if !stale && early <= 0 {
		s.got = append(s.got, d)
	}
	s.mu.Unlock()
	switch {
	case early > 0: // the server is to bring it again; if it does not hear that, it does so after Visibility
		_ = s.say(d, nakFor(early))
	case stale:
		s.unseen(d)
	}
	s.notify()
}

// delivery makes a job of a message.
func (s *source) delivery(m *natsgo.Msg) (*mq.Delivery, error) {
	meta, err := m.Metadata()
	if err != nil {
		return nil, err
	}
	msg, published, err := decode(m.Header, m.Data)
	if err != nil {
		s.q.b.log.Warn("nats: a job has a header that can't be read", "queue", s.q.name, "err", err)
	}
	if msg.ID == "" { // of another publisher
		msg.ID = strconv.FormatUint(meta.Sequence.Stream, 10)
	}
	if published.IsZero() {
		published = meta.Timestamp
	}
	t := &token{reply: m.Reply, seq: meta.Sequence.Stream}
	if s.q.o.Ordered {
		t.part, err = strconv.Atoi(meta.Consumer[strings.LastIndexByte(meta.Consumer, '=')+1:])
		if err != nil || t.part < 0 || t.part >= s.q.o.Partitions {
			return nil, fmt.Errorf("consumer %q of %d partitions", meta.Consumer, s.q.o.Partitions)
		}
	}
	d := &mq.Delivery{Message: msg, Published: published, Attempt: int(meta.NumDelivered), Token: t}
	if msg.NotBefore.After(published) && d.Attempt > 1 {
		d.Attempt-- // it came early once
	}
	return d, nil
}

func nakFor(d time.Duration) string { return fmt.Sprintf(`-NAK {"delay": %d}`, max(int64(d), 1)) }

// say sends an answer for a delivery, without waiting.
func (s *source) say(d *mq.Delivery, what string) error {
	err := s.q.b.nc.Publish(d.Token.(*token).reply, []byte(what))
	if err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	return nil
}

// Next hands out jobs.
func (s *source) Next(ctx context.Context, most int) ([]*mq.Delivery, error) {
	look := time.NewTimer(pullLook)
	defer look.Stop()
	for {
		if ctx.Err() != nil {
			s.withdraw()
			return nil, context.Cause(ctx)
		}
		ds, err := s.take(most)
		if err != nil {
			return nil, err
		}
		if len(ds) > 0 {
			s.recall(ctx, ds)
			return ds, nil
		}
		look.Reset(pullLook)
		select {
		case <-s.wake:
		case <-look.C:
		case <-ctx.Done():
		}
	}
}

// take hands out what there is, or asks for more.
func (s *source) take(most int) (ds []*mq.Delivery, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, mq.ErrClosed
	case s.err != nil:
		return nil, s.err
	case len(s.got) > 0:
		n := min(most, len(s.got))
		ds = append(ds, s.got[:n]...)
		s.got = append(s.got[:0], s.got[n:]...)
		for _, d := range ds {
			s.has[d] = struct{}{}
		}
		return ds, nil
	}
	left := 0
	for i := range s.asked {
		if p := &s.asked[i]; p.left > 0 && time.Since(p.beat) > pullLost {
			p.left = 0
		}
		left += s.asked[i].left
	}
	if s.q.o.Ordered { // places that became free since the call count too: their partitions may be asked by nobody else
		most = max(most, s.o.InFlight-len(s.has))
	}
	// Not a request for each place that becomes free: the next goes out when half of them are.
	if want := most - left; want > 0 && (left == 0 || want >= s.o.InFlight/2 || s.q.o.Ordered) {
		if err := s.ask(want); errors.Is(err, natsgo.ErrConnectionClosed) {
			return nil, mq.ErrClosed
		}
	}
	return nil, nil // after another error the connection is made anew, and so are the requests
}

// ask sends requests for so many jobs. s.mu is held.
func (s *source) ask(want int) error {
	if !s.q.o.Ordered {
		return s.request(0, want, pullTime)
	}
	busy := make(map[int]bool)
	for d := range s.has {
		busy[d.Token.(*token).part] = true
	}
	for part, p := range s.asked {
		if p.left > 0 {
			busy[part] = true
		}
	}
	expiry := pullTime
	if s.q.o.Partitions-len(busy) > want { // not all can be asked to wait: they are asked in turn
		expiry = pollTime
	}
	for n := 0; n < s.q.o.Partitions && want > 0; n++ {
		s.turn = (s.turn + 1) % s.q.o.Partitions
		if busy[s.turn] {
			continue
		}
		want--
		if err := s.request(s.turn, 1, expiry); err != nil {
			return err
		}
	}
	return nil
}

// request sends one. s.mu is held.
func (s *source) request(part, batch int, expiry time.Duration) error {
	body := fmt.Sprintf(`{"batch":%d,"expires":%d,"idle_heartbeat":%d}`, batch, expiry, min(pullBeat, expiry/2))
	subject := "$JS.API.CONSUMER.MSG.NEXT." + jobsPrefix + s.q.name + "." + s.q.consumer(s.group, part)
	if err := s.q.b.nc.PublishRequest(subject, s.inbox+requestName(part, batch, s.age), []byte(body)); err != nil {
		return err
	}
	s.asked[part] = asked{s.asked[part].left + batch, time.Now()}
	return nil
}

// forget forgets the requests. s.mu is held.
func (s *source) forget() (had bool) {
	s.age++
	for i := range s.asked {
		had = had || s.asked[i].left > 0
		s.asked[i] = asked{}
	}
	return had
}

// pullAnew is for a new connection: the requests were sent on one that is no more.
func (s *source) pullAnew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	s.notify()
}

// withdraw takes back the requests, so that no job comes that nobody waits for. What comes all the same goes to others.
func (s *source) withdraw() {
	s.mu.Lock()
	old, got := s.sub, s.got
	s.got = nil
	had := s.forget()
	var err error
	if had && !s.closed {
		err = s.listen()
	}
	s.mu.Unlock()
	if had && err == nil {
		_ = old.Drain() // what is on the way still comes
	}
	for _, d := range got {
		s.unseen(d)
	}
}

// Close gives back what is here.
func (s *source) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	got, has := s.got, s.has
	s.got, s.has = nil, make(map[*mq.Delivery]struct{})
	s.mu.Unlock()
	s.notify()
	s.q.b.mu.Lock()
	delete(s.q.b.sources, s)
	s.q.b.mu.Unlock()
	for _, d := range got {
		s.unseen(d)
	}
	var err error
	for d := range has {
		err = errors.Join(err, s.say(d, "-NAK"))
	}
	return errors.Join(err, s.drain())
}

// drain ends the subscription when what is on the way has come, and all that was said has arrived.
func (s *source) drain() error {
	over := make(chan struct{})
	s.sub.SetClosedHandler(func(string) { close(over) })
	if err := s.sub.Drain(); err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	defer s.behind.Wait()
	t := time.NewTimer(connectTime)
	defer t.Stop()
	select {
	case <-over:
	case <-t.C:
	}
	if err := s.q.b.nc.FlushTimeout(connectTime); err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	return nil
}
