package http1

import (
	"net"
	"time"
)

// A watcher reads ahead while a handler runs, on a goroutine, to see the client go, on a connection that does not tell
// of it by itself (by OnEnd). It ends with the first bytes that come: then there is something that the handler or the
// next turn has to read before the end can be seen.
type watcher struct {
	nc   net.Conn
	b    []byte // what it has read; valid when done is closed, as err is
	err  error
	done chan struct{}
}

// watchSize is how many bytes it reads.
const watchSize = 512

// watch begins to look out for the end, if nobody does yet, nor reads. Any goroutine may call it.
func (x *response) watch() {
	nc := x.c.nc
	x.ctx.mu.Lock()
	defer x.ctx.mu.Unlock()
	if x.ctx.ended || x.hijacked {
		return
	}
	if tells, ok := nc.(interface{ OnEnd(f func()) }); ok {
		x.told = true
		x.ctx.mu.Unlock() // it may be told at once
		tells.OnEnd(x.ctx.end)
		x.ctx.mu.Lock()
		return
	}
	if x.reading || x.watcher != nil {
		return
	}
	w := &watcher{nc: nc, done: make(chan struct{})}
	x.watcher = w
	go func() {
		defer close(w.done)
		b := make([]byte, watchSize)
		n, err := nc.Read(b)
		if w.b, w.err = b[:n], err; err != nil && !isTimeout(err) {
			x.ctx.end()
		}
	}()
}

// watchAgain is for when a body has been read: from there on nobody sees the end who does not look for it.
func (x *response) watchAgain() {
	x.ctx.mu.Lock()
	asked := x.ctx.inner != nil && !x.told
	x.ctx.mu.Unlock()
	if asked {
		x.watch()
	}
}

// read reads from the connection, behind what the watcher has read.
func (x *response) read(p []byte) (n int, err error) {
	x.ctx.mu.Lock()
	w := x.watcher
	x.reading = true
	x.ctx.mu.Unlock()
	if w == nil {
		n, err = x.c.nc.Read(p)
	} else {
		<-w.done
		n = copy(p, w.b)
		w.b = w.b[n:]
		if n == 0 {
			err = w.err
		}
	}
	x.ctx.mu.Lock()
	if x.reading = false; w != nil && len(w.b) == 0 {
		x.watcher = nil
	}
	x.ctx.mu.Unlock()
	if n == 0 && err == nil && w != nil {
		return x.read(p)
	}
	return n, err
}

// unwatch ends the watcher, and keeps what it has read for the next turn.
func (x *response) unwatch() {
	x.ctx.mu.Lock()
	w, told := x.watcher, x.told
	x.watcher = nil
	x.reading = true // no other one begins
	x.ctx.mu.Unlock()
	if told {
		x.c.nc.(interface{ OnEnd(f func()) }).OnEnd(nil)
	}
	if w == nil {
		return
	}
	_ = w.nc.SetReadDeadline(time.Unix(1, 0))
	<-w.done
	if x.lost {
		return // it is whoever still reads who has what was read
	}
	_ = w.nc.SetReadDeadline(time.Time{})
	in := x.c.in
	in.w += copy(in.room(len(w.b)), w.b)
}
