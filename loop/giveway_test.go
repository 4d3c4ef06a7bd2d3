package loop

import (
	"runtime"
	"testing"
)

// TestGiveWay: with one processor, a goroutine that a handler has started runs before the loop begins to wait, so that
// what it posts needs no wake-up.
func TestGiveWay(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, d := range Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			l, err := New(Options{Driver: d.Name})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- l.Run() }()
			waited := make(chan bool, 1)
			done := make(chan struct{})
			if err := l.Post(func() {
				go func() {
					waited <- l.parked.Load()
					_ = l.Post(func() { close(done) })
				}()
				l.GiveWay()
			}); err != nil {
				t.Fatal(err)
			}
			<-done
			if <-waited {
				t.Error("the loop waited before the goroutine ran")
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
