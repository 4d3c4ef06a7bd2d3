package powercut_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/plexor-go/plexor/mq"
	_ "github.com/plexor-go/plexor/mq/nats"
)

// jobs is a program that publishes jobs to an embedded broker. What it has taken as synced, some worker has to get.
func jobs(parameters string) program {
	url := func(dir string) string { return "nats+embedded://" + dir + parameters }
	return program{
		write: func(dir string, print func(string)) error {
			b, err := mq.Open(context.Background(), url(dir))
			if err != nil {
				return err
			}
			return write(print, writers, func(name string) error {
				// So long that the broker needs several files.
				return b.Publish(context.Background(), "jobs", []byte(name+strings.Repeat(" ", 200_000)))
			})
		},
		read: func(dir string, print func(string)) error { return readJobs(url(dir), print) },
	}
}

// manyJobs is the same by so many publishers that the broker stores their jobs in batches.
func manyJobs() program {
	p := jobs("")
	p.write = func(dir string, print func(string)) error {
		b, err := mq.Open(context.Background(), "nats+embedded://"+dir)
		if err != nil {
			return err
		}
		return write(print, 32, func(name string) error {
			return b.Publish(context.Background(), "jobs", []byte(name+strings.Repeat(" ", 20_000)))
		})
	}
	return p
}

// readJobs does all jobs that there are.
func readJobs(url string, print func(string)) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b, err := mq.Open(ctx, url)
	if err != nil {
		return err
	}
	q, err := b.Queue(ctx, "jobs", mq.QueueOptions{})
	if err != nil {
		return err
	}
	s, err := q.Stats(ctx)
	if err != nil || s.Jobs == 0 {
		return errors.Join(err, b.Close())
	}
	var mu sync.Mutex
	done := int64(0)
	err = b.Consume(ctx, "jobs", mq.Consumer{}, func(_ context.Context, j *mq.Job) error {
		print(strings.TrimSpace(string(j.Body)))
		mu.Lock()
		defer mu.Unlock()
		if done++; done == s.Jobs {
			cancel()
		}
		return nil
	})
	if done < s.Jobs {
		err = errors.Join(err, fmt.Errorf("%d of %d jobs came within %v", done, s.Jobs, patience))
	}
	return errors.Join(err, b.Close())
}
