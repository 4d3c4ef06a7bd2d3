package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/stack"
	"github.com/plexor-go/plexor/loop"
)

// A run is what the loops of one Run have in common.
type run struct {
	opt    Options
	target target
	// serverName is the host as it was given, for which a certificate must be good.
	serverName string
	payload    *payload
	epoch      time.Time // what all times are counted from, in nanoseconds
	workers    []*worker

	connected chan struct{} // each worker sends once: all its connections stand, or never will
	done      chan struct{} // each worker sends once: nothing more will be answered
}

// Run puts load on a server until the end that the options say, or until ctx is cancelled, and reports. It returns an
// error, and no Result, only if there is nothing to report: mistakes in the options (ErrOptions), a name that can't be
// resolved, a driver that does not work here or that fails. All else is in the Result. Any goroutine that is no loop's
// may call it; nothing of the run is left when it returns.
func Run(ctx context.Context, o Options) (*Result, error) {
	stack.Given("load: Run", "the context", ctx != nil)
	r := &run{epoch: time.Now()}
	var err error
	if r.target, err = parseTarget(o.Address); err != nil {
		return nil, err
	}
	if r.opt, err = o.withDefaults(&r.target); err != nil {
		return nil, err
	}
	r.payload = newPayload(&r.opt)
	if r.opt.Codec != nil {
		if err := r.payload.checkCodec(r.opt.Codec); err != nil {
			return nil, err
		}
	}
	addrs, err := r.target.addr.Resolve(ctx)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	r.serverName, r.target.addr = r.target.addr.Host, addrs[0]
	g, err := loop.NewGroup(loop.GroupOptions{Loops: r.opt.Loops, Options: r.loopOptions()})
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	defer g.Close()
	r.makeWorkers(g)
	return r.run(ctx, g)
}

// loopOptions make the queues hold what may be under way, so that no write is ever refused.
func (r *run) loopOptions() loop.Options {
	o := &r.opt
	flight := o.Size * o.Depth
	if o.Codec != nil {
		out := frame.Outgoing(o.Codec)
		flight += (out.MaxFrame() - out.MaxMessage()) * o.Depth
	}
	if o.WebSocket != nil {
		flight += (o.Size/mostFramingPart + mostFraming) * o.Depth
	}
	return loop.Options{
		Driver:      o.Driver,
		HighWater:   max(256<<10, 2*flight),
		PacketQueue: max(1<<20, 2*o.Depth*max(o.Size, 64)),
		Linger:      partingTime,
		Stall:       -1,
		Log:         slog.New(slog.DiscardHandler),
	}
}

// makeWorkers shares connections, requests and rate between the loops.
func (r *run) makeWorkers(g *loop.Group) {
	loops := g.Loops()
	r.connected, r.done = make(chan struct{}, len(loops)), make(chan struct{}, len(loops))
	for i, l := range loops {
		share := func(n int64) int64 { // of n, for this one: they differ by one at most
			return n/int64(len(loops)) + int64(btoi(int64(i) < n%int64(len(loops))))
		}
		w := &worker{run: r, loop: l, hist: newHistogram(), quota: -1, index: i, count: int(share(int64(r.opt.Conns)))}
		if r.opt.Requests > 0 {
			w.quota = share(r.opt.Requests)
		}
		if r.opt.Rate > 0 {
			w.gap = 1e9 / r.opt.Rate * float64(r.opt.Conns) / float64(w.count)
		}
		r.workers = append(r.workers, w)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// now is the time in the run's nanoseconds.
func (r *run) now() int64 { return int64(time.Since(r.epoch)) }

// partingTime is how long the connections have, in the end, for the peer to close its half.
const partingTime = time.Second

// run goes through the phases.
func (r *run) run(ctx context.Context, g *loop.Group) (*Result, error) {
	ended := make(chan struct{})
	go func() { _ = g.Wait(); close(ended) }() // its error is asked for again below
	interrupted := false
	await := func(phase string, each <-chan struct{}, span int64) {
		look := time.NewTicker(progressEvery)
		defer look.Stop()
		watch := r.watch(phase, span)
		for n := 0; n < len(r.workers) && !interrupted; {
			select {
			case <-each:
				n++
			case <-look.C:
				watch()
			case <-ctx.Done():
				interrupted = true
			case <-ended:
				return
			}
		}
	}
	r.each((*worker).connect)
	await("connecting", r.connected, 0)
	if !interrupted {
		start := r.now()
		from, end := start+int64(r.opt.Warmup), int64(forEver)
		if r.opt.Duration > 0 {
			end = from + int64(r.opt.Duration)
		}
		r.each(func(w *worker) { w.begin(start, from, end) })
		await("measuring", r.done, end-from)
	}
	r.each((*worker).finish)
	res := r.result(interrupted)
	r.part(g)
	if err := errors.Join(g.Close(), g.Wait()); err != nil {
		return nil, fmt.Errorf("load: a loop failed: %w", err)
	}
	return res, nil
}

// forEver is the end of a run without a duration.
const forEver = 1 << 62

// each has every worker do something, on its loop. One whose loop has ended by an error does nothing.
func (r *run) each(f func(w *worker)) {
	for _, w := range r.workers {
		_ = w.loop.Do(func() { f(w) })
	}
}

// part waits until the connections, which are closed, have ended, or for partingTime: a reset would reach a server that
// still reads.
func (r *run) part(g *loop.Group) {
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for late := time.After(partingTime); g.Stats().Conns > 0; {
		select {
		case <-look.C:
		case <-late:
			return
		}
	}
}

// progressEvery is how often Progress is called.
const progressEvery = 200 * time.Millisecond

// watch returns what tells of a phase's progress.
func (r *run) watch(phase string, span int64) func() {
	if r.opt.Progress == nil {
		return func() {}
	}
	begun := r.now()
	last, before := begun, r.progress().messages
	return func() {
		now, sum := r.now(), r.progress()
		p := Progress{Phase: phase, Elapsed: time.Duration(now - begun), Conns: int(sum.conns), Messages: sum.messages}
		if phase == "measuring" {
			measured := now - begun - int64(r.opt.Warmup)
			switch {
			case measured < 0:
				p.Phase = "warming up"
			case measured > span:
				p.Phase, p.Fraction = "waiting for the last answers", 1
			default:
				p.Fraction = float64(measured) / float64(span)
			}
			if r.opt.Requests > 0 {
				p.Fraction = max(p.Fraction, float64(sum.messages)/float64(r.opt.Requests))
			}
		}
		p.Rate = float64(sum.messages-before) / (float64(now-last) / 1e9)
		last, before = now, sum.messages
		r.opt.Progress(p)
	}
}

// counted is what workers publish while they run.
type counted struct{ conns, messages int64 }

// published is the same, for any goroutine.
type published struct{ conns, messages atomic.Int64 }

func (r *run) progress() (sum counted) {
	for _, w := range r.workers {
		sum.conns += w.published.conns.Load()
		sum.messages += w.published.messages.Load()
	}
	return sum
}

// result adds up what the workers found.
func (r *run) result(interrupted bool) *Result {
	o := &r.opt
	res := &Result{
		Address: readable(o.Address), Driver: r.workers[0].loop.Driver(), Loops: o.Loops, Conns: o.Conns, Depth: o.Depth,
		Size:   o.Size,
		Expect: o.Expect, RateAsked: o.Rate, Reconnect: o.Reconnect, Interrupted: interrupted,
	}
	if o.Codec != nil {
		res.Frame = o.Codec.String()
	}
	if o.WebSocket != nil {
		res.Frame = o.websocketName()
	}
	hist := newHistogram()
	first, last, within := int64(forEver), int64(0), int64(0)
	counts := make(map[string]int64)
	for _, w := range r.workers {
		first, last = min(first, w.from), max(last, w.until)
		within += w.within
		hist.Merge(w.hist)
		w.addTo(res)
		for text, n := range w.errors {
			counts[text] += n
		}
	}
	if first < forEver {
		res.Start = r.epoch.Add(time.Duration(first))
		if res.Seconds = float64(last-first) / 1e9; res.Seconds > 0 {
			res.Rate = float64(within) / res.Seconds
		} else {
			res.Seconds = 0
		}
	}
	for text, n := range counts {
		res.Errors = append(res.Errors, ErrorCount{text, n})
	}
	slices.SortFunc(res.Errors, func(a, b ErrorCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Error, b.Error))
	})
	res.Errors = res.Errors[:min(len(res.Errors), mostErrors)]
	res.summarize(hist)
	return res
}
