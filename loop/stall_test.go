package loop_test

import (
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// hold blocks its goroutine until release is closed.
func hold(release chan struct{}) { <-release }

// TestStallInCoroutine: the report shows the line that blocks, be it the loop's own code or a coroutine's, and nothing
// else: no coroutine that only waits, and not the loop's goroutine if that has switched to one.
func TestStallInCoroutine(t *testing.T) {
	for _, row := range []struct {
		name string
		run  func(release chan struct{}) (stop func())
	}{
		{"loop code", func(release chan struct{}) func() { hold(release); return func() {} }},
		{"a coroutine", func(release chan struct{}) func() {
			next, stop := iter.Pull(func(yield func(int) bool) { yield(1); hold(release) })
			next()
			next()
			return stop
		}},
		{"a coroutine of a coroutine", func(release chan struct{}) func() {
			next, stop := iter.Pull(func(yield func(int) bool) {
				next, stop := iter.Pull(func(yield func(int) bool) { hold(release); yield(1) })
				defer stop()
				next()
			})
			next()
			return stop
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			stalls := make(chan loop.Stall, 1)
			release := make(chan struct{})
			l, err := loop.New(loop.Options{Stall: 50 * time.Millisecond, OnStall: func(s loop.Stall) {
				stalls <- s
				close(release)
			}})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			var stop, stopOther func()
			go func() { ended <- l.Run() }()
			if err := l.Do(func() {
				var other func() (int, bool)
				other, stopOther = iter.Pull(func(yield func(int) bool) { yield(1) })
				other() // it is parked
			}); err != nil {
				t.Fatal(err)
			}
			if err := l.Do(func() { stop = row.run(release) }); err != nil {
				t.Fatal(err)
			}
			s := <-stalls
			if !strings.Contains(s.Stack, "loop_test.hold(") || s.For < 50*time.Millisecond {
				t.Errorf("reported after %v, with\n%s\nwant hold in the stack", s.For, s.Stack)
			}
			if own := strings.Contains(s.Stack, "(*Loop).Run("); own != (row.name == "loop code") ||
				strings.Contains(s.Stack, "\n\n") {
				t.Errorf("more than one stack, or the wrong one:\n%s", s.Stack)
			}
			if err := l.Do(func() { stop(); stopOther() }); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
