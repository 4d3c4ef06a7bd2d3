package plexor

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/sock"
)

// The options that a net.TCPConn has, of which libraries ask by an interface with the method.

// SetNoDelay is that of net.TCPConn: false lets small pieces wait for the acknowledgement of those before.
func (s *shared) SetNoDelay(on bool) error {
	return s.option(func(k sock.Socket) error { return k.SetNoDelay(on) })
}

// SetKeepAlive is that of net.TCPConn: it leaves the times as they are.
func (s *shared) SetKeepAlive(on bool) error {
	return s.option(func(k sock.Socket) error { return k.SetKeepAlive(sock.KeepAlive{Off: !on}) })
}

// SetKeepAlivePeriod is that of net.TCPConn.
func (s *shared) SetKeepAlivePeriod(d time.Duration) error {
	return s.option(func(k sock.Socket) error { return k.SetKeepAlive(sock.KeepAlive{Idle: seconds(d, 0)}) })
}

// SetKeepAliveConfig is that of net.TCPConn: what is zero has package net's default, and what is negative stays.
func (s *shared) SetKeepAliveConfig(c net.KeepAliveConfig) error {
	k := sock.KeepAlive{Off: !c.Enable}
	if c.Enable {
		k.Idle, k.Interval = seconds(c.Idle, keepAliveTime), seconds(c.Interval, keepAliveTime)
		if k.Count = max(c.Count, 0); c.Count == 0 {
			k.Count = keepAliveCount
		}
	}
	return s.option(func(to sock.Socket) error { return to.SetKeepAlive(k) })
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

// option sets one, while the loop can't close the descriptor.
func (s *shared) option(set func(sock.Socket) error) error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	err := net.ErrClosed
	if !closed {
		err = s.c.raw.lc.WithSocket(set)
	}
	if err != nil {
		return &net.OpError{Op: "set", Net: s.c.raw.network(), Addr: s.RemoteAddr(), Err: err}
	}
	return nil
}

// SyscallConn is of syscall.Conn. The functions get a duplicate of the descriptor, which is theirs until they return: so
// nothing that they do holds up the loop. Options that are set on it are set on the connection. The bytes that come are read
// by the loop: who reads from the descriptor finds only the end, an error, or nothing (EAGAIN), and takes what it finds
// from the connection; so Read and Write call their function once, and if that wants to wait, by returning false, fail with
// an error that is errors.ErrUnsupported.
func (s *shared) SyscallConn() (syscall.RawConn, error) { return rawConn{s}, nil }

type rawConn struct{ s *shared }

// Control is of syscall.RawConn.
func (r rawConn) Control(f func(fd uintptr)) error {
	var dup sock.Socket
	if err := r.s.option(func(k sock.Socket) (err error) {
		dup, err = k.Dup()
		return err
	}); err != nil {
		return err
	}
	defer dup.Close() // the connection's own is another one
	f(uintptr(dup))
	return nil
}

// Read is of syscall.RawConn.
func (r rawConn) Read(f func(fd uintptr) bool) error { return r.once("read", f) }

// Write is of syscall.RawConn.
func (r rawConn) Write(f func(fd uintptr) bool) error { return r.once("write", f) }

func (r rawConn) once(op string, f func(fd uintptr) bool) error {
	done := false
	err := r.Control(func(fd uintptr) { done = f(fd) })
	if err == nil && !done {
		err = r.s.wrap(op, fmt.Errorf("plexor: the loop waits for this descriptor, and nobody else: use Read and Write of the connection: %w", errors.ErrUnsupported))
	}
	return err
}

// Over TLS the same options are those of the connection below. SyscallConn is not there: its bytes are records.

// SetNoDelay is that of net.TCPConn.
func (v *sharedTLS) SetNoDelay(on bool) error { return v.sh.SetNoDelay(on) }

// SetKeepAlive is that of net.TCPConn.
func (v *sharedTLS) SetKeepAlive(on bool) error { return v.sh.SetKeepAlive(on) }

// SetKeepAlivePeriod is that of net.TCPConn.
func (v *sharedTLS) SetKeepAlivePeriod(d time.Duration) error { return v.sh.SetKeepAlivePeriod(d) }

// SetKeepAliveConfig is that of net.TCPConn.
func (v *sharedTLS) SetKeepAliveConfig(c net.KeepAliveConfig) error {
	return v.sh.SetKeepAliveConfig(c)
}

// NetConn is the connection below TLS, as with a tls.Conn: for its options. To read or write there breaks TLS.
func (v *sharedTLS) NetConn() net.Conn { return v.sh }
