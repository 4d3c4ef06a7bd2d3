package http1

import (
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// How answers get to the connection: through out, with what else is written in the same turn.

func (c *ServerConn) ensureOut() {
	if c.out == nil {
		c.out = (*outs.Get().(*[]byte))[:0]
	}
}

func (c *ServerConn) put(s string) {
	c.ensureOut()
	c.out = append(c.out, s...)
}

func (c *ServerConn) putInt(n int64) {
	c.ensureOut()
	c.out = strconv.AppendInt(c.out, n, 10)
}

// putData adds p, and writes all there is if it is much.
func (c *ServerConn) putData(p []byte) error {
	c.ensureOut()
	if len(c.out)+len(p) <= mostOut {
		c.out = append(c.out, p...)
		return nil
	}
	return c.flushWith(p)
}

// flush writes what is held.
func (c *ServerConn) flush() error {
	if len(c.out) == 0 {
		return c.failed
	}
	return c.flushWith(nil)
}

// flushWith writes what is held, and p behind it.
func (c *ServerConn) flushWith(p []byte) error {
	if c.failed != nil {
		return c.failed
	}
	var err error
	switch w, ok := c.nc.(interface {
		WriteBuffers(net.Buffers) (int64, error)
	}); {
	case len(p) == 0:
		_, err = c.nc.Write(c.out)
	case len(c.out) == 0:
		_, err = c.nc.Write(p)
	case ok:
		_, err = w.WriteBuffers(net.Buffers{c.out, p})
	default:
		b := net.Buffers{c.out, p}
		_, err = b.WriteTo(c.nc)
	}
	c.out = c.out[:0]
	if err != nil {
		c.failed = err
		if c.x != nil {
			c.x.ctx.gone()
		}
	}
	return err
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
