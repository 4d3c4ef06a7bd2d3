package nats

import (
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/bus"
)

// A lateWatch measures how late this process is: it wants to run every 20 ms, and sums up by how much that comes late,
// over each two seconds: the time after which a node that is not heard is taken for dead. A stop of one second counts
// as much as ten of 100 ms, for what a node says is handed from goroutine to goroutine before it is heard.
type lateWatch struct {
	mu    sync.Mutex
	due   time.Time
	lates []late // of the last two seconds
	worst time.Duration
}

type late struct {
	at time.Time
	by time.Duration
}

const (
	lateEvery = 20 * time.Millisecond
	lateOver  = 2 * time.Second
	lateMost  = time.Second // of those: with more, nodes may lose each other
)

// look is called when it runs, or when somebody wants to know. It returns the worst sum so far.
func (w *lateWatch) look(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if by := now.Sub(w.due); by > 0 {
		w.lates = append(w.lates, late{now, by})
	}
	w.due = now.Add(lateEvery)
	first, sum := 0, time.Duration(0)
	for i, l := range w.lates {
		if now.Sub(l.at) > lateOver {
			first = i + 1
			continue
		}
		sum += l.by
	}
	w.lates = w.lates[first:]
	w.worst = max(w.worst, sum)
	return w.worst
}

// lateWatches are those of buses: each from when it was opened until the test's end.
var lateWatches sync.Map

func watchLate(t testing.TB, b *bus.Bus) {
	w := &lateWatch{due: time.Now().Add(lateEvery)}
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTimer(lateEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.look(time.Now())
				tick.Reset(lateEvery)
			case <-over:
				return
			}
		}
	}()
	lateWatches.Store(b, w)
	t.Cleanup(func() {
		close(over)
		<-ended
		lateWatches.Delete(b)
	})
}

// slow ends the test without a verdict if nodes have lost each other and this machine has stopped the process, or had
// it wait, for so long that they must. If they have lost each other without that, the test fails.
func slow(t *testing.T, all []*bus.Bus) {
	t.Helper()
	lost, worst := int64(0), time.Duration(0)
	for _, b := range all {
		t.Logf("%v: %+v", b.ID(), b.Stats())
		lost += b.Stats().Lost
		if w, ok := lateWatches.Load(b); ok {
			worst = max(worst, w.(*lateWatch).look(time.Now()))
		}
	}
	switch {
	case lost == 0:
	case worst > lateMost:
		t.Skipf("nodes lost each other %d times: this process was late by %v within %v", lost, worst, lateOver)
	default:
		t.Fatalf("nodes lost each other %d times, and this process was late by no more than %v within %v", lost, worst,
			lateOver)
	}
}

// TestLateWatch: one long stop is seen, and many short ones are; what is spread over a longer time is not.
func TestLateWatch(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		by    time.Duration
		every time.Duration
		times int
		slow  bool
	}{
		"never":            {0, lateEvery, 1000, false},
		"one stop":         {1100 * time.Millisecond, lateEvery, 1, true},
		"many short ones":  {60 * time.Millisecond, lateEvery, 100, true},
		"a little, always": {5 * time.Millisecond, lateEvery, 1000, false},
		"long ones, apart": {900 * time.Millisecond, 3 * time.Second, 10, false},
	} {
		now := time.Unix(1e9, 0)
		w := &lateWatch{due: now.Add(lateEvery)}
		for range row.times {
			for end := now.Add(row.every); now.Add(lateEvery).Before(end); w.look(now) {
				now = now.Add(lateEvery)
			}
			now = now.Add(lateEvery + row.by)
			w.look(now)
		}
		if worst := w.look(now); worst > lateMost != row.slow {
			t.Errorf("%s: late by %v within %v", name, worst, lateOver)
		}
		if n := len(w.lates); n > int(lateOver/lateEvery)+1 {
			t.Errorf("%s: %d are kept", name, n)
		}
	}
}
