package loop

import (
	"sync"
	"time"
)

// A Clock is where a loop takes the time from.
type Clock interface {
	Now() time.Time
}

// Clock is where the loop takes the time from. Any goroutine may call it.
func (l *Loop) Clock() Clock { return l.opt.Clock }

// Now is the loop's time, read once a turn.
func (l *Loop) Now() time.Time { return l.start.Add(time.Duration(l.now)) }

// Uptime is how long the loop had been there at Now; it is always positive, and costs less than Now.
func (l *Loop) Uptime() time.Duration { return time.Duration(l.now) }

// readClock reads the clock; a turn's own time stays what it was.
func (l *Loop) readClock() int64 { return max(int64(l.opt.Clock.Now().Sub(l.start)), l.now) }

// at turns a time into the loop's nanoseconds.
func (l *Loop) at(t time.Time) int64 { return int64(t.Sub(l.start)) }

// A SteppedClock does not run by itself: somebody moves it. A loop on such a clock never waits for a timer by
// the system's time; it is woken when the clock was moved.
type SteppedClock interface {
	Clock
	// OnStep asks the clock to call wake, from any goroutine, after each move, until cancel is called.
	OnStep(wake func()) (cancel func())
}

// systemClock is the system's, with its monotonic reading.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

// A ManualClock is a SteppedClock for tests: it stands still until Advance moves it. All methods may be called
// from any goroutine.
type ManualClock struct {
	mu    sync.Mutex
	now   time.Time
	wakes map[int]func()
	next  int
}

// NewManualClock returns a clock that stands at start.
func NewManualClock(start time.Time) *ManualClock {
	return &ManualClock{now: start, wakes: make(map[int]func())}
}

// Now is where the clock stands.
func (m *ManualClock) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Advance moves the clock forward by d and wakes the loops that run on it. It does not wait for their timers to
// have run: [Loop.Do] with an empty function does. It panics if d is negative, for a loop's time never goes back.
func (m *ManualClock) Advance(d time.Duration) {
	if d < 0 {
		panic("loop: ManualClock.Advance by a negative duration")
	}
	m.mu.Lock()
	m.now = m.now.Add(d)
	wakes := make([]func(), 0, len(m.wakes))
	for _, w := range m.wakes {
		wakes = append(wakes, w)
	}
	m.mu.Unlock()
	for _, w := range wakes {
		w()
	}
}

// OnStep is of SteppedClock.
func (m *ManualClock) OnStep(wake func()) (cancel func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := m.next
	m.next++
	m.wakes[id] = wake
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.wakes, id)
	}
}
