//go:build linux

package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
)

// gang has jobs done, so many at once at most.
type gang struct {
	places chan struct{}
	all    sync.WaitGroup
}

func newGang(places int) *gang { return &gang{places: make(chan struct{}, places)} }

func (g *gang) do(f func()) {
	g.places <- struct{}{}
	g.all.Go(func() {
		f()
		<-g.places
	})
}

// rawNATS is nats.go.
type rawNATS struct{ js jetstream.JetStream }

type natsQueue struct {
	js   jetstream.JetStream
	name string
	c    jetstream.Consumer
}

func (r rawNATS) make(ctx context.Context, name string) (queue, func() error, error) {
	name = "raw" + name
	s, err := r.js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name},
		Retention: jetstream.InterestPolicy})
	if err != nil {
		return nil, nil, err
	}
	c, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy,
		MaxAckPending: -1})
	return &natsQueue{r.js, name, c}, func() error { return r.js.DeleteStream(ctx, name) }, err
}

func (q *natsQueue) publish(ctx context.Context, body []byte) error {
	_, err := q.js.Publish(ctx, q.name, body)
	return err
}

func (q *natsQueue) batch(_ context.Context, bodies [][]byte) error {
	var all []jetstream.PubAckFuture
	for _, body := range bodies {
		f, err := q.js.PublishAsync(q.name, body)
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	for _, f := range all {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		}
	}
	return nil
}

func (q *natsQueue) consume(ctx context.Context, do func()) error {
	g := newGang(inFlight / 2)
	c, err := q.c.Consume(func(m jetstream.Msg) {
		g.do(func() {
			do()
			_ = m.Ack() // fails with the connection
		})
	}, jetstream.PullMaxMessages(inFlight/2)) // which wait at the client
	if err != nil {
		return err
	}
	<-ctx.Done()
	c.Stop()
	<-c.Closed()
	g.all.Wait()
	return nil
}

// rawRedis is go-redis.
type rawRedis struct{ c *redis.Client }

type redisQueue struct {
	c    *redis.Client
	name string
}

func dialRedis(addr string) (side, func()) {
	c := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 2 * inFlight})
	return rawRedis{c}, func() { _ = c.Close() }
}

func (r rawRedis) make(ctx context.Context, name string) (queue, func() error, error) {
	name = "raw" + name
	err := r.c.XGroupCreateMkStream(ctx, name, "workers", "0").Err()
	return redisQueue{r.c, name}, func() error { return r.c.Del(ctx, name).Err() }, err
}

func (q redisQueue) add(c redis.Cmdable, ctx context.Context, body []byte) error {
	return c.XAdd(ctx, &redis.XAddArgs{Stream: q.name, Values: []any{"body", body}}).Err()
}

func (q redisQueue) publish(ctx context.Context, body []byte) error { return q.add(q.c, ctx, body) }

func (q redisQueue) batch(ctx context.Context, bodies [][]byte) error {
	_, err := q.c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, body := range bodies {
			_ = q.add(p, ctx, body) // the pipeline's end tells
		}
		return nil
	})
	return err
}

func (q redisQueue) consume(ctx context.Context, do func()) error {
	g := newGang(inFlight)
	defer g.all.Wait()
	for ctx.Err() == nil {
		free := int64(max(inFlight-len(g.places), 1))
		got, err := q.c.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "workers", Consumer: "one",
			Streams: []string{q.name, ">"}, Count: free, Block: time.Second}).Result()
		if err != nil && !errors.Is(err, redis.Nil) && ctx.Err() == nil {
			return err
		}
		for _, s := range got {
			for _, m := range s.Messages {
				g.do(func() {
					do()
					_ = q.c.XAck(context.WithoutCancel(ctx), q.name, "workers", m.ID).Err() // fails with the connection
				})
			}
		}
	}
	return nil
}

// rawRabbit is amqp091, with a connection for each side of a queue.
type rawRabbit struct{ in, out *amqp.Connection }

type rabbitQueue struct {
	in, out *amqp.Channel
	name    string
}

func dialRabbit(url string) (side, func(), error) {
	in, err := amqp.Dial(url)
	if err != nil {
		return nil, nil, err
	}
	out, err := amqp.Dial(url)
	return rawRabbit{in, out}, func() { _ = in.Close(); _ = out.Close() }, err
}

func (r rawRabbit) make(_ context.Context, name string) (queue, func() error, error) {
	name = "raw" + name
	in, err := r.in.Channel()
	if err != nil {
		return nil, nil, err
	}
	out, err := r.out.Channel()
	if err != nil {
		return nil, nil, err
	}
	_, err = in.QueueDeclare(name, true, false, false, false, amqp.Table{"x-queue-type": "quorum"})
	if err == nil {
		err = in.Confirm(false)
	}
	if err == nil {
		err = out.Qos(inFlight, 0, false)
	}
	return &rabbitQueue{in, out, name}, func() error {
		_, err := in.QueueDelete(name, false, false, false)
		return errors.Join(err, in.Close(), out.Close())
	}, err
}

func (q *rabbitQueue) begin(body []byte) (*amqp.DeferredConfirmation, error) {
	return q.in.PublishWithDeferredConfirm("", q.name, false, false, amqp.Publishing{DeliveryMode: amqp.Persistent,
		Body: body})
}

var errNack = errors.New("the broker has not stored it")

func (q *rabbitQueue) publish(ctx context.Context, body []byte) error {
	return q.batch(ctx, [][]byte{body})
}

func (q *rabbitQueue) batch(ctx context.Context, bodies [][]byte) error {
	var all []*amqp.DeferredConfirmation
	for _, body := range bodies {
		c, err := q.begin(body)
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	for _, c := range all {
		if ok, err := c.WaitContext(ctx); err != nil || !ok {
			return errors.Join(err, errNack)
		}
	}
	return nil
}

func (q *rabbitQueue) consume(ctx context.Context, do func()) error {
	ds, err := q.out.Consume(q.name, "one", false, false, false, false, nil)
	if err != nil {
		return err
	}
	g := newGang(inFlight)
	defer g.all.Wait()
	for {
		select {
		case d, ok := <-ds:
			if !ok {
				return errors.New("the channel was closed")
			}
			g.do(func() {
				do()
				_ = d.Ack(false) // fails with the connection
			})
		case <-ctx.Done():
			return q.out.Cancel("one", false)
		}
	}
}
