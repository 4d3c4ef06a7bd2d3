package loop

import (
	"bytes"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/internal/stack"
)

// A Stall is a handler that held its loop for too long: it ran, or waited in a way that the loop does not know. The
// time in which the process was stopped or the loop's thread had no processor is not counted.
type Stall struct {
	Loop *Loop
	For  time.Duration // how long the turn had lasted when it was looked at
	// Stack is what held it then, and nothing else: the coroutine that ran, or the loop's goroutine if it had not switched
	// to one. It has two lines a call, the innermost first, as the runtime prints them, and ends without a line end.
	Stack string
}

// A monitor watches one loop from a goroutine of its own. The loop only counts turns; the monitor looks at the
// count every quarter of the limit, and if it is the same handlers' phase that it saw a limit ago, reports it. A
// loop that waits needs no watching: the monitor then sleeps too, until the loop rouses it, so that a process
// with nothing to do uses no processor.
type monitor struct {
	loop   *Loop
	asleep atomic.Bool
	rise   chan struct{}
	quit   chan struct{}
	gone   chan struct{}
}

func startMonitor(l *Loop) *monitor {
	m := &monitor{loop: l, rise: make(chan struct{}, 1), quit: make(chan struct{}), gone: make(chan struct{})}
	m.asleep.Store(true)
	go m.run()
	return m
}

// rouse is called by the loop at the start of a turn when the monitor sleeps.
func (m *monitor) rouse() {
	if m.asleep.Swap(false) {
		m.rise <- struct{}{} // never full: one for each sleep
	}
}

// stop ends the monitor and waits for it, unless it is the monitor itself that ends the loop, from OnStall.
func (m *monitor) stop() {
	if m != nil {
		close(m.quit)
		<-m.gone
	}
}

func (m *monitor) run() {
	defer close(m.gone)
	limit := m.loop.opt.Stall
	every := max(limit/4, time.Millisecond)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		tick.Stop()
		select {
		case <-m.rise:
		case <-m.quit:
			return
		}
		tick.Reset(every)
		if !m.watch(tick, limit) {
			return
		}
	}
}

// watch looks at the loop until it has waited for a while; it reports false when the monitor is to end.
func (m *monitor) watch(tick *time.Ticker, limit time.Duration) bool {
	seen, idle := uint64(0), 0
	h := hold{reported: true}
	for {
		select {
		case <-tick.C:
		case <-m.quit:
			return false
		}
		turn := m.loop.turn.Load()
		now := time.Now()
		switch {
		case turn != seen:
			seen, idle = turn, 0
			h = hold{limit: limit, last: now, ask: limit}
		case turn%2 == 0: // it waits, and has since the last look
			if idle++; idle >= 4 {
				m.asleep.Store(true)
				if m.loop.turn.Load() == turn || !m.asleep.Swap(false) {
					return true // whoever starts the next turn sees that it sleeps, or has seen it
				}
				idle = 0
			}
		case !h.reported:
			m.look(&h, now)
		}
	}
}

// A hold is a turn that has lasted since an earlier look.
type hold struct {
	limit    time.Duration
	last     time.Time     // the last look
	lasted   time.Duration // as far as the process ran
	waits    starvation    // of the loop's thread for a processor
	ask      time.Duration // from when on to ask whether what holds the loop needs a processor at all
	reported bool
}

// busyPart is of the limit what a thread waits on a busy machine, at least.
const busyPart = 20

// look reports a hold that has lasted for too long.
//
// A loop that does not get the processor is not held by anybody. If all of the process did not, as when it is stopped
// or throttled, the monitor did not get it either, so a look counts for an interval and a half at most. If the loop's
// thread alone did not, on a machine with more to do than processors, the kernel tells how long it waited for one. A
// loop that is not bound to a thread may be on any, so it is said to have waited for as long as the one that waited
// most; but what blocks, as in time.Sleep, needs none, and is a stall however the threads fare. What these waits don't
// have is what began before the first look or goes on at the last one, and what goroutines wait within the process: so
// a hold that is over is none on a machine on which threads wait at all.
func (m *monitor) look(h *hold, now time.Time) {
	gap := now.Sub(h.last)
	h.last = now
	every := max(h.limit/4, time.Millisecond)
	h.lasted += min(gap, every+every/2)
	starved, ran := h.waits.look(m.loop.thread.Load(), gap)
	if h.lasted < h.limit {
		return
	}
	fair := h.lasted-starved >= h.limit
	if !fair && h.lasted < h.ask {
		return
	}
	h.ask = 2 * h.lasted // to find out costs something
	held, _ := m.loop.holder()
	if !fair && !held.Blocked {
		return
	}
	over := waits(held.Stack)
	if over && starved >= h.limit/busyPart || !over && h.idle(held, ran) {
		return
	}
	h.reported = true
	if over {
		held.Stack = "(it returned before it was looked at)"
	}
	m.report(Stall{Loop: m.loop, For: h.lasted, Stack: held.Stack})
}

// idle reports that what is said to hold the loop would need a processor, and that the process had none for most of the
// time: another machine on the same processors may have them, which no number of the kernel's tells.
func (h *hold) idle(held stack.Holder, ran time.Duration) bool {
	return !held.Blocked && !held.InKernel && ran >= 0 && ran < h.lasted/2
}

func (m *monitor) report(s Stall) {
	l := m.loop
	l.stats.stalls.Add(1)
	if l.opt.OnStall != nil {
		go l.opt.OnStall(s)
		return
	}
	at, frames := stack.Attrs(s.Stack)
	l.opt.Log.Warn("a handler holds its loop", "for", s.For.Round(time.Millisecond), "limit", l.opt.Stall, at, frames)
}

// loops counts them, to tell them apart.
var loops atomic.Int64

func newLabel() string { return strconv.FormatInt(loops.Add(1), 10) }

// runs is the name of the function that runs loops, by which its goroutine is known.
var runs = runtime.FuncForPC(reflect.ValueOf((*Loop).Run).Pointer()).Name()

// waits reports whether a stack is that of a loop which waits for something to do.
func waits(stack string) bool { return strings.Contains(stack, "/loop.(*Loop).wait(") }

// holder is what the loop runs at the moment.
func (l *Loop) holder() (stack.Holder, bool) {
	h, ok := stack.Find(l.label, runs)
	if !ok {
		h.Stack = "the goroutine of the loop was not found"
	}
	return h, ok
}

// Holder is the stack of what the loop runs at the moment, as Stall has it, and whether that is a coroutine. It is
// empty if the loop is not run. It is for any goroutine, and for when something is wrong: it looks at all goroutines of
// the program, which takes 0.1 ms with few and a second with 100,000, though the program goes on meanwhile.
func (l *Loop) Holder() (text string, coroutine bool) {
	if !l.running.Load() {
		return "", false
	}
	h, ok := l.holder()
	if !ok {
		return "", false
	}
	return h.Stack, h.Coroutine
}

// goroutineID is the number of the calling goroutine, as the runtime prints it in stacks.
func goroutineID() int64 {
	var buf [64]byte
	n := runtime.Stack(buf[:], false)
	return parseGoroutineID(buf[:n])
}

// parseGoroutineID reads the number off a stack's first line, "goroutine 7 [running]:".
func parseGoroutineID(stack []byte) int64 {
	rest, ok := bytes.CutPrefix(stack, []byte("goroutine "))
	if !ok {
		return -1
	}
	number, _, _ := bytes.Cut(rest, []byte(" "))
	id, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil {
		return -1
	}
	return id
}
