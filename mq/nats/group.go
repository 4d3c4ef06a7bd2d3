package nats

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/plexor-go/plexor/mq"
)

// A group commit. An embedded server syncs the disk for each message, and stores one message after another: 64
// publishers would store no more a second than one does. But it syncs an atomic batch once (nats-server 2.15,
// stream.go, coalesceSync). So the messages that are published while others are on their way wait, and go together as
// one batch when the server has answered.
//
// The trap: the server keeps the parts of a batch in a folder of its own until the batch is whole, and syncs that
// folder too, since it promises that a batch is stored whole or not at all even when the power fails. That costs more
// than the batch saves. No publisher here needs that promise, so the folder is in memory: see stage.
//
// The server refuses a batch as a whole, if one message is a duplicate or has no room. Then nothing of the batch is
// stored, and each message is sent by itself, to get its own answer.

// Bounds of batches.
const (
	leastBatch = 4       // messages: fewer are sent by themselves
	mostBatch  = 256     // messages; the server's own bound is 1000
	mostBytes  = 1 << 20 // of the bodies and headers of a batch
	ofMessage  = 256     // bytes that the server stores with each message
	mostSingle = 4       // messages on their way by themselves; with more, others wait for a batch

	// batchWait is how long the next batch waits for the answer to the last one.
	batchWait = time.Second

	// So many messages are sent by themselves after a batch was refused, and twice as many after each refusal that
	// follows: a queue whose batches are refused again and again soon makes few.
	firstPause = 64
	mostPause  = 4096
)

// A gatherer makes batches of what is published in a queue at the same time. While mu is held, no other lock is taken
// but that of the backend.
type gatherer struct {
	q *queue

	mu      sync.Mutex
	waiting []*request
	count   int  // messages of waiting
	single  int  // messages on their way by themselves
	busy    bool // a batch is on its way

	pause     int // messages that are still to be sent by themselves before a batch is tried again
	lastPause int // what the last refusal has set pause to; 0: the last batch was stored
}

// A request is the messages that one publisher wants stored, in their order.
type request struct {
	ms    []*natsgo.Msg
	bytes int
	sent  chan struct{} // closed when a batch was sent: its ms are not used any more
	done  chan []answer // gets the answers; or nil: the publisher is to send the messages by themselves

	taken bool // from waiting; under mu, as left is
	left  bool // the publisher does not wait for the answers any more
}

// store stores messages, each by itself or in a batch with those of other publishers, and returns when all have their
// answers or ctx has ended. Messages that are too many for one batch are stored batch after batch, in their order.
func (g *gatherer) store(ctx context.Context, ms []*natsgo.Msg) []answer {
	as := make([]answer, 0, len(ms))
	for len(ms) > 0 {
		r := &request{sent: make(chan struct{}), done: make(chan []answer, 1)}
		for len(r.ms) < min(len(ms), mostBatch) {
			n := inBatch(ms[len(r.ms)])
			if len(r.ms) > 0 && r.bytes+n > mostBytes {
				break
			}
			r.bytes += n
			r.ms = ms[:len(r.ms)+1]
		}
		ms = ms[len(r.ms):]
		as = append(as, g.storeRequest(ctx, r)...)
	}
	return as
}

// inBatch is how many bytes a message counts for in a batch.
func inBatch(m *natsgo.Msg) int {
	n := len(m.Subject) + len(m.Data) + ofMessage
	for k, vs := range m.Header {
		for _, v := range vs {
			n += len(k) + len(v)
		}
	}
	return n
}

// storeRequest is store for what fits into one batch.
func (g *gatherer) storeRequest(ctx context.Context, r *request) []answer {
	g.mu.Lock()
	g.waiting = append(g.waiting, r)
	g.count += len(r.ms)
	g.startNext()
	g.mu.Unlock()
	select {
	case as := <-r.done:
		return g.result(ctx, r, as)
	case <-ctx.Done():
	}
	stored := g.leave(r)
	if stored == mq.PerhapsStored { // it was taken: a batch may be reading its messages, which are the caller's
		select {
		case <-r.sent:
		case as := <-r.done:
			return g.result(ctx, r, as)
		}
	}
	select {
	case as := <-r.done:
		return g.result(ctx, r, as)
	default:
		return sameAnswer(r, answer{err: context.Cause(ctx), stored: stored})
	}
}

// result returns the answers of a batch. If there are none, it sends the messages by themselves, and returns the
// answers to those.
func (g *gatherer) result(ctx context.Context, r *request, as []answer) []answer {
	if as != nil {
		return as
	}
	defer g.singlesDone(r)
	if ctx.Err() != nil {
		return sameAnswer(r, answer{err: context.Cause(ctx), stored: mq.NotStored})
	}
	return g.q.store(ctx, r.ms)
}

// leave is called when the publisher's context has ended, and returns what is known of the messages then.
func (g *gatherer) leave(r *request) mq.Stored {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.left = true; r.taken {
		return mq.PerhapsStored
	}
	g.waiting = slices.DeleteFunc(g.waiting, func(w *request) bool { return w == r })
	g.count -= len(r.ms)
	return mq.NotStored
}

// singlesDone is called when messages that were sent by themselves have their answers.
func (g *gatherer) singlesDone(r *request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.single -= len(r.ms)
	g.startNext()
}

// startNext starts what may start now: messages by themselves behind a refusal, then a batch, then messages by
// themselves as long as few are on their way. g.mu is held.
func (g *gatherer) startNext() {
	for len(g.waiting) > 0 && g.pause > 0 {
		r := g.takeFirst()
		g.pause = max(g.pause-len(r.ms), 0)
		g.sendSingly(r)
	}
	if !g.busy && g.count >= leastBatch {
		var rs []*request
		for n, bytes := 0, 0; len(g.waiting) > 0; {
			r := g.waiting[0]
			if r.bytes > mostBytes { // one message: the headers of a batch may make it too long for the server
				g.sendSingly(g.takeFirst())
				continue
			}
			n, bytes = n+len(r.ms), bytes+r.bytes
			if len(rs) > 0 && (n > mostBatch || bytes > mostBytes) {
				break
			}
			rs = append(rs, g.takeFirst())
		}
		if g.busy = len(rs) > 0 && g.q.b.goBehind(func() { g.batch(rs) }); !g.busy {
			for _, r := range rs {
				g.sendSingly(r) // which returns that the backend is closed
			}
		}
	}
	for !g.busy && len(g.waiting) > 0 && g.single < mostSingle {
		g.sendSingly(g.takeFirst())
	}
}

// takeFirst takes the request that waits for longest. g.mu is held.
func (g *gatherer) takeFirst() *request {
	r := g.waiting[0]
	g.waiting = g.waiting[1:]
	g.count -= len(r.ms)
	r.taken = true
	return r
}

// sendSingly has the publisher's own goroutine send each message by itself: see result. g.mu is held.
func (g *gatherer) sendSingly(r *request) {
	if r.left {
		return
	}
	g.single += len(r.ms)
	r.done <- nil
}

// sameAnswer returns the same answer for each message of a request.
func sameAnswer(r *request, v answer) []answer {
	as := make([]answer, len(r.ms))
	for i := range as {
		as[i] = v
	}
	return as
}

// batch stores requests as one batch, and gives each its answers. It runs on a goroutine of its own, so that it goes on
// when the context of one of the publishers ends.
func (g *gatherer) batch(rs []*request) {
	f := g.send(rs)
	for _, r := range rs {
		close(r.sent)
	}
	v, late := g.await(f)
	n := uint64(0)
	for _, r := range rs {
		n += uint64(len(r.ms))
	}
	if v.err == nil && (v.count != n || v.seq < n) {
		v.err, v.stored = fmt.Errorf("the server took %d messages for a batch of %d", v.count, n), mq.PerhapsStored
	}
	if v.err == nil {
		v.err = g.q.b.names.ofStream(v.stream)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !late {
		g.busy = false
	}
	if v.err != nil && v.stored == mq.NotStored {
		g.lastPause = min(max(2*g.lastPause, firstPause), mostPause)
		g.pause = g.lastPause
		for _, r := range rs {
			g.sendSingly(r)
		}
	} else {
		g.lastPause = 0
		v.seq -= n
		for _, r := range rs {
			as := sameAnswer(r, v)
			for i := range as {
				v.seq++
				as[i].seq = v.seq
			}
			r.done <- as
		}
	}
	g.startNext()
}

// send publishes a batch. The server answers the last message alone, for all of them.
func (g *gatherer) send(rs []*request) flight {
	b := g.q.b
	bytes := 0
	for _, r := range rs {
		bytes += r.bytes
	}
	if !b.stage.ready(jobsPrefix+g.q.name, bytes) {
		return b.acks.failed(answer{err: errNoStage, stored: mq.NotStored})
	}
	id := b.acks.batchID()
	last := rs[len(rs)-1].ms
	n := 0
	for _, r := range rs {
		for _, m := range r.ms {
			n++
			h := maps.Clone(m.Header) // the message may be sent by itself later
			h[batchIDHeader], h[batchSeqHeader] = []string{id}, []string{strconv.Itoa(n)}
			part := &natsgo.Msg{Subject: m.Subject, Data: m.Data, Header: h}
			if m == last[len(last)-1] {
				h[batchCommitHeader] = []string{"1"}
				return b.acks.send(part)
			}
			if err := b.acks.publish(part); err != nil {
				return b.acks.failed(answer{err: err, stored: mq.NotStored}) // the server drops a batch without an end
			}
		}
	}
	panic("nats: an empty batch")
}

// Headers of a batch (NATS ADR-50).
const (
	batchIDHeader     = "Nats-Batch-Id"
	batchSeqHeader    = "Nats-Batch-Sequence"
	batchCommitHeader = "Nats-Batch-Commit"
)

var errNoStage = errors.New("there is no memory to hold a batch in")

// await waits for the answer to a batch. late means that it took longer than batchWait, and that the next batch was
// started meanwhile. (A server that fails in the midst of a batch never answers.)
func (g *gatherer) await(f flight) (v answer, late bool) {
	over, cancel := context.WithTimeout(g.q.b.life, batchWait)
	defer cancel()
	select {
	case v := <-f.c:
		return v, false
	case <-over.Done():
	}
	g.mu.Lock()
	g.busy = false
	g.startNext()
	g.mu.Unlock()
	silent, cancel := context.WithTimeout(context.Background(), mostSilent)
	defer cancel()
	v = f.wait(g.q.b.life, silent.Done())
	if errors.Is(v.err, context.Canceled) {
		v.err = mq.ErrClosed
	}
	return v, true
}
