package stack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

func deep(n int, f func()) {
	if n > 0 {
		deep(n-1, f)
		return
	}
	f()
}

//go:noinline
func breaks(p *int) { *p = 1 }

// panicked is the stack of a panic, as a deferred function sees it.
func panicked(f func()) (stack string) {
	defer func() {
		recover()
		stack = string(debug.Stack())
	}()
	f()
	return ""
}

// A stack is an attribute for each call, from where it went wrong on, in text and in JSON; no line end is quoted, for
// there is none.
func TestAttrs(t *testing.T) {
	for _, row := range []struct {
		name string
		f    func()
	}{{"panic", func() { panic("no") }}, {"nil", func() { breaks(nil) }}} {
		t.Run(row.name, func(t *testing.T) {
			var text, object bytes.Buffer
			log := slog.New(slog.NewMultiHandler(slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&object, nil)))
			at, frames := Attrs(panicked(func() { deep(2*mostFrames, row.f) }))
			log.Error("broken", at, frames)
			if strings.Contains(text.String(), `\n`) || !strings.Contains(text.String(), " stack.2=") {
				t.Errorf("the text is\n%s", &text)
			}
			var got struct {
				At    string
				Stack map[string]any
			}
			if err := json.Unmarshal(object.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got.At, "internal/stack.") || !strings.Contains(got.At, "stack_test.go:") ||
				got.Stack["1"] != got.At {
				t.Errorf("at is %q, and the first frame %q: want the function that broke", got.At, got.Stack["1"])
			}
			if more, _ := got.Stack["more"].(float64); len(got.Stack) != mostFrames+1 || more < mostFrames {
				t.Errorf("%d frames, and %v more: want %d, and the rest counted", len(got.Stack)-1, more, mostFrames)
			}
		})
	}
}

func TestAtNoStack(t *testing.T) {
	if got := At("nothing\n"); got != "nothing" {
		t.Errorf("At is %q", got)
	}
}

// runs stands for a loop's Run; holds is what a handler does.
func runs(f func()) { f() }

func holds(release chan struct{}) { <-release }

// The holder is the loop's own goroutine, or the coroutine that it has switched to: not one that is parked, not one of
// another loop, not a goroutine that a handler has started; and if the label is lost, it is still found.
func TestFind(t *testing.T) {
	const base = "github.com/plexor-go/plexor/internal/stack.runs"
	for i, row := range []struct {
		name      string
		coroutine bool
		hold      func(func())
	}{
		{"own", false, func(f func()) { f() }},
		{"coroutine", true, func(f func()) { inCoroutine(f) }},
		{"a coroutine without its label", true, func(f func()) { inCoroutine(func() { Unmark(); f() }) }},
		{"a deep one", true, func(f func()) { inCoroutine(func() { deep(500, f) }) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			release, begun := make(chan struct{}), make(chan struct{})
			ended := make(chan struct{}, 2)
			loop := func(label string, hold func(func()), f func()) {
				Mark(label)
				runs(func() {
					parked, stop := iter.Pull(func(yield func(int) bool) { yield(1) })
					defer stop()
					parked()
					go func() { // what a handler started
						<-release
						ended <- struct{}{}
					}()
					hold(func() { begun <- struct{}{}; f() })
				})
				ended <- struct{}{}
			}
			go loop(fmt.Sprint("mine", i), row.hold, func() { holds(release) })
			go loop(fmt.Sprint("other", i), func(f func()) { f() }, func() { <-release })
			<-begun
			<-begun
			h, ok := Find(fmt.Sprint("mine", i), base)
			there := func() bool { return h.Blocked && strings.Contains(h.Stack, "stack.holds(...)\n\t") }
			for end := time.Now().Add(30 * time.Second); !there() && time.Now().Before(end); { // it is on its way there
				h, ok = Find(fmt.Sprint("mine", i), base)
			}
			if !ok || h.Coroutine != row.coroutine || !there() {
				t.Errorf("found %v, %+v, want holds", ok, h)
			}
			close(release)
			for range 4 {
				<-ended
			}
		})
	}
	if h, ok := Find("nobody", "no.function"); ok {
		t.Errorf("found for a loop that is not there: %+v", h)
	}
}

func inCoroutine(f func()) {
	next, stop := iter.Pull(func(yield func(int) bool) { f() })
	defer stop()
	next()
}
