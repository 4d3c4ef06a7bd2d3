package lab

import (
	"sync/atomic"
	"testing"

	"github.com/plexor-go/plexor/loop"
)

// TestTellEnds: who tells news in a live world is done though others add some all the time. A loop that closed its
// connections while four clients went on connecting told theirs for more than a second, and was given up as held.
func TestTellEnds(t *testing.T) {
	w := New(Options{Live: true})
	var others atomic.Bool
	others.Store(true)
	var news func(loop.Ready)
	news = func(loop.Ready) { // others are as quick as who tells
		if others.Load() {
			w.mu.Lock()
			w.hear(news, loop.Readable)
			w.mu.Unlock()
		}
	}
	news(loop.Readable)
	w.lively.touched() // would never return
	others.Store(false)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
