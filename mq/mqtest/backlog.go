package mqtest

import (
	"context"
	"errors"
	"flag"
	"runtime"
	"testing"

	"github.com/plexor-go/plexor/mq"
)

var backlog = flag.Int("backlog", 2000, "how many jobs wait in Backlog")

// batch is how many jobs Backlog publishes at once.
const batch = 500

// Backlog has many jobs wait for a consumer that stands still: who publishes more is told, where the backend can bound
// a queue, and the memory of this process does not grow by more than most bytes. It must run beside no other test.
//
//	go test -run TestBacklog ./mq/nats -backlog 100000
func Backlog(t *testing.T, url string, most int) {
	b := Broker(t, url)
	var o mq.QueueOptions
	n := int64(max(*backlog/batch, 1) * batch)
	if b.Capabilities().Bounded {
		o.MaxJobs = n
	}
	q, err := b.Queue(t.Context(), "backlog", o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stands, began, done := make(chan struct{}), make(chan struct{}, 1), make(chan error, 1)
	go func() {
		done <- q.Consume(ctx, mq.Consumer{InFlight: 1}, func(context.Context, *mq.Job) error {
			began <- struct{}{}
			<-stands
			return nil
		})
	}()
	ms := make([]mq.Message, batch)
	for i := range ms {
		ms[i].Body = make([]byte, 1000)
	}
	publish := func() error {
		_, err := q.PublishBatch(ctx, ms)
		return err
	}
	if err := publish(); err != nil {
		t.Fatal(err)
	}
	<-began // and all buffers have the size that they need
	before := inUse()
	for i := int64(batch); i < n; i += batch {
		if err := publish(); err != nil {
			t.Fatalf("behind %d jobs: %v", i, err)
		}
	}
	if err := publish(); o.MaxJobs > 0 && !errors.Is(err, mq.ErrFull) {
		t.Errorf("a job above the queue's bound: %v, want ErrFull", err)
	}
	grown := inUse() - before
	s, err := q.Stats(ctx)
	waiting := s.Jobs
	if waiting < 0 && len(s.Groups) == 1 { // it does not know those that are being done
		waiting = s.Groups[0].Waiting
	}
	if err != nil || waiting < n {
		t.Errorf("the queue has %+v, %v; want %d jobs", s, err, n)
	}
	t.Logf("%d jobs of 1000 bytes wait, and the memory has grown by %d KiB", n, grown>>10)
	if grown > most {
		t.Errorf("the memory has grown by %d bytes, of %d", grown, most)
	}
	cancel()
	close(stands)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// inUse is the memory of what lives, in bytes.
func inUse() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
