package web

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/plexor-go/plexor"
)

// A stream that holds a goroutine: under net/http, over HTTP/2, and wherever connections belong to no loop.

// A waiting is what such a stream has for a queue.
type waiting struct {
	write func(p []byte) (int, error)
	limit func(by time.Time) error // for writes
	srv   *http.Server             // nil: nobody knows

	// Under Events.mu.
	queue []queued
	bytes int
	end   error
	wake  chan struct{} // there is something to do
}

type queued struct {
	key any
	p   []byte
}

func newWaiting(write func([]byte) (int, error)) *waiting {
	return &waiting{write: write, wake: make(chan struct{}, 1)}
}

func (w *waiting) stir() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// stop has the goroutine end. Events.mu is held.
func (w *waiting) stop(why error) {
	if w.end == nil {
		w.end = why
	}
	w.stir()
}

// take puts into the queue what a cast has, as an Outbox does. Events.mu is held.
func (w *waiting) take(s *Stream, c *eventCast) {
	defer w.stir()
	if c.end != nil {
		w.stop(c.end)
		return
	}
	l := s.e.Limits
	entries, bytes := orDefault(l.Entries, defaultQueueEntries), orDefault(l.Bytes, defaultQueueBytes)
	if c.key != nil {
		for i := range w.queue {
			if q := &w.queue[i]; q.key == c.key && w.bytes-len(q.p)+len(c.p) <= bytes {
				w.bytes += len(c.p) - len(q.p)
				q.p = c.p
				return
			}
		}
	}
	for len(w.queue) > 0 && (len(w.queue) >= entries || w.bytes+len(c.p) > bytes) {
		s.e.missed.Add(1)
		switch l.WhenFull {
		case plexor.DropOldest:
			w.bytes -= len(w.queue[0].p)
			w.queue[0] = queued{}
			w.queue = w.queue[1:]
			continue
		case plexor.CloseWhenFull:
			w.queue, w.bytes = nil, 0
			w.stop(plexor.ErrOutboxFull)
			if w.limit != nil {
				_ = w.limit(time.Unix(1, 0)) // the write that waits fails
			}
		}
		return
	}
	w.queue = append(w.queue, queued{c.key, c.p})
	w.bytes += len(c.p)
}

// drain takes all that waits out of the queue. Events.mu is held.
func (w *waiting) drain() (b []byte) {
	for i := range w.queue {
		b = append(b, w.queue[i].p...)
	}
	w.queue, w.bytes = nil, 0
	return b
}

// serve is Serve where there is a goroutine.
func (s *Stream) serve(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	s.wait = newWaiting(func(p []byte) (int, error) {
		n, err := w.Write(p)
		if err == nil {
			err = rc.Flush()
		}
		return n, err
	})
	s.wait.limit = rc.SetWriteDeadline
	s.wait.srv, _ = r.Context().Value(http.ServerContextKey).(*http.Server)
	s.e.register(s.wait.srv)
	w.WriteHeader(http.StatusOK)
	err := s.begin(r, nil)
	if err == nil {
		err = s.waitEvents(r.Context())
	}
	s.ended(err)
}

// waitEvents writes what comes into the queue, to the end.
func (s *Stream) waitEvents(ctx context.Context) error {
	w, e := s.wait, s.e
	beat := time.NewTimer(e.period())
	defer beat.Stop()
	for {
		idle := false
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-beat.C:
			idle = e.KeepAlive >= 0
			beat.Reset(e.period())
		case <-w.wake:
		}
		e.mu.Lock()
		b, end := w.drain(), w.end
		e.mu.Unlock()
		if idle && len(b) == 0 {
			b = append(b, comment...)
		}
		if len(b) > 0 {
			beat.Reset(e.period())
			if err := s.writeNow(b); err != nil {
				if os.IsTimeout(err) {
					err = ErrSlow
				}
				e.mu.Lock()
				defer e.mu.Unlock()
				if w.end != nil {
					return w.end
				}
				return err
			}
		}
		if end != nil {
			return end
		}
	}
}

// register has the streams of a server of net/http end when that shuts down, which else would wait for them.
func (e *Events) register(srv *http.Server) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, known := e.servers[srv]; srv == nil || known {
		return
	}
	if e.servers == nil {
		e.servers = make(map[*http.Server]struct{})
	}
	e.servers[srv] = struct{}{}
	srv.RegisterOnShutdown(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if d := e.shares[nil]; d != nil {
			for _, s := range d.all.members {
				if s.wait.srv == srv {
					s.wait.stop(plexor.ErrServerClosed)
				}
			}
		}
	})
}

// A waitingProtocol is a stream on a connection that belongs to no loop: its only turn lasts to its end.
type waitingProtocol struct {
	s  *Stream
	nc net.Conn
}

// Turn is of http1.Protocol. A goroutine of its own sees the client go.
func (p *waitingProtocol) Turn() error {
	ctx, cancel := context.WithCancelCause(context.Background())
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, err := io.CopyN(io.Discard, p.nc, mostChatter+1)
		if err == nil {
			err = ErrChatter
		}
		cancel(err)
	}()
	p.s.because(p.s.waitEvents(ctx))
	_ = p.nc.SetReadDeadline(time.Unix(1, 0))
	<-read
	cancel(nil)
	return io.EOF
}

// Closed is of http1.Protocol, and Status what the server's record has.
func (p *waitingProtocol) Closed(reason error) { p.s.ended(reason) }
func (p *waitingProtocol) Status() int         { return http.StatusOK }
