package lab_test

import (
	"context"
	"sync"
	"testing"

	"github.com/plexor-go/plexor/lab"
)

// TestGoFromMany: in a live world any goroutine may give a host functions, and all of them run on its one loop.
func TestGoFromMany(t *testing.T) {
	w := lab.New(lab.Options{Live: true})
	h := w.Host("host")
	var callers sync.WaitGroup
	begin, ran := make(chan struct{}), 0 // ran is the loop's
	const each, callersN = 20, 8
	for range callersN {
		callers.Go(func() {
			<-begin
			for range each {
				h.Go(func(context.Context) error { ran++; return nil })
			}
		})
	}
	close(begin)
	callers.Wait()
	if err := w.Wait(); err != nil || ran != each*callersN {
		t.Errorf("%d of %d have run, %v", ran, each*callersN, err)
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestGoAfterClose: a closed world makes no loop any more, and says so.
func TestGoAfterClose(t *testing.T) {
	w := lab.New(lab.Options{Live: true})
	h := w.Host("host")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	h.Go(func(context.Context) error { t.Error("it has run"); return nil })
	if err := w.Wait(); err == nil {
		t.Error("nobody is told")
	}
}
