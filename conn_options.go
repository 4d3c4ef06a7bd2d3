package plexor

import (
	"errors"
	"net"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// The socket options of a connection that lives, by the names that they have in package net. Conn has them for its
// handler, and what Conn.Shared and Client return, over TLS too, for any goroutine; of a tls.Conn of Server.Listen they
// are those of its NetConn. Those that are set before a connection is made stand in its address: see sock.ParseOptions.
//
// Errors are *net.OpError. On a unix socket, which has no TCP, all but the buffers fail with one that is
// errors.ErrUnsupported, and so does what this system does not have.

// SetNoDelay says whether small pieces leave at once (true, as it is unless set), or wait for the acknowledgement of
// those before (Nagle's algorithm, RFC 1122 section 4.2.3.4). Within a turn of the loop, pieces leave together in any
// case.
func (c *Conn) SetNoDelay(on bool) error { return c.option(noDelay(on)) }

// SetKeepAlive turns keep-alive probes (RFC 1122 section 4.2.3.6) on, as they are unless set, or off. Their times stay.
func (c *Conn) SetKeepAlive(on bool) error { return c.option(keepAlive(on)) }

// SetKeepAlivePeriod sets how long a connection is silent before it is probed, rounded up to seconds, and turns probes
// on.
func (c *Conn) SetKeepAlivePeriod(d time.Duration) error { return c.option(keepAlivePeriod(d)) }

// SetKeepAliveConfig is that of net.TCPConn: what is zero has package net's default, and what is negative stays.
func (c *Conn) SetKeepAliveConfig(k net.KeepAliveConfig) error { return c.option(keepAliveConfig(k)) }

// SetReadBuffer sets the size of the system's receive buffer in bytes, which it then tunes no more. More than the
// system grants is an error, a *sock.OptionError that says how much it is.
func (c *Conn) SetReadBuffer(bytes int) error { return c.option(readBuffer(bytes)) }

// SetWriteBuffer is SetReadBuffer for what is sent.
func (c *Conn) SetWriteBuffer(bytes int) error { return c.option(writeBuffer(bytes)) }

// SetUserTimeout sets how long sent data may stay unacknowledged before the connection fails with ETIMEDOUT (RFC 5482),
// in whole milliseconds; 0 is the system's own time. Linux.
func (c *Conn) SetUserTimeout(d time.Duration) error { return c.option(userTimeout(d)) }

// SetLinger says what Close does with what the peer has not acknowledged (SO_LINGER, socket(7)): 0 discards it and
// resets the connection, as [Conn.Abort] does, and a negative number, as it is unless set, delivers it, for
// Limits.Linger at most. A positive number of seconds, for which close(2) would hold its thread, fails with an error
// that is errors.ErrUnsupported.
func (c *Conn) SetLinger(sec int) error {
	err := c.option(linger(sec))
	if err == nil {
		c.raw.flags &^= resets
		if sec == 0 {
			c.raw.flags |= resets
		}
	}
	return err
}

// SetTrafficClass sets the traffic class of what is sent, from 0 to 255: the code point for routers in its upper six
// bits (RFC 2474). It is IP_TOS over IPv4 (ip(7)) and IPV6_TCLASS over IPv6 (RFC 3542 section 6.5).
func (c *Conn) SetTrafficClass(class int) error { return c.option(trafficClass(class)) }

// SetQuickAck says whether acknowledgements leave at once or wait for data to go with. The kernel goes back to its own
// judgement as the connection goes on (TCP_QUICKACK, tcp(7)). Linux.
func (c *Conn) SetQuickAck(on bool) error { return c.option(quickAck(on)) }

// A setting is an option with its value: how it is set of a descriptor, and of a connection on a loop.Network; nil:
// there is none.
type setting struct {
	of func(sock.Socket) error
	on func(*loop.Conn) error
}

// virtual reports whether the connection is one on a loop.Network.
func (s *stream) virtual() bool { return s.lc.Loop().Network() != nil }

// onNetwork sets one of a connection on a loop.Network.
func (x setting) onNetwork(lc *loop.Conn) error {
	if x.on == nil {
		return errNoNetwork
	}
	return x.on(lc)
}

var errNoNetwork error = &sock.OptionError{Option: "of a descriptor",
	Problem: "a connection of a Network does not have it", Err: errors.ErrUnsupported}

// option sets one, for the handler.
func (c *Conn) option(x setting) error {
	if err := c.usable("set"); err != nil {
		return err
	}
	err := net.ErrClosed
	if lc := c.raw.lc; !lc.Gone() && !c.raw.is(closed) {
		if c.raw.virtual() {
			err = x.onNetwork(lc)
		} else {
			err = x.of(lc.Socket())
		}
	}
	if err != nil {
		return c.optionError(err)
	}
	return nil
}

// optionError wraps why an option could not be set. What a unix socket does not have is told by each system in its own
// way.
func (c *Conn) optionError(err error) error {
	network := c.raw.network()
	var missing *sock.OptionError
	if network == "unix" && !errors.Is(err, net.ErrClosed) && !errors.As(err, &missing) {
		err = errors.Join(errNoTCP, err)
	}
	return &net.OpError{Op: "set", Net: network, Addr: c.raw.remoteAddr(), Err: err}
}

var errNoTCP error = &sock.OptionError{Option: "of tcp", Problem: "a unix socket does not have it",
	Err: errors.ErrUnsupported}

func noDelay(on bool) setting {
	return setting{func(k sock.Socket) error { return k.SetNoDelay(on) }, number(loop.NoDelay, toInt(on))}
}

func toInt(on bool) int {
	if on {
		return 1
	}
	return 0
}

// number is how an option is set on a loop.Network.
func number(o loop.Option, value int) func(*loop.Conn) error {
	return func(lc *loop.Conn) error { return lc.SetOption(o, value) }
}

func keepAlive(on bool) setting {
	idle := 0
	if on {
		idle = int(keepAliveTime / time.Second)
	}
	return setting{func(k sock.Socket) error {
		return ofTCP(k, func() error { return k.SetKeepAlive(sock.KeepAlive{Off: !on}) })
	}, number(loop.KeepAlive, idle)}
}

func keepAlivePeriod(d time.Duration) setting {
	return setting{func(k sock.Socket) error {
		return ofTCP(k, func() error { return k.SetKeepAlive(sock.KeepAlive{Idle: seconds(d, 0)}) })
	}, number(loop.KeepAlive, int(seconds(d, 0)/time.Second))}
}

func keepAliveConfig(c net.KeepAliveConfig) setting {
	a := sock.KeepAlive{Off: !c.Enable}
	if c.Enable {
		a.Idle, a.Interval = seconds(c.Idle, keepAliveTime), seconds(c.Interval, keepAliveTime)
		if a.Count = max(c.Count, 0); c.Count == 0 {
			a.Count = keepAliveCount
		}
	}
	return setting{func(k sock.Socket) error { return ofTCP(k, func() error { return k.SetKeepAlive(a) }) },
		number(loop.KeepAlive, int(a.Idle/time.Second))}
}

// ofTCP sets what the system takes of a unix socket too, without effect.
func ofTCP(k sock.Socket, set func() error) error {
	if _, err := k.NoDelay(); err != nil {
		return err
	}
	return set()
}

func readBuffer(bytes int) setting {
	return setting{func(k sock.Socket) error { return k.SetRecvBuffer(bytes) }, number(loop.RecvBuffer, bytes)}
}

func writeBuffer(bytes int) setting {
	return setting{func(k sock.Socket) error { return k.SetSendBuffer(bytes) }, number(loop.SendBuffer, bytes)}
}

func userTimeout(d time.Duration) setting {
	return setting{func(k sock.Socket) error { return k.SetUserTimeout(d) },
		number(loop.UserTimeout, int(d/time.Millisecond))}
}

// linger is all the loop's on a Network, where nothing else would do it.
func linger(sec int) setting {
	return setting{func(k sock.Socket) error {
		return ofTCP(k, func() error {
			switch {
			case sec > 0:
				return errLinger
			case sec == 0:
				return k.SetLinger(sock.LingerReset)
			}
			return k.SetLinger(0)
		})
	}, func(*loop.Conn) error {
		if sec > 0 {
			return errLinger
		}
		return nil
	}}
}

var errLinger error = &sock.OptionError{Option: "linger", Problem: "close would hold its thread: Limits.Linger " +
	"is for how long the loop sees to delivery", Err: errors.ErrUnsupported}

func trafficClass(class int) setting {
	return setting{func(k sock.Socket) error { return ofTCP(k, func() error { return k.SetTrafficClass(class) }) },
		number(loop.TrafficClass, class)}
}

func quickAck(on bool) setting {
	return setting{of: func(k sock.Socket) error { return ofTCP(k, func() error { return k.SetQuickAck(on) }) }}
}

// The defaults of net.KeepAliveConfig.
const (
	keepAliveTime  = 15 * time.Second
	keepAliveCount = 9
)

// seconds is d in whole seconds, rounded up as package net does; def for zero, and zero, which changes nothing, for
// a negative one.
func seconds(d, def time.Duration) time.Duration {
	switch {
	case d == 0:
		return def
	case d < 0:
		return 0
	}
	return (d + time.Second - 1).Truncate(time.Second)
}

// Pending is how many bytes were written that the system has not taken yet, because the peer reads slowly: at
// Limits.HighWater a Write waits. It is 0 of a connection that is over, or was given away.
func (c *Conn) Pending() int {
	if c.raw.is(closed|over|givenAway) || c.usable("pending") != nil {
		return 0
	}
	return c.raw.lc.Pending()
}
