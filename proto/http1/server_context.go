package http1

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// A requestContext is the context of a request. It is made of nothing until somebody waits for it: then there is one
// of package context's inside. It ends when the handler has returned, and when the client goes.
type requestContext struct {
	x    *response
	base context.Context // what it derives from
	mu   sync.Mutex

	inner  context.Context // nil: nobody has asked
	cancel context.CancelFunc
	ended  bool
}

// get makes the inner one.
func (c *requestContext) get() context.Context {
	c.mu.Lock()
	made := c.inner == nil
	if made {
		c.inner, c.cancel = context.WithCancel(c.base)
		if c.ended {
			c.cancel()
		}
	}
	inner, ended := c.inner, c.ended
	c.mu.Unlock()
	if made && !ended {
		c.x.watch()
	}
	return inner
}

// Deadline is that of what it derives from.
func (c *requestContext) Deadline() (time.Time, bool) { return c.base.Deadline() }

// Done is closed when it has ended.
func (c *requestContext) Done() <-chan struct{} { return c.get().Done() }

// Err is why it has ended.
func (c *requestContext) Err() error {
	c.mu.Lock()
	inner, ended := c.inner, c.ended
	c.mu.Unlock()
	switch {
	case inner != nil:
		return inner.Err()
	case ended:
		return context.Canceled
	}
	return c.get().Err() // whoever asks again and again is to see the client go
}

// Value has the server and the local address, as net/http's contexts have.
func (c *requestContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		if s := c.x.c.srv.Name; s != nil {
			return s
		}
		return noServer
	case http.LocalAddrContextKey:
		return c.x.c.nc.LocalAddr()
	}
	c.mu.Lock()
	inner := c.inner
	c.mu.Unlock()
	if inner == nil {
		return c.base.Value(key)
	}
	return inner.Value(key)
}

var noServer = new(http.Server)

// end is called when the handler has returned, and when the client has gone; by any goroutine.
func (c *requestContext) end() {
	c.mu.Lock()
	c.ended = true
	cancel := c.cancel
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

var _ context.Context = (*requestContext)(nil)
