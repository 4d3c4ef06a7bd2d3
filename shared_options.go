package plexor

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/sock"
)

// The options that a net.TCPConn has, of which libraries ask by an interface with the method: see Conn.SetNoDelay and
// those behind it.

// SetNoDelay is that of [Conn.SetNoDelay].
func (s *shared) SetNoDelay(on bool) error { return s.option(noDelay(on)) }

// SetKeepAlive is that of [Conn.SetKeepAlive].
func (s *shared) SetKeepAlive(on bool) error { return s.option(keepAlive(on)) }

// SetKeepAlivePeriod is that of [Conn.SetKeepAlivePeriod].
func (s *shared) SetKeepAlivePeriod(d time.Duration) error { return s.option(keepAlivePeriod(d)) }

// SetKeepAliveConfig is that of [Conn.SetKeepAliveConfig].
func (s *shared) SetKeepAliveConfig(c net.KeepAliveConfig) error { return s.option(keepAliveConfig(c)) }

// SetReadBuffer is that of [Conn.SetReadBuffer].
func (s *shared) SetReadBuffer(bytes int) error { return s.option(readBuffer(bytes)) }

// SetWriteBuffer is that of [Conn.SetWriteBuffer].
func (s *shared) SetWriteBuffer(bytes int) error { return s.option(writeBuffer(bytes)) }

// SetUserTimeout is that of [Conn.SetUserTimeout].
func (s *shared) SetUserTimeout(d time.Duration) error { return s.option(userTimeout(d)) }

// SetLinger is that of [Conn.SetLinger].
func (s *shared) SetLinger(sec int) error {
	err := s.option(linger(sec))
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.resets = sec == 0
	}
	return err
}

// SetTrafficClass is that of [Conn.SetTrafficClass].
func (s *shared) SetTrafficClass(class int) error { return s.option(trafficClass(class)) }

// SetQuickAck is that of [Conn.SetQuickAck].
func (s *shared) SetQuickAck(on bool) error { return s.option(quickAck(on)) }

// option sets one, while the loop can't close the descriptor.
func (s *shared) option(x setting) error {
	closed, lent := s.borrowed()
	err := net.ErrClosed
	if !closed && lent == nil {
		if s.c.raw.virtual() {
			err = x.onNetwork(s.c.raw.lc)
		} else if err = s.c.raw.lc.WithSocket(x.of); errors.Is(err, net.ErrClosed) {
			closed, lent = s.borrowed() // it was lent in between
		}
	}
	if !closed && lent != nil {
		err = lent.control(x.of)
	}
	if err != nil {
		return s.c.optionError(err)
	}
	return nil
}

// borrowed is who has the descriptor, if it is not the loop.
func (s *shared) borrowed() (closed bool, lent *direct) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed, s.lent
}

// SyscallConn is of syscall.Conn. The functions get a duplicate of the descriptor, which is theirs until they return:
// so nothing that they do holds up the loop. Options that are set on it are set on the connection. The bytes that come
// are read by the loop: who reads from the descriptor finds only the end, an error, or nothing (EAGAIN), and takes what
// it finds from the connection; so Read and Write call their function once, and if that wants to wait, by returning
// false, fail with an error that is errors.ErrUnsupported.
func (s *shared) SyscallConn() (syscall.RawConn, error) { return rawConn{s}, nil }

type rawConn struct{ s *shared }

// Control is of syscall.RawConn.
func (r rawConn) Control(f func(fd uintptr)) error {
	var dup sock.Socket
	if err := r.s.option(setting{of: func(k sock.Socket) (err error) {
		dup, err = k.Dup()
		return err
	}}); err != nil {
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
		err = r.s.wrap(op, fmt.Errorf("plexor: the loop waits for this descriptor, and nobody else: "+
			"use Read and Write of the connection: %w", errors.ErrUnsupported))
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

// SetReadBuffer is that of net.TCPConn.
func (v *sharedTLS) SetReadBuffer(bytes int) error { return v.sh.SetReadBuffer(bytes) }

// SetWriteBuffer is that of net.TCPConn.
func (v *sharedTLS) SetWriteBuffer(bytes int) error { return v.sh.SetWriteBuffer(bytes) }

// SetUserTimeout is that of [Conn.SetUserTimeout].
func (v *sharedTLS) SetUserTimeout(d time.Duration) error { return v.sh.SetUserTimeout(d) }

// SetLinger is that of [Conn.SetLinger].
func (v *sharedTLS) SetLinger(sec int) error { return v.sh.SetLinger(sec) }

// SetTrafficClass is that of [Conn.SetTrafficClass].
func (v *sharedTLS) SetTrafficClass(class int) error { return v.sh.SetTrafficClass(class) }

// SetQuickAck is that of [Conn.SetQuickAck].
func (v *sharedTLS) SetQuickAck(on bool) error { return v.sh.SetQuickAck(on) }

// NetConn is the connection below TLS, as with a tls.Conn: for its options. To read or write there breaks TLS.
func (v *sharedTLS) NetConn() net.Conn { return v.sh }
