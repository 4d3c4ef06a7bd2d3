package redis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

// TestFetchLooks: jobs that were given back come although there are new ones all the time, which are taken by a shorter
// way.
func TestFetchLooks(t *testing.T) {
	t.Parallel()
	b := mqtest.Broker(t, "redis://"+brokers.Need(t, brokers.Redis).Addr)
	defer b.Close()
	q, err := b.Backend().OpenQueue(t.Context(), "looks", mq.QueueOptions{})
	if err == nil {
		err = q.Group(t.Context(), "default")
	}
	if err != nil {
		t.Fatal(err)
	}
	const jobs = 2000 // for which the server needs longer than the shorter way may be gone
	ms, rs := make([]*mq.Message, jobs), make([]mq.Receipt, jobs)
	for i := range ms {
		ms[i] = &mq.Message{ID: fmt.Sprint(i), Body: []byte("job")}
	}
	if q.Publish(t.Context(), ms, rs); rs[0].Err != nil || rs[jobs-1].Err != nil {
		t.Fatal(rs[0].Err, rs[jobs-1].Err)
	}
	o := mq.SubscribeOptions{InFlight: jobs, Visibility: time.Minute, Worker: "w"}
	src, err := q.Subscribe(t.Context(), "default", o)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for i := range jobs {
		ds, err := src.Next(t.Context(), 1)
		if err != nil || len(ds) != 1 {
			t.Fatalf("%d jobs, %v", len(ds), err)
		}
		switch d := ds[0]; {
		case d.ID == "0" && i > 0:
			if d.Attempt != 2 || i == jobs-1 {
				t.Errorf("it came as number %d, at attempt %d", i, d.Attempt)
			}
			return
		case i == 0:
			err = src.Nak(t.Context(), d, 0, nil)
		case d.Attempt != 1 || string(d.Body) != "job" || d.ID != fmt.Sprint(i):
			t.Fatalf("number %d is job %s, at attempt %d", i, d.ID, d.Attempt)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Error("it did not come before all others")
}

// TestPublishWakes: a job of an ordered queue with one partition wakes who waits, as that waits for nothing else.
func TestPublishWakes(t *testing.T) {
	t.Parallel()
	s := brokers.Need(t, brokers.Redis)
	c := redis.NewClient(&redis.Options{Addr: s.Addr})
	defer c.Close()
	b := mqtest.Broker(t, "redis://"+s.Addr)
	defer b.Close()
	q, err := b.Queue(t.Context(), "wakes", mq.QueueOptions{Ordered: true, Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Publish(t.Context(), mq.Message{}); err != nil {
		t.Fatal(err)
	}
	if n, err := c.XLen(t.Context(), "plexor:mq:{wakes}:wake").Result(); err != nil || n != 1 {
		t.Errorf("%d wake-ups, %v", n, err)
	}
}
