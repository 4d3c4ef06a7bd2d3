package mqcmd

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/plexor-go/plexor/mq"
)

// Bench measures.
type Bench struct {
	Target
	Jobs       int `short:"n" default:"10000" placeholder:"N" help:"How many jobs (default ${default})."`
	Size       int `default:"100" placeholder:"BYTES" help:"The length of each (default ${default})."`
	Publishers int `default:"64" placeholder:"N" help:"How many publish at the same time, one job after another (default ${default})."`
	InFlight   int `default:"64" placeholder:"N" help:"How many are done at once (default ${default})."`
}

const (
	benchStamp  = 8                // bytes of a body that tell when it was published
	benchLatest = 10 * time.Minute // what the histogram holds
)

// Run publishes jobs, does them, and then does both at once; and removes the queue.
func (n *Bench) Run(w *World) error {
	if n.Jobs < 1 || n.Publishers < 1 || n.InFlight < 1 || n.Size < benchStamp || n.Size > mostLine {
		return usage("--jobs, --publishers, --in-flight: want numbers from 1 on; --size: %d to %d", benchStamp, mostLine)
	}
	return n.alone(w, func(ctx context.Context, b *mq.Broker) (err error) {
		name := "bench-" + rand.Text()[:10]
		q, err := b.Queue(ctx, name, mq.QueueOptions{})
		if err != nil {
			return err
		}
		defer func() {
			away, cancel := context.WithTimeout(context.WithoutCancel(ctx), benchAway)
			defer cancel()
			if e := b.Delete(away, name); err == nil {
				err = e
			}
		}()
		fmt.Fprintf(w.Out, "%s: what is stored is %s\n", b.Capabilities().Backend, b.Capabilities().Durability)
		took, err := n.publish(ctx, q)
		if err != nil {
			return err
		}
		n.rate(w, fmt.Sprintf("stored by %d", n.Publishers), took)
		if took, _, err = n.consume(ctx, q, nil); err != nil {
			return err
		}
		n.rate(w, fmt.Sprintf("done, %d at once", n.InFlight), took)
		var h *hdrhistogram.Histogram
		took, h, err = n.consume(ctx, q, func(ctx context.Context) error {
			_, err := n.publish(ctx, q)
			return err
		})
		if err != nil {
			return err
		}
		n.rate(w, "both at once", took)
		fmt.Fprintf(w.Out, "from Publish to the handler: p50 %v, p99 %v, longest %v\n", micro(h.ValueAtQuantile(50)),
			micro(h.ValueAtQuantile(99)), micro(h.Max()))
		return nil
	})
}

// benchAway is how long the removal of the queue may take.
const benchAway = 30 * time.Second

func micro(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func (n *Bench) rate(w *World, what string, took time.Duration) {
	fmt.Fprintf(w.Out, "%-22s %9.0f jobs/s (%d of %d bytes in %v)\n", what, float64(n.Jobs)/took.Seconds(), n.Jobs, n.Size,
		took.Round(time.Millisecond))
}

// publish publishes all.
func (n *Bench) publish(ctx context.Context, q *mq.Queue) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var left atomic.Int64
	left.Store(int64(n.Jobs))
	begin := time.Now()
	var all sync.WaitGroup
	for range n.Publishers {
		all.Go(func() {
			body := make([]byte, n.Size)
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				binary.BigEndian.PutUint64(body, uint64(time.Now().UnixNano()))
				if _, err := q.Publish(ctx, mq.Message{Body: body}); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	return time.Since(begin), context.Cause(ctx)
}

// consume does all, while meanwhile runs.
func (n *Bench) consume(ctx context.Context, q *mq.Queue, meanwhile func(context.Context) error) (time.Duration,
	*hdrhistogram.Histogram, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	h := hdrhistogram.New(1, benchLatest.Microseconds(), 3)
	var mu sync.Mutex
	done := 0
	begin := time.Now()
	var other sync.WaitGroup
	if meanwhile != nil {
		other.Go(func() {
			if err := meanwhile(ctx); err != nil && !errors.Is(err, errEnough) {
				cancel(err)
			}
		})
	}
	err := q.Consume(ctx, mq.Consumer{InFlight: n.InFlight}, func(_ context.Context, j *mq.Job) error {
		if len(j.Body) < benchStamp {
			return nil // it is somebody else's, and nobody should publish here
		}
		took := time.Since(time.Unix(0, int64(binary.BigEndian.Uint64(j.Body))))
		mu.Lock()
		defer mu.Unlock()
		// A value beyond the histogram's range is not in it: then the run took longer, too.
		_ = h.RecordValue(max(took.Microseconds(), 1))
		if done++; done == n.Jobs {
			cancel(errEnough)
		}
		return nil
	})
	took := time.Since(begin)
	other.Wait()
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, errEnough) {
		err = cause
	}
	return took, h, err
}
