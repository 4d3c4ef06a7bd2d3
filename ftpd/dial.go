package ftpd

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// across does f on c's loop, as a coroutine, and waits for it, unless the caller is there already. If the loop has
// ended f is not done.
func across(c *plexor.Conn, f func()) {
	l := c.Loop()
	if l.OnLoop() {
		f()
		return
	}
	done := make(chan struct{})
	err := post(l, func() {
		coro.On(l).Start(context.Background(), "ftp", func(context.Context) error { f(); return nil }).
			OnEnd(func(error) { close(done) })
	})
	if err == nil {
		<-done
	}
}

// retryPost is how long to wait when a loop's queue of posted functions is full.
const retryPost = time.Millisecond

// post has the loop call f, and waits if its queue is full: it is for goroutines alone. An error means that the loop
// has ended.
func post(l *loop.Loop, f func()) error {
	for {
		err := l.Post(f)
		if !errors.Is(err, loop.ErrPostQueueFull) {
			return err
		}
		time.Sleep(retryPost)
	}
}

// Dial is an ftp.ClientOptions.Dial for coroutines: the client is then used by coroutines of the calling one's loop,
// and its waits park them. Their contexts, and those derived by package context, cancel what it does. What it reads
// from and writes to are the caller's, and must not block. Active data connections (ClientOptions.Listen) are for
// goroutines.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := plexor.Dial(ctx, network+"://"+address)
	if err != nil {
		return nil, err
	}
	return &dialled{Conn: c, local: c.LocalAddr()}, nil
}

// A dialled is a connection of a client's. The end of a context is told by another goroutine, which sets a deadline.
type dialled struct {
	*plexor.Conn
	local net.Addr
}

func (d *dialled) LocalAddr() net.Addr { return d.local }

func (d *dialled) set(f func() error) (err error) {
	err = net.ErrClosed
	across(d.Conn, func() { err = f() })
	return err
}

// SetDeadline is of net.Conn, for any goroutine, as those behind it.
func (d *dialled) SetDeadline(t time.Time) error {
	return d.set(func() error { return d.Conn.SetDeadline(t) })
}

func (d *dialled) SetReadDeadline(t time.Time) error {
	return d.set(func() error { return d.Conn.SetReadDeadline(t) })
}

func (d *dialled) SetWriteDeadline(t time.Time) error {
	return d.set(func() error { return d.Conn.SetWriteDeadline(t) })
}
