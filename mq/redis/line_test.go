package redis_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

// TestPublishCut: one that publishes alone goes when its context ends although the server stands still, and says that
// the job may be stored; and the next one is not disturbed by that, however often it was.
func TestPublishCut(t *testing.T) {
	t.Parallel()
	s := brokers.Need(t, brokers.Redis)
	b := mqtest.Broker(t, "redis://"+s.Addr)
	defer b.Close()
	q, err := b.Queue(t.Context(), "cut", mq.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m := mq.Message{Body: []byte("job")}
	if _, err := q.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	errGone := errors.New("the caller has gone")
	for i := range 3 {
		s.Pause()
		ctx, cancel := context.WithCancelCause(t.Context())
		ends := time.AfterFunc(50*time.Millisecond, func() { cancel(errGone) })
		began := time.Now()
		_, err := q.Publish(ctx, m)
		if took := time.Since(began); took > 5*time.Second { // the server is waited for 10 s
			t.Errorf("it took %v", took)
		}
		if !errors.Is(err, errGone) || mq.StoredBy(err) != mq.PerhapsStored {
			t.Errorf("%v, stored %v", err, mq.StoredBy(err))
		}
		ends.Stop()
		cancel(nil)
		s.Resume()
		if _, err := q.Publish(t.Context(), m); err != nil {
			t.Errorf("round %d: the next one: %v", i, err)
		}
	}
}

// TestPublishEnded: a context that ends before or during a publish is the error, and the next publish is not disturbed.
func TestPublishEnded(t *testing.T) {
	t.Parallel()
	s := brokers.Need(t, brokers.Redis)
	b := mqtest.Broker(t, "redis://"+s.Addr)
	defer b.Close()
	q, err := b.Queue(t.Context(), "ended", mq.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for i := range 200 { // some end before, some while it is on its way
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*10*time.Microsecond)
		_, err := q.Publish(ctx, mq.Message{ID: fmt.Sprint(i)})
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d: %v", i, err)
		}
		cancel()
		if _, err := q.Publish(t.Context(), mq.Message{ID: fmt.Sprint("n", i)}); err != nil {
			t.Errorf("the next one: %v", err)
		}
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+10; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines for %d", runtime.NumGoroutine(), before)
		}
	}
}
