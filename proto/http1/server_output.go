package http1

import (
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// How answers get to the connection: through out, with what else is written in the same turn.

func (c *ServerConn) put(s string) { c.in.out = append(c.in.out, s...) }

func (c *ServerConn) putInt(n int64) { c.in.out = strconv.AppendInt(c.in.out, n, 10) }

// putData adds p, and writes all there is if it is much.
func (c *ServerConn) putData(p []byte) error {
	if len(c.in.out)+len(p) <= mostOut {
		c.in.out = append(c.in.out, p...)
		return nil
	}
	return c.flushWith(p)
}

// flush writes what is held.
func (c *ServerConn) flush() error {
	if len(c.in.out) == 0 {
		return c.in.failed
	}
	return c.flushWith(nil)
}

// flushWith writes what is held, and p behind it.
func (c *ServerConn) flushWith(p []byte) error {
	if c.in.failed != nil {
		return c.in.failed
	}
	timed := c.limitFlush()
	var err error
	switch w, ok := c.nc.(interface {
		WriteBuffers(net.Buffers) (int64, error)
	}); {
	case len(p) == 0:
		_, err = c.nc.Write(c.in.out)
	case len(c.in.out) == 0:
		_, err = c.nc.Write(p)
	case ok:
		_, err = w.WriteBuffers(net.Buffers{c.in.out, p})
	default:
		b := net.Buffers{c.in.out, p}
		_, err = b.WriteTo(c.nc)
	}
	c.in.out = c.in.out[:0]
	if timed {
		_ = c.nc.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		c.in.failed = err
		if c.in.x != nil {
			c.in.x.ctx.end()
		}
	}
	return err
}

// limitFlush bounds how long the client may take for what is about to be written, unless somebody has set a deadline:
// one that asks and asks, and reads no answer, would hold the connection for ever. It reports whether it has set one. A
// connection that can tell that nothing waits to be sent (Waits) is spared that.
func (c *ServerConn) limitFlush() bool {
	d := c.srv.writeTime()
	if x := c.in.x; d == 0 || x != nil && (x.writeBy || x.timedWrite) {
		return false
	}
	if w, ok := c.nc.(interface{ Waits() bool }); ok && !w.Waits() {
		return false
	}
	_ = c.nc.SetWriteDeadline(c.srv.now().Add(d))
	return true
}

// A dateLine is the field Date for one second.
type dateLine struct {
	second int64
	line   string
}

var lastDate atomic.Pointer[dateLine]

// date is the field Date (RFC 9110, section 6.6.1).
func date(now time.Time) string {
	second := now.Unix()
	if d := lastDate.Load(); d != nil && d.second == second {
		return d.line
	}
	d := &dateLine{second, "Date: " + now.UTC().Format(http.TimeFormat) + "\r\n"}
	lastDate.Store(d)
	return d.line
}
