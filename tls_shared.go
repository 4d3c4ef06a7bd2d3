package plexor

import (
	"bytes"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// A sharedTLS is TLS for any goroutine, over a shared. It waits for room before it gives the tls.Conn a piece, as
// secured does, and for the same reason: so a deadline never cuts a record.
type sharedTLS struct {
	sh *shared
	tc *tls.Conn
	mu sync.Mutex // a Write at a time; the one that waits ends by the deadline, or Close

	notified atomic.Bool // CloseWrite was called: close_notify was sent

	leftMu sync.Mutex
	left   []byte // what Messages had read, and not handled
}

// share goes on over sh in place of the stream, for any goroutine, and returns what is to be used then.
func (x *secured) share(sh *shared) *sharedTLS {
	x.give(sh, pushTransport{sharedTransport{sh}})
	return &sharedTLS{sh: sh, tc: x.tc, left: bytes.Clone(x.pulled())}
}

// give makes under, over sh, what the tls.Conn uses from now on.
func (x *secured) give(sh *shared, under net.Conn) {
	x.c.raw.w.unwarm(x)
	x.under.Conn = under
	if x.spill != nil {
		_ = sh.push(x.spill.b[x.spill.from:]) // who writes next gets the error too
		x.c.raw.w.buffers.put(x.spill)
		x.spill = nil
	}
}

// Read is of net.Conn.
func (v *sharedTLS) Read(p []byte) (int, error) {
	if err := v.sh.readableNow(); err != nil {
		return 0, err // though there may be plain text left
	}
	if n := v.takeLeft(p); n > 0 {
		return n, nil
	}
	if err := v.sh.awaitTaken(); err != nil {
		return 0, err
	}
	n, err := v.tc.Read(p)
	if n > 0 {
		return n, nil // it repeats its errors
	}
	return n, v.wrap("read", err)
}

func (v *sharedTLS) takeLeft(p []byte) int {
	v.leftMu.Lock()
	defer v.leftMu.Unlock()
	n := copy(p, v.left)
	if v.left = v.left[n:]; len(v.left) == 0 {
		v.left = nil
	}
	return n
}

func (v *sharedTLS) wrap(op string, err error) error {
	if e, ok := err.(*net.OpError); ok && e.Addr == nil {
		return &net.OpError{Op: op, Net: v.sh.c.raw.network(), Addr: v.sh.RemoteAddr(), Err: e}
	}
	return v.sh.wrap(op, err)
}

// lock waits for another Write to be done, if that may be: see shared.wait.
func (v *sharedTLS) lock() error {
	if v.mu.TryLock() {
		return nil
	}
	if err := v.sh.mayWait("write"); err != nil {
		return err
	}
	v.mu.Lock()
	return nil
}

// Write is of net.Conn.
func (v *sharedTLS) Write(p []byte) (n int, err error) {
	if err := v.lock(); err != nil {
		return 0, err
	}
	defer v.mu.Unlock()
	for {
		if err := v.sh.awaitRoom(); err != nil {
			return n, v.wrap("write", err)
		}
		switch {
		case v.notified.Load():
			return n, v.wrap("write", loop.ErrWriteClosed)
		case len(p) == 0:
			return 0, nil
		}
		m, err := v.tc.Write(p[n:min(n+pieceSize, len(p))])
		n += m
		if err != nil {
			return n, v.wrap("write", err)
		}
		if n == len(p) {
			return n, nil
		}
	}
}

// CloseWrite sends close_notify, and leaves reading open.
func (v *sharedTLS) CloseWrite() error {
	v.notified.Store(true)
	return v.wrap("close", v.tc.CloseWrite())
}

// Close sends close_notify and closes.
func (v *sharedTLS) Close() error {
	_ = v.tc.CloseWrite() // what is over needs none
	return v.sh.Close()
}

func (v *sharedTLS) LocalAddr() net.Addr                { return v.sh.LocalAddr() }
func (v *sharedTLS) RemoteAddr() net.Addr               { return v.sh.RemoteAddr() }
func (v *sharedTLS) SetDeadline(t time.Time) error      { return v.sh.SetDeadline(t) }
func (v *sharedTLS) SetReadDeadline(t time.Time) error  { return v.sh.SetReadDeadline(t) }
func (v *sharedTLS) SetWriteDeadline(t time.Time) error { return v.sh.SetWriteDeadline(t) }

// ConnectionState tells what the handshake has agreed on.
func (v *sharedTLS) ConnectionState() tls.ConnectionState { return v.tc.ConnectionState() }

// push takes all of p, room or not, and whether or not the deadline has passed: for TLS, which has waited by awaitRoom,
// and may not write half a record.
func (s *shared) push(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.unwritable(); err != nil && !s.write.passed {
		return s.wrap("write", err)
	}
	s.out = append(s.out, p...)
	s.kick()
	return nil
}

// awaitRoom waits until there is room for a Write.
func (s *shared) awaitRoom() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if err := s.unwritable(); err != nil || len(s.out) < sharedLimit {
			return err
		}
		if err := s.wait("write", &s.writable); err != nil {
			return err
		}
	}
}

// awaitTaken waits while what reading makes us write, which push takes without a bound, has found no room: see
// secured.choked. Reading has a deadline of its own, so a Write that waits is no reason to wait for: what that holds is
// below the limit.
func (s *shared) awaitTaken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.out) >= sharedLimit+spillLimit && !s.over && s.broken == nil {
		if err := s.unreadable(); err != nil {
			return err
		}
		s.choked = true
		if err := s.wait("read", &s.readable); err != nil {
			return err
		}
	}
	return nil
}

// readableNow is why a Read fails even if something is there.
func (s *shared) readableNow() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unreadable()
}

// listenerTLS is the handler of a tls address of Server.Listen: it hands the connection to Accept once the handshake is
// done. There it is a *tls.Conn, for that is what net/http looks for; so it is with the rules of package crypto/tls:
// after a Write that timed out it is of no more use.
type listenerTLS struct{ ln *Listener }

func (h listenerTLS) ServeConn(c *Conn) {
	x := c.tls
	sh := c.share()
	x.give(sh, sharedTransport{sh})
	sh.tc = x.tc
	sh.lend()
	if !h.ln.offer(sh) {
		c.raw.w.srv.stats.refusedAccepts.Add(1)
		_ = sh.Close() // it can't fail
	}
}

// face is what Accept returns.
func (s *shared) face() net.Conn {
	if s.tc != nil {
		return s.tc
	}
	return s
}
