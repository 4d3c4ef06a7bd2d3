//go:build linux || darwin || freebsd

package loop_test

import (
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/loop"
)

// With 100,000 coroutines that wait the one that holds the loop is found, and its stack is all that the report has;
// Holder finds it too.
func TestStallAmongManyCoroutines(t *testing.T) {
	many := 10_000
	switch {
	case raceEnabled:
		many = 5_000 // the race detector has a bound of its own for goroutines
	case portion.All():
		many = 100_000
	}
	stalls := make(chan loop.Stall, 1)
	r := run(t, loop.Options{Stall: 50 * time.Millisecond, OnStall: func(s loop.Stall) {
		if strings.Contains(s.Stack, "loop_test.hold(") { // to make so many may hold the loop too
			stalls <- s
		}
	}})
	var stops []func()
	pull := func(f func()) (next func()) {
		n, stop := iter.Pull(func(yield func(int) bool) {
			if yield(1) {
				f()
			}
		})
		stops = append(stops, stop)
		n()
		return func() { n() }
	}
	for made := 0; made < many; made += 1000 {
		r.do(func() {
			for range 1000 {
				pull(func() {})
			}
		})
	}
	release := make(chan struct{})
	if err := r.Post(func() { pull(func() { hold(release) })() }); err != nil {
		t.Fatal(err)
	}
	s := recv(t, "the report", stalls)
	if strings.Contains(s.Stack, "\n\n") || strings.Contains(s.Stack, "coroswitch") || len(s.Stack) > 4<<10 {
		t.Errorf("the report has more than the stack of the coroutine:\n%.5000s", s.Stack)
	}
	if text, coroutine := r.Holder(); !coroutine || !strings.Contains(text, "loop_test.hold(") {
		t.Errorf("Holder: %v\n%.5000s", coroutine, text)
	}
	close(release)
	n := 0
	r.do(func() { n = len(stops) })
	for at := 0; at < n; at += 1000 {
		r.do(func() {
			for _, stop := range stops[at:min(at+1000, n)] {
				stop()
			}
		})
	}
}
