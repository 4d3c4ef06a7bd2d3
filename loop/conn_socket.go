package loop

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/plexor-go/plexor/sock"
)

// What is underneath a connection: its descriptor or its Network's stream, with their options and addresses.

// Socket is the descriptor underneath, for its options; the loop keeps it. It is sock.None once it was closed, while it
// is lent, and on a [Network], which has no descriptors.
func (c *Conn) Socket() sock.Socket {
	if c.loop.sys.network() != nil {
		return sock.None
	}
	return c.sock
}

// Gone reports whether the connection has ended, or is lent: nothing of it is the loop's then.
func (c *Conn) Gone() bool { return c.sock == sock.None }

// Unacked is how many bytes that have left the loop the peer's system has not acknowledged, as [sock.Socket.Unacked]
// has it; ok is false where nobody can tell, and once the connection is gone.
func (c *Conn) Unacked() (n int, ok bool) {
	if c.Gone() {
		return 0, false
	}
	return c.loop.sys.unacked(c.sock)
}

// WithSocket calls f with the descriptor, for its options, while nobody can close it, and returns f's error, or
// ErrClosed once the connection has ended and while it is lent; on a [Network], which has no descriptors, it is
// errors.ErrUnsupported. f must return at once: the loop waits if it has to close something meanwhile. Unlike all other
// methods it is for any goroutine, once Opened was called.
func (c *Conn) WithSocket(f func(s sock.Socket) error) error {
	l := c.loop
	l.table.Lock()
	defer l.table.Unlock()
	if int(c.at) >= len(l.conns) || l.conns[c.at] != c || c.sock == sock.None {
		return ErrClosed
	}
	if l.sys.network() != nil {
		return errNoDescriptor
	}
	return f(c.sock)
}

// SetOption sets an option of a connection on a [Network], while it is not ended. A value that is negative, or a
// TrafficClass above 255, is a *[sock.OptionError]. Of the kernel's, whose options are set by WithSocket, it is
// errors.ErrUnsupported. As WithSocket it is for any goroutine.
func (c *Conn) SetOption(o Option, value int) error {
	if value < 0 || o == TrafficClass && value > 255 {
		return &sock.OptionError{Option: o.String(), Problem: fmt.Sprintf("%d is out of range", value)}
	}
	l := c.loop
	l.table.Lock()
	defer l.table.Unlock()
	if int(c.at) >= len(l.conns) || l.conns[c.at] != c || c.sock == sock.None {
		return ErrClosed
	}
	if net := l.sys.network(); net != nil {
		return net.stream(c.sock).SetOption(o, value)
	}
	return fmt.Errorf("loop: SetOption is for a Network: %w", errors.ErrUnsupported)
}

// LocalAddr and RemoteAddr ask the system for the addresses.
func (c *Conn) LocalAddr() (sock.Addr, error) {
	if c.is(ended) {
		return sock.Addr{}, ErrClosed
	}
	return c.loop.sys.localAddr(c.sock)
}

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() (sock.Addr, error) {
	if c.is(ended) {
		return sock.Addr{}, ErrClosed
	}
	return c.loop.sys.remoteAddr(c.sock)
}

// RemoteAddrPort is the peer's address of a tcp connection. The error of a unix socket is EAFNOSUPPORT.
func (c *Conn) RemoteAddrPort() (netip.AddrPort, error) {
	if c.Gone() {
		return netip.AddrPort{}, ErrClosed
	}
	return c.loop.sys.peer(c.sock)
}
