package ipc

import (
	"context"
	"net"
	"slices"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/selector"
	"github.com/plexor-go/plexor/sock"
)

// A lookout has a loop watch a stream's socket for the loop's coroutines. It has a duplicate of the descriptor, which
// the loop closes: the stream's own belongs to Go's poller, and may be closed by any goroutine at any time. It lives
// until the stream is closed or the loop ends.
type lookout struct {
	s              *stream
	w              *loop.Watch
	reader, writer coro.Waiter // one each, for there is one inside each gate
}

// lookoutOn is the lookout of the task's loop. The task calls it.
func (s *stream) lookoutOn(t *coro.Task) (*lookout, error) {
	l := t.Scheduler().Loop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.lookouts {
		if o.w.Loop() == l {
			return o, nil
		}
	}
	if s.closed.Load() {
		return nil, net.ErrClosed
	}
	d, err := sock.None, error(nil)
	if cerr := s.raw.Control(func(fd uintptr) { d, err = sock.Socket(fd).Dup() }); cerr != nil {
		return nil, cerr
	}
	if err != nil {
		return nil, err
	}
	o := &lookout{s: s}
	if o.w, err = l.Watch(d, o); err != nil {
		return nil, err
	}
	s.lookouts = append(s.lookouts, o)
	return o, nil
}

// wait waits until the socket may be ready. A stream that is closed meanwhile ends it too.
func (o *lookout) wait(ctx context.Context, op string, e selector.Events) error {
	o.w.Await(e)
	if e == selector.Read {
		return o.reader.Wait(ctx, op, nil)
	}
	return o.writer.Wait(ctx, op, nil)
}

// Ready wakes who waits for that.
func (o *lookout) Ready(_ *loop.Watch, e selector.Events) {
	if e&selector.Read != 0 {
		o.reader.Wake()
	}
	if e&selector.Write != 0 {
		o.writer.Wake()
	}
}

// Closed wakes all: their next call says why, or they look for another way.
func (o *lookout) Closed(*loop.Watch, error) {
	o.s.mu.Lock()
	o.s.lookouts = slices.DeleteFunc(o.s.lookouts, func(p *lookout) bool { return p == o })
	o.s.mu.Unlock()
	o.reader.Wake()
	o.writer.Wake()
}

// endLookouts ends those of a stream that is closed.
func (s *stream) endLookouts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.lookouts {
		wakeOn(o.w.Loop(), func() { _ = o.w.Close() }) // it fails if the loop has ended it already
	}
}
