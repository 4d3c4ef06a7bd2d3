package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// How a handler takes the connection over, and how it learns of its end in the old way.

// CloseNotify is of http.CloseNotifier, which is deprecated, and which frameworks still look for.
func (x *response) CloseNotify() <-chan bool {
	ch := make(chan bool, 1)
	context := &x.ctx
	go func() {
		<-context.Done()
		if !x.ended.Load() {
			ch <- true
		}
	}()
	return ch
}

// Hijack is of http.Hijacker. What was read ahead lies in the Reader.
func (x *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	switch {
	case x.hijacked:
		return nil, nil, http.ErrHijacked
	case x.ended.Load():
		return nil, nil, errEnded
	}
	c := x.c
	if x.wroteHeader && !x.committed {
		if err := x.commit(false); err != nil {
			return nil, nil, err
		}
	}
	if err := c.flush(); err != nil {
		return nil, nil, err
	}
	x.unwatch()
	nc := c.nc
	if h, ok := nc.(interface{ Hijack() (net.Conn, error) }); ok {
		var err error
		if nc, err = h.Hijack(); err != nil {
			return nil, nil, err
		}
	} else {
		_ = nc.SetDeadline(time.Time{})
	}
	x.hijacked = true
	ahead := bytes.Clone(c.in.unread())
	c.in.r = c.in.w
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(ahead), nc), max(inputSize, len(ahead)))
	if len(ahead) > 0 {
		_, _ = r.Peek(len(ahead)) // it is there
	}
	return nc, bufio.NewReadWriter(r, bufio.NewWriter(nc)), nil
}

// Switch is of Switcher.
func (x *response) Switch(begin func(nc net.Conn, ahead []byte) (Protocol, error)) error {
	switch {
	case x.hijacked:
		return http.ErrHijacked
	case x.ended.Load():
		return errEnded
	case x.wroteHeader:
		return errors.New("http: Switch: the answer has begun")
	}
	x.hijacked, x.begin = true, begin
	return nil
}
