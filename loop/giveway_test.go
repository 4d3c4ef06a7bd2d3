package loop

import (
	"runtime"
	"testing"
)

// TestGiveWay: with one processor, a goroutine that a handler has started runs before the loop begins to wait, so that
// what it posts needs no wake-up: nearly always, for now and then the scheduler lets the loop go on before it.
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
			waited := 0
			const rounds = 100
			for range rounds {
				parked, done := make(chan bool, 1), make(chan struct{})
				if err := l.Post(func() {
					go func() {
						parked <- l.parked.Load()
						_ = l.Post(func() { close(done) })
					}()
					l.GiveWay()
				}); err != nil {
					t.Fatal(err)
				}
				<-done
				if <-parked {
					waited++
				}
			}
			if waited > rounds/2 {
				t.Errorf("in %d of %d rounds the loop waited before the goroutine ran", waited, rounds)
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
