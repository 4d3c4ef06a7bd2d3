//go:build unix

package loop

import (
	"testing"
	"time"

	"github.com/plexor-go/plexor/selector"
	"github.com/plexor-go/plexor/sock"
)

type readyFunc func(w *Watch, e selector.Events)

func (f readyFunc) Ready(w *Watch, e selector.Events) { f(w, e) }
func (readyFunc) Closed(*Watch, error)                {}

// A loop rests while a watched socket is ready and nobody asks.
func TestWatchRests(t *testing.T) {
	for _, d := range Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			l, err := New(Options{Driver: d.Name, Stall: -1})
			if err != nil {
				t.Fatal(err)
			}
			p, err := sock.Pair()
			if err != nil {
				t.Fatal(err)
			}
			defer p[1].Close()
			told := make(chan struct{}, 2)
			w, err := l.Watch(p[0], readyFunc(func(*Watch, selector.Events) { told <- struct{}{} }))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p[1].Send([]byte("unread")); err != nil {
				t.Fatal(err)
			}
			w.Await(selector.Read | selector.Write)
			ended := make(chan error, 1)
			go func() { ended <- l.Run() }()
			<-told
			rested := make(chan uint64, 1)
			l.Post(func() {
				l.AfterFunc(time.Millisecond, func() { // what is reported once more has been by then
					from := l.turn.Load()
					l.AfterFunc(20*time.Millisecond, func() { rested <- l.turn.Load() - from })
				})
			})
			if turns := <-rested / 2; turns > 3 {
				t.Errorf("%d turns in 20 ms, want the timer's alone", turns)
			}
			l.Close()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
