package loop

import (
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/internal/sample"
)

// New makes a loop. Nothing happens on it before Run, but it may be given listeners, connections and timers, from
// the goroutine that made it. One that is never run must be closed.
//
// A loop for which Options.Driver asks for io_uring by name and has not the memory (RLIMIT_AS, RLIMIT_MEMLOCK) takes
// less of it, and tells Options.Log; with "auto" it takes the next best driver in that case, and tells as well.
func New(o Options) (l *Loop, err error) {
	err = withLess(&o, func(size int) (err error) {
		l, err = newLoop(o, nil, size)
		return err
	})
	if err == nil {
		l.tellFallback(1)
	}
	return l, err
}

func newLoop(o Options, g *Group, size int) (*Loop, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	log, endLog := sample.New(o.Log, o.Clock)
	o.Log = log
	l := &Loop{opt: o, size: size, endLog: endLog, label: newLabel(), group: g, done: make(chan struct{}),
		held: make(chan struct{})}
	if g != nil {
		l.starved, l.sys = &g.starved, g.sys
	} else {
		l.starved, l.sys = new(starved), systemOf(&o)
	}
	l.driver, err = openDriver(o.Driver, l)
	if err != nil {
		endLog()
		return nil, err
	}
	l.start, l.now = o.Clock.Now().Add(-1), 1 // for a time of 0 means none
	l.posted.limit = o.PostQueue
	l.arena = l.driver.nextArena()
	if s, ok := o.Clock.(SteppedClock); ok {
		l.stepped = true
		l.step = s.OnStep(func() { l.Post(func() {}) }) // a full queue wakes the loop as well
	}
	if o.Stall > 0 {
		l.monitor = startMonitor(l)
	}
	return l, nil
}

// Network is Options.Network: what the loop stands on; nil: the kernel. Any goroutine may call it.
func (l *Loop) Network() Network { return l.opt.Network }

// leastSize is how many steps down there are for a driver that is to do with less memory.
const leastSize = 2

// givenBack is how long a size is tried: what a ring had locked that was closed is free a little later, when the kernel
// has cleared it away (io_ring_exit_work).
const givenBack = 200 * time.Millisecond

// withLess makes loops, by a function that gets how far they are to do with less memory, 0 for not at all, until there
// is enough. It is for those who ask for io_uring by name; "auto" has the next best driver.
func withLess(o *Options, build func(size int) error) error {
	first := build(0)
	if o.Driver != completionName || !scarce(first) {
		return first
	}
	log := o.Log
	if log == nil {
		log = slog.Default()
	}
	for size := 1; size <= leastSize; size++ {
		err := build(size)
		for until := time.Now().Add(givenBack); scarce(err) && time.Now().Before(until); err = build(size) {
			time.Sleep(givenBack / 20)
		}
		if err == nil {
			log.Warn("there is not the memory that io_uring's loops like to have; they take smaller queues and buffers",
				"driver", completionName, "step", size, "of", leastSize, "err", first)
			return nil
		}
	}
	return fmt.Errorf("%w; nor is there enough for smaller queues and buffers", first)
}

// tellFallback tells the log that there was not the memory for the best driver. That the system has none of it is not
// worth a line.
func (l *Loop) tellFallback(loops int) {
	if scarce(l.fallback) {
		l.opt.Log.Warn("there is not the memory for the best driver; taking the next best",
			"driver", l.Driver(), "not", completionName, "loops", loops, "err", l.fallback)
	}
}

// scarce reports whether an error says that memory lacks, so that less of it may be had.
func scarce(err error) bool { return errors.Is(err, syscall.ENOMEM) }
