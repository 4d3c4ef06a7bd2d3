//go:build linux

package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/natsnode"
	"github.com/plexor-go/plexor/mq"
	_ "github.com/plexor-go/plexor/mq/nats"
	_ "github.com/plexor-go/plexor/mq/rabbit"
	_ "github.com/plexor-go/plexor/mq/redis"
)

// ours is package mq.
type ours struct{ b *mq.Broker }

func (o ours) make(ctx context.Context, name string) (queue, func() error, error) {
	q, err := o.b.Queue(ctx, name, mq.QueueOptions{})
	if err != nil {
		return nil, nil, err
	}
	return ourQueue{q}, func() error { return o.b.Delete(ctx, name) }, nil
}

type ourQueue struct{ q *mq.Queue }

func (q ourQueue) publish(ctx context.Context, body []byte) error {
	_, err := q.q.Publish(ctx, mq.Message{Body: body})
	return err
}

func (q ourQueue) batch(ctx context.Context, bodies [][]byte) error {
	ms := make([]mq.Message, len(bodies))
	for i, body := range bodies {
		ms[i].Body = body
	}
	_, err := q.q.PublishBatch(ctx, ms)
	return err
}

func (q ourQueue) consume(ctx context.Context, do func()) error {
	return q.q.Consume(ctx, mq.Consumer{InFlight: inFlight}, func(context.Context, *mq.Job) error {
		do()
		return nil
	})
}

// start starts a broker, and connects both sides.
func start(ctx context.Context, name, dir string) (raw, our side, end func(), err error) {
	switch name {
	case "nats+embedded":
		addrs, err := brokers.FreeAddrs(1)
		if err != nil {
			return nil, nil, nil, err
		}
		o := mq.Options{Log: slog.New(slog.DiscardHandler)}
		b, err := o.Open(ctx, "nats+embedded://"+filepath.ToSlash(dir)+"?listen="+addrs[0])
		if err != nil {
			return nil, nil, nil, err
		}
		r, rawEnd, err := dialNATS(addrs[0])
		return r, ours{b}, func() { rawEnd(); _ = b.Close() }, err
	case "nats":
		n, err := natsnode.Start(ctx, natsnode.Options{JetStream: true, Dir: dir, SyncAlways: true, Client: "127.0.0.1:0",
			Log: slog.New(slog.DiscardHandler), Limits: natsnode.Limits{Store: 16 << 30}})
		if err != nil {
			return nil, nil, nil, err
		}
		r, rawEnd, err := dialNATS(n.Addr().String())
		if err != nil {
			n.Close()
			return nil, nil, nil, err
		}
		return both(ctx, r, rawEnd, "nats://"+n.Addr().String()+"?sync=always", n.Close)
	case "redis":
		s, err := brokers.Start(ctx, brokers.Redis, dir)
		if err != nil {
			return nil, nil, nil, err
		}
		r, rawEnd := dialRedis(s.Addr)
		return both(ctx, r, rawEnd, "redis://"+s.Addr, s.Close)
	case "amqp":
		s, err := brokers.Start(ctx, brokers.Rabbit, dir)
		if err != nil {
			return nil, nil, nil, err
		}
		r, rawEnd, err := dialRabbit("amqp://guest:guest@" + s.Addr)
		if err != nil {
			s.Close()
			return nil, nil, nil, err
		}
		return both(ctx, r, rawEnd, "amqp://guest:guest@"+s.Addr, s.Close)
	}
	return nil, nil, nil, fmt.Errorf("unknown broker: there are nats+embedded, nats, redis and amqp")
}

// both adds package mq to a raw client; end ends the broker.
func both(ctx context.Context, raw side, rawEnd func(), url string, end func()) (side, side, func(), error) {
	o := mq.Options{Log: slog.New(slog.DiscardHandler)}
	b, err := o.Open(ctx, url)
	if err != nil {
		rawEnd()
		end()
		return nil, nil, nil, err
	}
	return raw, ours{b}, func() { rawEnd(); _ = b.Close(); end() }, nil
}

func dialNATS(addr string) (side, func(), error) {
	nc, err := natsgo.Connect("nats://" + addr)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	return rawNATS{js}, nc.Close, err
}
