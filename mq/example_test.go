package mq_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/plexor-go/plexor/mq"
)

// A worker does the jobs of a queue until its context ends. The URL says where the queue is.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	b, err := mq.Open(ctx, "mem://")
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	if err := b.Publish(ctx, "mail", []byte("to ann")); err != nil {
		log.Fatal(err) // mq.StoredBy(err) tells whether the job is stored all the same
	}
	err = b.Consume(ctx, "mail", mq.Consumer{Group: "senders"}, func(_ context.Context, j *mq.Job) error {
		fmt.Printf("%s, try %d\n", j.Body, j.Try)
		cancel()
		return nil
	})
	fmt.Println(err)
	// Output:
	// to ann, try 1
	// <nil>
}

// A queue with needs is opened with them: what the broker can't do is an error here, and not with the first job.
func ExampleBroker_Queue() {
	ctx, cancel := context.WithCancel(context.Background())
	b, err := mq.Open(ctx, "mem://")
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	q, err := b.Queue(ctx, "orders", mq.QueueOptions{Ordered: true, Dedupe: time.Hour, Delay: 24 * time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 { // the second time since the first answer did not come, say
		r, err := q.Publish(ctx, mq.Message{ID: "order-17", Key: "customer-4", Body: []byte("two boxes")})
		fmt.Println(r.ID, r.Duplicate, err)
	}
	_, err = b.Queue(ctx, "safe", mq.QueueOptions{Durability: mq.Synced})
	var lack *mq.CapabilityError
	if errors.As(err, &lack) {
		fmt.Println(lack.Lack)
	}

	c := mq.Consumer{Tries: 3, Retry: mq.Constant(time.Millisecond)}
	err = q.Consume(ctx, c, func(_ context.Context, j *mq.Job) error {
		if j.Try == 1 {
			return errors.New("the printer is out of paper")
		}
		fmt.Println(j.Try, j.Failures[0].Why)
		cancel()
		return nil
	})
	fmt.Println(err)
	// Output:
	// order-17 false <nil>
	// order-17 true <nil>
	// durability "synced" (it has "in memory")
	// 2 the printer is out of paper
	// <nil>
}
