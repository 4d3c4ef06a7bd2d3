package plexor

import (
	"net"
	"time"
)

// A failed is what Shared returns when it was called by the wrong one: it says so, whatever is asked of it.
type failed struct {
	c   *Conn
	err error
}

func (f failed) Read([]byte) (int, error)         { return 0, f.err }
func (f failed) Write([]byte) (int, error)        { return 0, f.err }
func (f failed) Close() error                     { return f.err }
func (f failed) LocalAddr() net.Addr              { return f.c.raw.noAddr() }
func (f failed) RemoteAddr() net.Addr             { return f.c.raw.remoteAddr() }
func (f failed) SetDeadline(time.Time) error      { return f.err }
func (f failed) SetReadDeadline(time.Time) error  { return f.err }
func (f failed) SetWriteDeadline(time.Time) error { return f.err }
