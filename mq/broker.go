package mq

import (
	"context"
	"fmt"
	"sync"

	"github.com/plexor-go/plexor/internal/stack"
)

// A Broker is a connection to what keeps the queues. Its methods are for any number of goroutines, and for coroutines.
type Broker struct {
	opt     Options
	endLog  func()
	backend Backend
	can     Capabilities
	counts  counts

	life context.Context // until Close
	end  context.CancelCauseFunc

	mu        sync.Mutex
	queues    map[string]*opening
	consumers sync.WaitGroup // Consume; added to under mu, and not after closed
	closed    bool
}

// An opening is a queue that is open, or being opened.
type opening struct {
	done chan struct{}
	q    BackendQueue // once done, if err is nil
	err  error
}

// Capabilities are what the broker can do, as it was opened.
func (b *Broker) Capabilities() Capabilities { return b.can }

// Queue opens a queue, and makes it if there is none.
func (b *Broker) Queue(ctx context.Context, name string, o QueueOptions) (*Queue, error) {
	stack.Given("mq: Broker.Queue", "the context", ctx != nil)
	if err := checkName("queue", name); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := b.can.check(name, &o); err != nil {
		return nil, err
	}
	q, err := await(ctx, "mq: open a queue", func(ctx context.Context) (BackendQueue, error) {
		return b.queue(ctx, name, o)
	})
	if err != nil {
		return nil, err
	}
	has := q.Settings()
	if err := o.Differs(name, has); err != nil { // it was opened before
		return nil, err
	}
	has.Wait = o.Wait
	return &Queue{b: b, name: name, q: q, o: has}, nil
}

// queue opens a queue of the backend once. One that failed is tried anew by the next caller.
func (b *Broker) queue(ctx context.Context, name string, o QueueOptions) (BackendQueue, error) {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil, ErrClosed
	}
	op, mine := b.queues[name], false
	if op == nil {
		op, mine = &opening{done: make(chan struct{})}, true
		b.queues[name] = op
	}
	b.mu.Unlock()
	if !mine {
		select {
		case <-op.done:
			return op.q, op.err
		case <-ctx.Done():
			return nil, fmt.Errorf("mq: open queue %s: %w", name, context.Cause(ctx))
		}
	}
	op.q, op.err = b.backend.OpenQueue(ctx, name, o)
	if op.err != nil {
		b.mu.Lock()
		delete(b.queues, name)
		b.mu.Unlock()
	}
	close(op.done)
	return op.q, op.err
}

// Publish stores a job in a queue, which is made with default settings if there is none: see [Queue.Publish].
func (b *Broker) Publish(ctx context.Context, queue string, body []byte) error {
	q, err := b.Queue(ctx, queue, QueueOptions{})
	if err != nil {
		return err
	}
	_, err = q.Publish(ctx, Message{Body: body})
	return err
}

// Consume does a queue's jobs, which is made with default settings if there is none: see [Queue.Consume].
func (b *Broker) Consume(ctx context.Context, queue string, c Consumer, h Handler) error {
	q, err := b.Queue(ctx, queue, QueueOptions{})
	if err != nil {
		return err
	}
	return q.Consume(ctx, c, h)
}

// Queues are the names of all queues that there are, sorted.
func (b *Broker) Queues(ctx context.Context) ([]string, error) {
	return await(ctx, "mq: list queues", b.backend.Queues)
}

// Delete removes a queue with its jobs, the dead ones too: ErrNoQueue if there is none. Consumers of it fail.
func (b *Broker) Delete(ctx context.Context, queue string) error {
	if err := checkName("queue", queue); err != nil {
		return err
	}
	b.mu.Lock()
	delete(b.queues, queue)
	b.mu.Unlock()
	_, err := await(ctx, "mq: delete a queue", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.backend.DeleteQueue(ctx, queue)
	})
	return err
}

// KV opens a key-value store, and makes it if there is none.
func (b *Broker) KV(ctx context.Context, name string) (KV, error) {
	if err := checkName("store", name); err != nil {
		return nil, err
	}
	back, ok := b.backend.(KVBackend)
	if !ok || !b.can.KV {
		return nil, &CapabilityError{Queue: name, Backend: b.can.Backend, Lack: "key-value stores", Can: haveKV()}
	}
	return openStore(ctx, back, name, b.opt.Limits)
}

func openStore(ctx context.Context, back KVBackend, name string, l Limits) (KV, error) {
	kv, err := await(ctx, "mq: open a store", func(ctx context.Context) (KV, error) { return back.KV(ctx, name) })
	if err != nil {
		return nil, err
	}
	return checkedKV{kv, l.Body}, nil
}

func haveKV() (names []string) {
	for _, k := range known {
		if k.Can.KV {
			names = append(names, k.Can.Backend)
		}
	}
	return names
}

// Close ends all Consumes, as the end of their contexts does, waits for them, and closes the connection. Closing again
// changes nothing.
func (b *Broker) Close() error {
	b.mu.Lock()
	again := b.closed
	b.closed = true
	b.mu.Unlock()
	b.end(ErrClosed)
	b.consumers.Wait()
	if again {
		return nil
	}
	err := b.backend.Close()
	b.endLog()
	return err
}

// enter counts a Consume in; it is followed by consumers.Done.
func (b *Broker) enter() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	b.consumers.Add(1)
	return nil
}

// Backend is what is below, for a backend's own tests and for what it has besides. It is closed with the Broker.
func (b *Broker) Backend() Backend { return b.backend }
