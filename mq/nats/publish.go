package nats

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/plexor-go/plexor/mq"
)

// acks are the server's answers to what was published, which come to one subscription.
type acks struct {
	nc     *natsgo.Conn
	prefix string
	name   string // of batches

	mu      sync.Mutex
	next    uint64
	waiting map[string]chan answer
	fault   error // why nothing can be stored; nil: it can, as far as is known
}

// An answer is that a message is stored, or why not.
type answer struct {
	seq       uint64
	count     uint64 // of a batch's messages
	stream    string
	duplicate bool
	err       error
	stored    mq.Stored
}

var (
	errBroke     = errors.New("the connection broke before the server's answer")
	errNoLeader  = errors.New("no server answers for the stream")
	errNotOnline = errors.New("there is no connection to the server")
	errNoAnswer  = fmt.Errorf("the server has not answered for %v", mostSilent)
)

func newAcks() *acks {
	return &acks{name: rand.Text()[:10], waiting: make(map[string]chan answer)}
}

func (a *acks) listen(nc *natsgo.Conn) error {
	a.nc, a.prefix = nc, nc.NewInbox()+"."
	sub, err := nc.Subscribe(a.prefix+"*", a.came)
	if err != nil {
		return err
	}
	return sub.SetPendingLimits(-1, -1) // bounded by what waits
}

func (a *acks) came(m *natsgo.Msg) {
	token := strings.TrimPrefix(m.Subject, a.prefix)
	a.mu.Lock()
	c := a.waiting[token]
	delete(a.waiting, token)
	a.mu.Unlock()
	if c != nil {
		c <- parseAck(m)
	}
}

func parseAck(m *natsgo.Msg) answer {
	if code, text := status(m); code != 0 {
		if code == 503 {
			return answer{err: errNoLeader, stored: mq.NotStored}
		}
		return answer{err: fmt.Errorf("status %d: %s", code, text), stored: mq.PerhapsStored}
	}
	var ack struct {
		Error     *jetstream.APIError `json:"error"`
		Stream    string              `json:"stream"`
		Seq       uint64              `json:"seq"`
		Count     uint64              `json:"count"`
		Duplicate bool                `json:"duplicate"`
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil || ack.Error == nil && (ack.Stream == "" || ack.Seq == 0) {
		return answer{err: fmt.Errorf("an answer that is none: %.100q", m.Data), stored: mq.PerhapsStored}
	}
	if ack.Error == nil {
		return answer{seq: ack.Seq, count: ack.Count, stream: ack.Stream, duplicate: ack.Duplicate, stored: mq.IsStored}
	}
	if full(ack.Error) {
		return answer{err: mq.ErrFull, stored: mq.NotStored}
	}
	return answer{err: ack.Error, stored: mq.NotStored}
}

// full reports that there is no room: a bound of the stream, or of the server's store.
func full(e *jetstream.APIError) bool {
	switch e.ErrorCode {
	case codeNoResources, codeAccountResources, codeNoStorage:
		return true
	case codeStoreFailed:
		return strings.Contains(e.Description, "maximum messages exceeded") ||
			strings.Contains(e.Description, "maximum bytes exceeded")
	}
	return false
}

// broke fails what waits: its answers went to a connection that is no more.
func (a *acks) broke() {
	a.mu.Lock()
	waiting := a.waiting
	a.waiting = make(map[string]chan answer)
	a.mu.Unlock()
	for _, c := range waiting {
		c <- answer{err: errBroke, stored: mq.PerhapsStored}
	}
}

// setFault refuses what is published from now on, and fails what waits, as long as err is not nil. What waits is not
// known: the server may have written it just before.
func (a *acks) setFault(err error) {
	a.mu.Lock()
	a.fault = err
	var waiting map[string]chan answer
	if err != nil {
		waiting, a.waiting = a.waiting, make(map[string]chan answer)
	}
	a.mu.Unlock()
	for _, c := range waiting {
		c <- answer{err: errors.New(err.Error()), stored: mq.PerhapsStored} // no ErrFull: that would be not stored
	}
}

// A flight is a message on its way.
type flight struct {
	a     *acks
	token string
	c     chan answer
}

// send begins to publish a message.
func (a *acks) send(m *natsgo.Msg) flight {
	f := flight{a: a, c: make(chan answer, 1)}
	a.mu.Lock()
	if a.fault != nil {
		defer a.mu.Unlock()
		f.c <- answer{err: a.fault, stored: mq.NotStored}
		return f
	}
	a.next++
	f.token = strconv.FormatUint(a.next, 36)
	a.waiting[f.token] = f.c
	a.mu.Unlock()
	m.Reply = a.prefix + f.token
	if err := a.publish(m); err != nil {
		f.settle(answer{err: err, stored: mq.NotStored})
	}
	return f
}

// failed is a flight that has ended.
func (a *acks) failed(v answer) flight {
	f := flight{a: a, c: make(chan answer, 1)}
	f.c <- v
	return f
}

// batchID is a name that no other batch has.
func (a *acks) batchID() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next++
	return a.name + strconv.FormatUint(a.next, 36)
}

// publish hands a message to the client. An error says that the server has nothing of it.
func (a *acks) publish(m *natsgo.Msg) error {
	err := a.nc.PublishMsg(m)
	switch {
	case errors.Is(err, natsgo.ErrReconnectBufExceeded), errors.Is(err, natsgo.ErrConnectionReconnecting),
		errors.Is(err, natsgo.ErrDisconnected):
		return errNotOnline
	case errors.Is(err, natsgo.ErrConnectionClosed):
		return mq.ErrClosed
	case errors.Is(err, natsgo.ErrMaxPayload):
		return fmt.Errorf("the server takes messages of %d bytes (max_payload): %w", a.nc.MaxPayload(), err)
	}
	return err
}

// settle gives an answer of our own, if there is none yet.
func (f flight) settle(v answer) {
	f.a.mu.Lock()
	_, ok := f.a.waiting[f.token]
	delete(f.a.waiting, f.token)
	f.a.mu.Unlock()
	if ok {
		f.c <- v
	}
}

// wait waits for the answer. It may never come although the connection goes on: when the node that was to store the
// message, which need not be the one of the connection, has died with it. over ends when that long has passed.
func (f flight) wait(ctx context.Context, over <-chan struct{}) answer {
	select {
	case v := <-f.c:
		return v
	case <-over:
		f.settle(answer{err: errNoAnswer, stored: mq.PerhapsStored})
	case <-ctx.Done():
		f.settle(answer{err: context.Cause(ctx), stored: mq.PerhapsStored})
	}
	return <-f.c
}

// mostSilent is how long an answer may take.
const mostSilent = 10 * time.Second

// Pauses while there is no server, or no leader of a stream: a cluster has a new one within some seconds.
const (
	firstAbsent = 20 * time.Millisecond
	lastAbsent  = 250 * time.Millisecond
	mostAbsent  = 15 * time.Second // for a Publish whose context has no end
)

// store publishes messages and waits for the answers. Those of which it is known that they were not stored, for nobody
// was there, are published again, for a while.
func (q *queue) store(ctx context.Context, ms []*natsgo.Msg) []answer {
	as := make([]answer, len(ms))
	todo := make([]int, len(ms))
	for i := range todo {
		todo[i] = i
	}
	patience, cancel := context.WithTimeout(ctx, mostAbsent)
	defer cancel()
	for pause := firstAbsent; ; pause = min(2*pause, lastAbsent) {
		fs := make([]flight, len(todo))
		for k, i := range todo {
			fs[k] = q.b.acks.send(ms[i])
		}
		var absent []int
		over, cancel := context.WithTimeout(context.Background(), mostSilent)
		for k, f := range fs {
			as[todo[k]] = f.wait(ctx, over.Done())
			if err := as[todo[k]].err; errors.Is(err, errNotOnline) || errors.Is(err, errNoLeader) {
				absent = append(absent, todo[k])
			}
		}
		cancel()
		if len(absent) == 0 || !q.absent(patience, as[absent[0]].err, pause) {
			return q.keep(q.explain(as))
		}
		todo = absent
	}
}

// keep sees to it that the names of files in which messages were stored are safe.
func (q *queue) keep(as []answer) []answer {
	for i := range as {
		if as[i].err == nil {
			as[i].err = q.b.names.ofStream(as[i].stream)
		}
	}
	return as
}

// absent waits for the server; false: it is no use.
func (q *queue) absent(ctx context.Context, why error, d time.Duration) bool {
	if errors.Is(why, errNoLeader) {
		if _, err := q.b.js.Stream(ctx, jobsPrefix+q.name); errors.Is(err, jetstream.ErrStreamNotFound) {
			return false
		}
	}
	return pause(ctx, d)
}

// explain says ErrNoQueue where it was found that there is none.
func (q *queue) explain(as []answer) []answer {
	for i := range as {
		if errors.Is(as[i].err, errNoLeader) {
			as[i].err = fmt.Errorf("%w: the queue was deleted, or too few nodes of the cluster are up", errNoLeader)
		}
	}
	return as
}

func (q *queue) Publish(ctx context.Context, ms []*mq.Message, rs []mq.Receipt) {
	out := make([]*natsgo.Msg, len(ms))
	for i, m := range ms {
		out[i] = encode(q.subject(m, ""), m)
		if q.o.Dedupe > 0 {
			out[i].Header[natsgo.MsgIdHdr] = []string{m.ID}
		}
	}
	store := q.store
	if q.gather != nil {
		store = q.gather.store
	}
	for i, a := range store(ctx, out) {
		rs[i].Duplicate = a.duplicate
		if a.err != nil {
			rs[i].Err = &mq.PublishError{Stored: a.stored, Err: a.err}
		}
	}
}
