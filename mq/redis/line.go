package redis

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// lines is how many connections of a backend are for publishers that call by themselves.
const lines = 4

// A line is a connection for one call at a time, whose wait for an answer can be cut short. So a publisher that is
// alone makes its call itself and still goes when its context ends: to hand it to another goroutine, and to wait for
// that, took a seventh of the time for a job.
type line struct {
	client *redis.Client

	mu    sync.Mutex
	conn  net.Conn  // the newest
	until time.Time // no deadline for an answer is later; zero: there is no such bound
}

// newLine makes one, which connects when it is used.
func newLine(options redis.Options) *line {
	l := new(line)
	dial := redis.NewDialer(&options)
	options.PoolSize = 1
	options.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.conn = c
		return lineConn{c, l}, nil
	}
	l.client = redis.NewClient(&options)
	return l
}

// An unhurried context ends with its parent, but tells no deadline, at which the library would stop waiting.
type unhurried struct{ context.Context }

func (unhurried) Deadline() (time.Time, bool) { return time.Time{}, false }

// call has f make a call on the line, with the context that it is given. When ctx ends, an answer that does not come
// within grace is not waited for, and the connection ends.
func (l *line) call(ctx context.Context, f func(context.Context, redis.Cmdable) error) error {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		l.cut(time.Now().Add(grace))
		close(ended)
	})
	err := f(unhurried{ctx}, l.client)
	if !stop() {
		<-ended
		l.cut(time.Time{})
	}
	return err
}

// cut sets the bound of the deadlines.
func (l *line) cut(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = until
	if l.conn != nil && !until.IsZero() {
		_ = l.conn.SetReadDeadline(until) // fails with the connection
	}
}

// A lineConn is the connection of a line.
type lineConn struct {
	net.Conn
	l *line
}

// NetConn is for the library, which looks there whether the server has ended a connection before it uses it.
func (c lineConn) NetConn() net.Conn { return c.Conn }

func (c lineConn) SetReadDeadline(t time.Time) error {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if u := c.l.until; !u.IsZero() && (t.IsZero() || t.After(u)) {
		t = u
	}
	return c.Conn.SetReadDeadline(t)
}

func (c lineConn) SetDeadline(t time.Time) error {
	if err := c.SetWriteDeadline(t); err != nil {
		return err
	}
	return c.SetReadDeadline(t)
}

// takeLine returns one that nobody else uses until it is given back, or nil: there are no more of them, or b is closed.
func (b *backend) takeLine() *line {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		l := b.free[n-1]
		b.free = b.free[:n-1]
		return l
	}
	if b.closed || len(b.made) == lines {
		return nil
	}
	l := newLine(b.target.options)
	b.made = append(b.made, l)
	return l
}

func (b *backend) giveLine(l *line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.free = append(b.free, l)
	}
}

// closeLines closes all. A call that is under way fails.
func (b *backend) closeLines() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var err error
	for _, l := range b.made {
		err = errors.Join(err, l.client.Close())
	}
	b.closed, b.free, b.made = true, nil, nil
	return err
}
