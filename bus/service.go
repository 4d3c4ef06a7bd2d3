package bus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
)

var (
	// ErrNobody is a call of a service that no node answers. It comes at once.
	ErrNobody = errors.New("bus: nobody answers this")
	// ErrLost is a call, or a change of a value, whose node was lost before it had answered: it may have done what was
	// asked, or not.
	ErrLost = errors.New("bus: the node that was to answer is gone")
	// ErrTaken is a service that this node answers already, or a member that it has.
	ErrTaken = errors.New("bus: this node has one of that name")
)

// An AnswerError is the error that a service has returned.
type AnswerError struct{ Text string }

func (e *AnswerError) Error() string { return "bus: the answer is an error: " + e.Text }

// A Request is a call that is to be answered.
type Request struct {
	From NodeID
	Data []byte

	b     *Bus
	s     *served
	ready chan struct{}
}

// Send sends a part of an answer before the last one, and waits while the caller has not used the 16 before it. The
// context is that of the service's function. part must not be written to any more.
func (q *Request) Send(ctx context.Context, part []byte) error {
	if len(part) > q.b.limits.Message {
		return ErrTooLong
	}
	return q.answer(ctx, part, 0)
}

func (q *Request) answer(ctx context.Context, data []byte, flags uint64) error {
	for {
		done, over := false, true // closed
		q.b.do(func(m *machine) {
			over = q.s.over
			done = q.s.answer(m, part{data, flags})
		})
		switch {
		case over:
			return ErrClosed
		case done:
			return nil
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Answer has this node answer a service: f is called for each call, on a goroutine of its own, at most Limits.Calls of
// them at once. What it returns is the answer, or the last part of it. Its context ends with the caller's deadline,
// when the caller gives up or is gone, and with stop or the bus; stop waits for all of f.
func (b *Bus) Answer(service string, f func(ctx context.Context, q *Request) ([]byte, error)) (stop func(), err error) {
	err = ErrClosed
	ctx, cancel := context.WithCancel(context.Background())
	a := &answerer{b: b, f: f, ctx: ctx}
	b.do(func(m *machine) {
		if b.services[service] != nil {
			err = ErrTaken
			return
		}
		if err = m.set(&entry{sort: sortService, room: service}, false); err == nil {
			b.services[service] = a
		}
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return func() {
		b.do(func(m *machine) {
			if b.services[service] == a {
				delete(b.services, service)
				_ = m.set(&entry{sort: sortService, room: service}, true) // which does not fail
			}
		})
		cancel()
		a.ends.Wait()
	}, nil
}

// An answerer is the function of a service.
type answerer struct {
	b    *Bus
	f    func(ctx context.Context, q *Request) ([]byte, error)
	ctx  context.Context
	ends sync.WaitGroup
}

// start calls the functions of calls that have come. The machine is held.
func (b *Bus) start() {
	for _, s := range b.m.calls.starts {
		a := b.services[s.service]
		if a == nil {
			s.answer(b.m, part{flags: flagLast | flagNobody})
			continue
		}
		q := &Request{From: s.from, Data: s.data, b: b, s: s, ready: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(a.ctx)
		if s.left > 0 {
			ctx, cancel = context.WithTimeout(a.ctx, s.left)
		}
		s.cancel, s.wake = cancel, func() { offer(q.ready) }
		a.ends.Add(1)
		b.ends.Add(1)
		go a.run(ctx, cancel, q)
	}
	clear(b.m.calls.starts)
	b.m.calls.starts = b.m.calls.starts[:0]
}

// run answers a call.
func (a *answerer) run(ctx context.Context, cancel func(), q *Request) {
	defer a.ends.Done()
	defer a.b.ends.Done()
	defer cancel()
	flags := uint64(flagLast)
	data, err := a.call(ctx, q)
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		a.b.do(func(m *machine) { q.s.end(m) }) // the caller knows what time it is
		return
	}
	if err == nil && len(data) > a.b.limits.Message {
		err = ErrTooLong
	}
	if err != nil {
		flags |= flagFailed
		data = []byte(err.Error())
		data = data[:min(len(data), a.b.limits.Message)]
	}
	_ = q.answer(context.Background(), data, flags) // the last part does not wait; who is gone does not get it
}

// call calls the function, whose panic is the caller's error and not this node's end.
func (a *answerer) call(ctx context.Context, q *Request) (data []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return a.f(ctx, q)
}

// Call asks one of the nodes that answer a service, this one among them, and waits for the answer, of several parts the
// last. It fails with ErrNobody at once if there is none, with the context's cause, with ErrLost, or with an
// *AnswerError. The context's deadline is the answerer's too.
func (b *Bus) Call(ctx context.Context, service string, data []byte) (answer []byte, err error) {
	for part, err := range b.Stream(ctx, service, data) {
		if err != nil {
			return nil, err
		}
		answer = part
	}
	return answer, nil
}

// Stream is Call for answers of many parts, as they come. An error is the last.
func (b *Bus) Stream(ctx context.Context, service string, data []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		ready := make(chan struct{}, 1)
		var c *call
		err := ErrClosed
		until, _ := ctx.Deadline()
		b.do(func(m *machine) { c, err = m.call(service, data, until, func() { offer(ready) }) })
		if err != nil {
			yield(nil, err)
			return
		}
		defer b.do(func(m *machine) { m.forget(c) })
		for {
			var p []byte
			var ok, over bool
			open := b.do(func(m *machine) {
				p, ok = c.take(m)
				over, err = c.over, c.err
			})
			switch {
			case !open:
				yield(nil, ErrClosed)
				return
			case ok:
				if !yield(p, nil) {
					return
				}
				continue
			case over && err != nil:
				yield(nil, err)
				return
			case over:
				return
			}
			select {
			case <-ready:
			case <-ctx.Done():
				yield(nil, context.Cause(ctx))
				return
			case <-b.done:
				yield(nil, ErrClosed)
				return
			}
		}
	}
}

// Answers reports whether some node answers a service, as far as this node knows.
func (b *Bus) Answers(service string) (ok bool) {
	b.do(func(m *machine) { m.each(sortService, service, func(NodeID, string, *entry) { ok = true }) })
	return ok
}
