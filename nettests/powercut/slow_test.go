package powercut_test

import (
	"context"
	"errors"
	"flag"
	"math"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/nettests/powercut"
)

var (
	slowDisk = flag.Duration("slow.sync", 300*time.Millisecond, "how long the slow disk takes for a sync")
	slowTime = flag.Duration("slow.time", 2*time.Second, "how long jobs are published to a broker on it")
)

// TestSlowDisk: on a disk whose syncs take long no job is lost, neither by that nor when the broker is killed in the
// midst. None is acknowledged before it is synced. A publish without a time takes as long as the disk, and is no error;
// one with less time than a sync is told that its job is perhaps stored. Consumers go on. A job comes twice only if
// it was under way when the broker was killed, or could not be given back in time by a consumer that has ended.
func TestSlowDisk(t *testing.T) {
	for _, row := range []struct {
		name string
		kind brokers.Kind
		url  func(b *brokers.Broker) string
	}{
		{"redis", brokers.Redis, func(b *brokers.Broker) string { return "redis://" + b.Addr }},
		{"rabbit", brokers.Rabbit, url},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			kill := row.name != "rabbit" || os.Getenv("PLEXOR_TESTS") == "all" // whose second start takes 7 s
			d := powercut.NewDisk()
			dir, _ := mount(t, d)
			b := start(t, row.kind, dir)
			q := open(t, row.url(b), mq.QueueOptions{})
			a := newAccount()
			if err := a.publish(t.Context(), q, 1000); err != nil {
				t.Fatal(err)
			}
			group(t, q)
			if row.name == "rabbit" && kill {
				noted(t, dir)
			}
			d.SetSlow(*slowDisk)
			a.quickest = math.MaxInt64
			ctx, stop := context.WithTimeout(t.Context(), patience)
			defer stop()
			over := make(chan error, 1)
			go func() { over <- q.Consume(ctx, mq.Consumer{}, a.do) }()
			slowly(t, a, q, *slowTime)
			stop()
			if err := <-over; err != nil {
				t.Errorf("consume on a slow disk: %v", err)
			}
			if n := a.twice(); n > 0 {
				t.Errorf("%d jobs came twice, and nothing but the disk was slow", n)
			}
			if kill {
				slowlyKilled(t, a, q, b)
			}
			if a.quickest < *slowDisk {
				t.Errorf("a sync takes %v, and a publish was acknowledged after %v", *slowDisk, a.quickest)
			}
			d.SetSlow(0)
			if kill {
				run(t, b)
				eventually(t, a, q, func(err error) bool { return err == nil })
			}
			a.settle(t, q)
		})
	}
}

// slowly publishes for a while, by some that wait for as long as it takes, and one that does not.
func slowly(t *testing.T, a *account, q *mq.Queue, long time.Duration) {
	var all sync.WaitGroup
	end := time.Now().Add(long)
	for range writers {
		all.Go(func() {
			for time.Now().Before(end) {
				if err := a.publish(t.Context(), q, 1000); err != nil {
					t.Errorf("publish on a slow disk: %v", err)
					return
				}
			}
		})
	}
	all.Go(func() {
		for time.Now().Before(end) {
			ctx, cancel := context.WithTimeout(t.Context(), *slowDisk/10)
			err := a.publish(ctx, q, 1000)
			cancel()
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("publish with a short time on a slow disk: %v", err)
			}
		}
	})
	all.Wait()
	if len(a.perhaps) == 0 {
		t.Errorf("no publish with a time of %v is perhaps stored: the disk is not slow", *slowDisk/10)
	}
}

// slowlyKilled kills the broker while publishes wait for the disk: they are told, or end with their contexts.
func slowlyKilled(t *testing.T, a *account, q *mq.Queue, b *brokers.Broker) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	before := a.count()
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for a.publish(ctx, q, 1000) == nil {
			}
		})
	}
	looks := time.NewTicker(5 * time.Millisecond)
	defer looks.Stop()
	for a.count() < before+2*writers && ctx.Err() == nil {
		<-looks.C
	}
	b.Kill()
	all.Wait()
}
