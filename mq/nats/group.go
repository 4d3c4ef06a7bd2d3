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

// A group commit. An embedded server syncs the disk for each message, and stores one after another: 64 publishers would
// store no more a second than one does. But it syncs an atomic batch once (nats-server 2.15, stream.go, coalesceSync).
// So what is published while others' messages are on their way is gathered, and goes as one batch when that is over.
//
// The trap: the server keeps a batch in a folder of its own until it is whole, and syncs that folder too, for a batch
// is whole or not at all even when the power fails in its midst. That costs more than it saves. Nobody here needs whole
// batches, so that folder is in memory: see stage.
//
// A batch is refused as a whole, for one message that is a duplicate or has no room. Then nothing of it is stored, and
// each goes by itself, to get its own answer.

// Bounds of batches.
const (
	fewest    = 4       // messages that are worth a batch
	mostBatch = 256     // messages of one; the server's own bound is 1000
	mostBytes = 1 << 20 // of their bodies and headers
	ofMessage = 256     // bytes of what a message is stored with besides
	mostAlone = 4       // messages that are on their way alone, before others are gathered
	held      = time.Second
	shyFirst  = 64 // messages that go alone after a refusal, twice as many after the next
	shyMost   = 4096
)

// A gatherer has what is published in a queue at the same time. mu is the last lock but that of the backend.
type gatherer struct {
	q *queue

	mu      sync.Mutex
	waiting []*party
	count   int  // messages of waiting
	alone   int  // messages on their way alone
	busy    bool // a batch is on its way
	shy     int  // messages that go alone before a batch is tried again
	refused int  // what shy was last
}

// A party is the messages of one publisher, in their order.
type party struct {
	ms    []*natsgo.Msg
	bytes int
	sent  chan struct{} // of a batch: closed when nothing of ms is needed for it any more
	done  chan []answer // gets the answers; nil: the messages are to go alone

	began bool // it is not waiting any more; under mu, as left is
	left  bool // nobody waits for the answers
}

// store stores messages, by themselves or in a batch with those of others, and waits for the answers.
func (g *gatherer) store(ctx context.Context, ms []*natsgo.Msg) []answer {
	as := make([]answer, 0, len(ms))
	for len(ms) > 0 {
		p := &party{sent: make(chan struct{}), done: make(chan []answer, 1)}
		for len(p.ms) < min(len(ms), mostBatch) {
			n := inBatch(ms[len(p.ms)])
			if len(p.ms) > 0 && p.bytes+n > mostBytes {
				break
			}
			p.bytes += n
			p.ms = ms[:len(p.ms)+1]
		}
		ms = ms[len(p.ms):]
		as = append(as, g.join(ctx, p)...)
	}
	return as
}

// inBatch is how many bytes of a batch a message takes.
func inBatch(m *natsgo.Msg) int {
	n := len(m.Subject) + len(m.Data) + ofMessage
	for k, vs := range m.Header {
		for _, v := range vs {
			n += len(k) + len(v)
		}
	}
	return n
}

// join is store of what one batch can have.
func (g *gatherer) join(ctx context.Context, p *party) []answer {
	g.mu.Lock()
	g.waiting = append(g.waiting, p)
	g.count += len(p.ms)
	g.step()
	g.mu.Unlock()
	select {
	case as := <-p.done:
		return g.given(ctx, p, as)
	case <-ctx.Done():
	}
	stored := g.leave(p)
	if stored == mq.PerhapsStored {
		select {
		case <-p.sent: // of a batch
		case as := <-p.done:
			return g.given(ctx, p, as)
		}
	}
	select {
	case as := <-p.done:
		return g.given(ctx, p, as)
	default:
		return toAll(p, answer{err: context.Cause(ctx), stored: stored})
	}
}

// given is what a party is told.
func (g *gatherer) given(ctx context.Context, p *party, as []answer) []answer {
	if as != nil {
		return as
	}
	defer g.ended(p)
	if ctx.Err() != nil {
		return toAll(p, answer{err: context.Cause(ctx), stored: mq.NotStored})
	}
	return g.q.store(ctx, p.ms)
}

// leave ends a party's wait, and says what is known of its messages then.
func (g *gatherer) leave(p *party) mq.Stored {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.left = true; p.began {
		return mq.PerhapsStored
	}
	g.waiting = slices.DeleteFunc(g.waiting, func(w *party) bool { return w == p })
	g.count -= len(p.ms)
	return mq.NotStored
}

// ended is called when the messages of a party that went alone have their answers.
func (g *gatherer) ended(p *party) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alone -= len(p.ms)
	g.step()
}

// step begins what can begin. g.mu is held.
func (g *gatherer) step() {
	for len(g.waiting) > 0 && g.shy > 0 {
		p := g.first()
		g.shy = max(g.shy-len(p.ms), 0)
		g.goAlone(p)
	}
	if !g.busy && g.count >= fewest {
		var ps []*party
		for n, bytes := 0, 0; len(g.waiting) > 0; {
			p := g.waiting[0]
			if p.bytes > mostBytes { // one message, for which the headers of a batch may be too much
				g.goAlone(g.first())
				continue
			}
			n, bytes = n+len(p.ms), bytes+p.bytes
			if len(ps) > 0 && (n > mostBatch || bytes > mostBytes) {
				break
			}
			ps = append(ps, g.first())
		}
		if g.busy = len(ps) > 0 && g.q.b.goBehind(func() { g.batch(ps) }); !g.busy {
			for _, p := range ps {
				g.goAlone(p) // to be told that the backend is closed
			}
		}
	}
	for !g.busy && len(g.waiting) > 0 && g.alone < mostAlone {
		g.goAlone(g.first())
	}
}

func (g *gatherer) first() *party {
	p := g.waiting[0]
	g.waiting = g.waiting[1:]
	g.count -= len(p.ms)
	p.began = true
	return p
}

// goAlone has a party's publisher publish each message by itself. g.mu is held.
func (g *gatherer) goAlone(p *party) {
	if p.left {
		return
	}
	g.alone += len(p.ms)
	p.done <- nil
}

// toAll is the same answer to each of a party's messages.
func toAll(p *party, v answer) []answer {
	as := make([]answer, len(p.ms))
	for i := range as {
		as[i] = v
	}
	return as
}

// batch stores a batch. It runs on a goroutine of its own, so that no publisher's end is that of others.
func (g *gatherer) batch(ps []*party) {
	f := g.send(ps)
	for _, p := range ps {
		close(p.sent)
	}
	v, late := g.await(f)
	n := uint64(0)
	for _, p := range ps {
		n += uint64(len(p.ms))
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
		g.refused = min(max(2*g.refused, shyFirst), shyMost)
		g.shy = g.refused
		for _, p := range ps {
			g.goAlone(p)
		}
	} else {
		g.refused = 0
		v.seq -= n
		for _, p := range ps {
			as := toAll(p, v)
			for i := range as {
				v.seq++
				as[i].seq = v.seq
			}
			p.done <- as
		}
	}
	g.step()
}

// send publishes a batch: the answer to the last of its messages is that to all.
func (g *gatherer) send(ps []*party) flight {
	b := g.q.b
	bytes := 0
	for _, p := range ps {
		bytes += p.bytes
	}
	if !b.stage.of(jobsPrefix+g.q.name, bytes) {
		return b.acks.failed(answer{err: errNoStage, stored: mq.NotStored})
	}
	id := b.acks.batchID()
	last := ps[len(ps)-1].ms
	n := 0
	for _, p := range ps {
		for _, m := range p.ms {
			n++
			h := maps.Clone(m.Header) // for it may have to go alone later
			h[batchIDHeader], h[batchSeqHeader] = []string{id}, []string{strconv.Itoa(n)}
			part := &natsgo.Msg{Subject: m.Subject, Data: m.Data, Header: h}
			if m == last[len(last)-1] {
				h[batchCommitHeader] = []string{"1"}
				return b.acks.send(part)
			}
			if err := b.acks.publish(part); err != nil {
				return b.acks.failed(answer{err: err, stored: mq.NotStored}) // the server forgets the rest
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

// await waits for the answer to a batch. late: it took so long that the next was not held up any more. (A server that
// fails in the midst of a batch says nothing at all.)
func (g *gatherer) await(f flight) (v answer, late bool) {
	over, cancel := context.WithTimeout(g.q.b.life, held)
	defer cancel()
	select {
	case v := <-f.c:
		return v, false
	case <-over.Done():
	}
	g.mu.Lock()
	g.busy = false
	g.step()
	g.mu.Unlock()
	silent, cancel := context.WithTimeout(context.Background(), mostSilent)
	defer cancel()
	v = f.wait(g.q.b.life, silent.Done())
	if errors.Is(v.err, context.Canceled) {
		v.err = mq.ErrClosed
	}
	return v, true
}
