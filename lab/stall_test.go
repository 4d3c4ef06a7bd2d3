package lab_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/loop"
)

// TestStallInRun: a handler that does not return holds the world, whose time stands still, and is reported all the
// same: a stall is of the system's time.
func TestStallInRun(t *testing.T) {
	w := lab.New(lab.Options{})
	stalled := make(chan struct{})
	told := sync.OnceFunc(func() { close(stalled) })
	l, err := loop.New(loop.Options{Network: w.Host("host"), Stall: 5 * time.Millisecond,
		OnStall: func(loop.Stall) { told() }})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	held := false
	err = l.Do(func() {
		l.AfterFunc(time.Minute, func() {
			select {
			case <-stalled:
				held = true
			case <-time.After(time.Minute):
			}
		})
	})
	err = errors.Join(err, w.RunFor(time.Hour), l.Close(), <-ended, w.Close())
	if err != nil || !held {
		t.Errorf("the stall was reported: %v, %v", held, err)
	}
}
