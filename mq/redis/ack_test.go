package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

// TestAckTogether: of jobs that are acknowledged in one call, those that are another's by then are told apart, and only
// the others are gone and counted off. The last of many are found too.
func TestAckTogether(t *testing.T) {
	t.Parallel()
	s := brokers.Need(t, brokers.Redis)
	c := redis.NewClient(&redis.Options{Addr: s.Addr})
	defer c.Close()
	for _, row := range []struct {
		name  string
		jobs  int
		ack   int // the last so many
		parts int // of an ordered queue; 0: it is not ordered
		steps int // of every so many one is another's; 0: none
	}{
		{"all", 40, 40, 0, 0},
		{"some-stolen", 40, 40, 0, 2},
		{"last-of-many", 200, 20, 0, 7},
		{"partitions", 32, 32, 8, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := mqtest.Broker(t, "redis://"+s.Addr)
			defer b.Close()
			o := mq.QueueOptions{Ordered: row.parts > 0, Partitions: row.parts}
			q, err := b.Backend().OpenQueue(t.Context(), row.name, o)
			if err == nil {
				err = q.Group(t.Context(), "default")
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range row.jobs {
				m := mq.Message{ID: fmt.Sprint(i), Key: fmt.Sprint(i), Body: []byte(fmt.Sprint(i))}
				var r [1]mq.Receipt
				if q.Publish(t.Context(), []*mq.Message{&m}, r[:]); r[0].Err != nil {
					t.Fatal(r[0].Err)
				}
			}
			src, err := q.Subscribe(t.Context(), "default", mq.SubscribeOptions{InFlight: 1000, Visibility: time.Minute,
				Worker: "w"})
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			ds, err := src.Next(t.Context(), 1000)
			if err != nil || row.parts == 0 && len(ds) != row.jobs {
				t.Fatalf("%d jobs, %v", len(ds), err)
			}
			ds = ds[max(len(ds)-row.ack, 0):]
			stolen := make(map[string]bool)
			for i, d := range ds {
				stolen[d.ID] = row.steps > 0 && i%row.steps == 0
			}
			steal(t, c, row.name, stolen)
			lost := ackTogether(t, src, ds, stolen)
			if st, err := q.Stats(t.Context()); err != nil || st.Jobs != int64(row.jobs-len(ds)+lost) {
				t.Errorf("%d jobs are there, want %d: %v", st.Jobs, row.jobs-len(ds)+lost, err)
			}
		})
	}
}

// steal gives jobs that are out to another consumer.
func steal(t *testing.T, c *redis.Client, queue string, stolen map[string]bool) {
	t.Helper()
	for _, key := range c.Keys(t.Context(), "plexor:mq:{"+queue+"}:s:*").Val() {
		for _, m := range c.XRange(t.Context(), key, "-", "+").Val() {
			if !stolen[body(m.Values["j"].(string))] {
				continue
			}
			if err := c.XClaim(t.Context(), &redis.XClaimArgs{Stream: key, Group: "g", Consumer: "other",
				Messages: []string{m.ID}}).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// ackTogether acknowledges all at once, and returns how many are another's.
func ackTogether(t *testing.T, src mq.Source, ds []*mq.Delivery, stolen map[string]bool) (lost int) {
	t.Helper()
	errs := make([]error, len(ds))
	var all sync.WaitGroup
	for i, d := range ds {
		all.Go(func() { errs[i] = src.Ack(t.Context(), d) })
	}
	all.Wait()
	for i, err := range errs {
		if other := stolen[ds[i].ID]; other && errors.Is(err, mq.ErrLost) {
			lost++
		} else if other || err != nil {
			t.Errorf("job %s: %v; it is another's: %v", ds[i].ID, err, other)
		}
	}
	return lost
}

// body is that of a job as a stream has it.
func body(job string) string {
	_, b, _ := strings.Cut(job, "\n")
	return b
}
