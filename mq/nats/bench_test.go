package nats

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

// BenchmarkPublish is durable publishing of 100 bytes, embedded, by one and by 64 publishers at once, by mq and by
// NATS's own client on the same server in the same run.
func BenchmarkPublish(b *testing.B) {
	for _, publishers := range []int{1, 64} {
		dir := b.TempDir()
		br, err := mqtest.Options().Open(b.Context(), "nats+embedded://"+dir)
		if err != nil {
			b.Fatal(err)
		}
		defer br.Close()
		q, err := br.Queue(b.Context(), "q", mq.QueueOptions{})
		if err != nil {
			b.Fatal(err)
		}
		homes.Lock()
		nc, err := natsgo.Connect("nats://embedded:4222", natsgo.SetCustomDialer(homes.of[dir]))
		homes.Unlock()
		if err != nil {
			b.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			b.Fatal(err)
		}
		raw := jetstream.StreamConfig{Name: "raw", Subjects: []string{"raw"}}
		if _, err := js.CreateStream(b.Context(), raw); err != nil {
			b.Fatal(err)
		}
		body := make([]byte, 100)
		for name, publish := range map[string]func() error{
			"mq":  func() error { _, err := q.Publish(b.Context(), mq.Message{Body: body}); return err },
			"raw": func() error { _, err := js.Publish(b.Context(), "raw", body); return err },
		} {
			b.Run(fmt.Sprintf("%s/%d", name, publishers), func(b *testing.B) {
				var left atomic.Int64
				left.Store(int64(b.N))
				var all sync.WaitGroup
				for range publishers {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							if err := publish(); err != nil {
								b.Error(err)
							}
						}
					})
				}
				all.Wait()
			})
		}
	}
}

// BenchmarkLatency is from the call of Publish to the handler, embedded.
func BenchmarkLatency(b *testing.B) {
	br, err := mqtest.Options().Open(b.Context(), "nats+embedded://"+b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer br.Close()
	q, err := br.Queue(b.Context(), "q", mq.QueueOptions{})
	if err != nil {
		b.Fatal(err)
	}
	came := make(chan struct{})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() {
		done <- q.Consume(ctx, mq.Consumer{}, func(context.Context, *mq.Job) error { came <- struct{}{}; return nil })
	}()
	for b.Loop() {
		if _, err := q.Publish(ctx, mq.Message{}); err != nil {
			b.Fatal(err)
		}
		<-came
	}
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
}

// BenchmarkConsume is doing jobs that wait, 64 at once, embedded.
func BenchmarkConsume(b *testing.B) {
	br, err := mqtest.Options().Open(b.Context(), "nats+embedded://"+b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer br.Close()
	q, err := br.Queue(b.Context(), "q", mq.QueueOptions{})
	if err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 100)
	ms := make([]mq.Message, min(b.N, 256))
	for i := range ms {
		ms[i].Body = body
	}
	for left := b.N; left > 0; left -= len(ms) {
		if _, err := q.PublishBatch(b.Context(), ms[:min(left, len(ms))]); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	var done atomic.Int64
	b.ResetTimer()
	err = q.Consume(ctx, mq.Consumer{InFlight: 64}, func(context.Context, *mq.Job) error {
		if done.Add(1) == int64(b.N) {
			cancel()
		}
		return nil
	})
	if err != nil {
		b.Error(err)
	}
}
