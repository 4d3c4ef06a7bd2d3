// Command jobs publishes jobs and does them. The URL says where they are kept, and nothing else changes: the memory of
// the process, a folder with a NATS server in the process, or a broker. One of the jobs fails at its first try, and one
// whatever is done: that one is dead in the end, and kept with its history.
//
//	go run ./examples/jobs                           # prints mem: 10 jobs done, 1 dead: no such address
//	go run ./examples/jobs nats+embedded://$PWD/jobs # prints nats+embedded: 10 jobs done, 1 dead: no such address
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/plexor-go/plexor/mq"
	_ "github.com/plexor-go/plexor/mq/nats"   // nats:// and nats+embedded://
	_ "github.com/plexor-go/plexor/mq/rabbit" // amqp://
	_ "github.com/plexor-go/plexor/mq/redis"  // redis://
)

const jobs = 11

// run publishes and works until all jobs are done or dead.
func run(ctx context.Context, url string) error {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil)) // jobs fail here on purpose
	b, err := mq.Options{Log: quiet}.Open(ctx, url)
	if err != nil {
		return err
	}
	defer b.Close()
	name := "mail-" + rand.Text()[:8] // a queue of its own; yours has a name that stays
	q, err := b.Queue(ctx, name, mq.QueueOptions{})
	if err != nil {
		return err
	}
	for n := range jobs {
		body := fmt.Sprintf("mail %d", n+1)
		if _, err := q.Publish(ctx, mq.Message{ID: fmt.Sprint("mail-", n+1), Body: []byte(body)}); err != nil {
			return fmt.Errorf("%v: %w", mq.StoredBy(err), err)
		}
	}
	if err := work(ctx, q); err != nil {
		return err
	}
	dead, err := q.Dead(ctx, "", 10)
	if err != nil || len(dead) == 0 {
		return fmt.Errorf("%d jobs are dead: %w", len(dead), err)
	}
	last := dead[0].History.Failures[len(dead[0].History.Failures)-1]
	fmt.Printf("%s: %d jobs done, %d dead: %s\n", b.Capabilities().Backend, b.Stats().Done, len(dead), last.Why)
	return b.Delete(ctx, name)
}

// work is a worker, which ends when it has seen the end of each job.
func work(ctx context.Context, q *mq.Queue) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{}, jobs)
	go func() {
		for range jobs {
			<-ended
		}
		cancel()
	}()
	c := mq.Consumer{Group: "senders", Tries: 3, Retry: mq.Constant(50 * time.Millisecond)}
	return q.Consume(ctx, c, func(_ context.Context, j *mq.Job) error {
		switch {
		case string(j.Body) == "mail 3" && j.Try == 1:
			return errors.New("the server is busy")
		case string(j.Body) == "mail 7":
			if j.Try == c.Tries {
				ended <- struct{}{}
			}
			return errors.New("no such address")
		}
		ended <- struct{}{}
		return nil
	})
}

func main() {
	url := "mem://"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, url); err != nil {
		log.Fatal(err)
	}
}
