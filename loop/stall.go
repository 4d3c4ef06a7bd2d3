package loop

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
)

// A Stall is a handler that held its loop for too long. If the loop's goroutine had switched to a coroutine of iter.Pull,
// the stack is first that coroutine's, and then the loop's.
type Stall struct {
	Loop  *Loop
	For   time.Duration // how long the turn had lasted when it was looked at
	Stack string        // what held it then, as the runtime prints it
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
	seen, since, reported, idle := uint64(0), time.Time{}, false, 0
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
			seen, since, reported, idle = turn, now, false, 0
		case turn%2 == 0: // it waits, and has since the last look
			if idle++; idle >= 4 {
				m.asleep.Store(true)
				if m.loop.turn.Load() == turn || !m.asleep.Swap(false) {
					return true // whoever starts the next turn sees that it sleeps, or has seen it
				}
				idle = 0
			}
		case !reported && now.Sub(since) >= limit:
			reported = true
			m.report(now.Sub(since))
		}
	}
}

func (m *monitor) report(d time.Duration) {
	l := m.loop
	l.stats.stalls.Add(1)
	s := Stall{Loop: l, For: d, Stack: stackOf(l.id.Load())}
	if l.opt.OnStall != nil {
		go l.opt.OnStall(s)
		return
	}
	l.opt.Log.Warn("a handler holds its loop", "for", d.Round(time.Millisecond), "limit", l.opt.Stall, "stack", s.Stack)
}

// mostStacks bounds the dump in which a goroutine is looked for.
const mostStacks = 16 << 20

// stackOf is the stack of the goroutine that runs a loop. The runtime gives out the stack of another goroutine only
// together with all of them, for which it stops the program for a moment; that is rare enough here.
func stackOf(id int64) string {
	buf := make([]byte, 64<<10)
	n := 0
	for {
		n = runtime.Stack(buf, true)
		if n < len(buf) || len(buf) >= mostStacks {
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	if s := holder(buf[:n], id); s != "" {
		return s
	}
	return fmt.Sprintf("goroutine %d is not among the first %d bytes of stacks", id, n)
}

// holder finds, in a dump of all stacks, that of a goroutine. If it has switched to a coroutine, it is in the state
// "coroutine", as are all coroutines that are parked; the one that runs is in another state, and was made by iter.Pull
// in that goroutine, or in a coroutine that was.
func holder(dump []byte, id int64) string {
	own, running := "", ""
	family := map[int64]bool{id: true}
	for again := true; again; {
		again = false
		for stack := range bytes.SplitSeq(dump, []byte("\n\n")) {
			n := parseGoroutineID(stack)
			switched := isSwitched(stack)
			switch {
			case n == id && own == "":
				own = string(bytes.TrimSpace(stack))
				if !switched {
					return own
				}
			case n != id && !family[n] && family[pulledBy(stack)]:
				family[n], again = true, true
				if !switched {
					running = string(bytes.TrimSpace(stack))
				}
			}
		}
	}
	if running == "" {
		return own
	}
	return running + "\n\n" + own
}

// isSwitched reports whether a stack's first line says that its goroutine waits for a coroutine, or to be switched to:
// "goroutine 7 [coroutine]:", "goroutine 7 [coroutine, 2 minutes]:".
func isSwitched(stack []byte) bool {
	head, _, _ := bytes.Cut(stack, []byte("\n"))
	_, state, _ := bytes.Cut(head, []byte("["))
	return bytes.HasPrefix(state, []byte("coroutine"))
}

// pulledBy is the goroutine in which a coroutine was made, off its stack's line "created by iter.Pull[...] in goroutine
// 7"; -1 if it is no coroutine.
func pulledBy(stack []byte) int64 {
	_, by, ok := bytes.Cut(stack, []byte("\ncreated by iter.Pull"))
	if !ok {
		return -1
	}
	by, _, _ = bytes.Cut(by, []byte("\n"))
	_, number, ok := bytes.Cut(by, []byte(" in goroutine "))
	if !ok {
		return -1
	}
	id, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil {
		return -1
	}
	return id
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
