package plexor

import (
	"io"
	"net"
	"time"
)

// A transport is what a tls.Conn reads from and writes to, which it is told once and for all. Shared puts another one
// in:
//
//	tls.Conn ──▶ transport ─┬─▶ streamTransport: the loop's stream, from which only the handshake waits
//	                        ├─▶ sharedTransport: any goroutine waits, for a *tls.Conn that was given away alone
//	                        └─▶ pushTransport: likewise, but that a sharedTLS has waited before it writes
type transport struct{ net.Conn }

// streamTransport is the transport of a secured. None of its methods waits, once the handshake is done.
type streamTransport secured

func (r *streamTransport) Read(p []byte) (n int, err error) {
	s := &r.c.raw
	s.w.warm((*secured)(r))
	switch {
	case r.state == shaking:
		n, err = r.readShaking(p)
		r.meter.Pass(p[:n])
	case len(s.peek()) > 0:
		n = copy(p, s.peek())
		s.discard(n) // secured.try wakes the next
		r.meter.Pass(p[:n])
	case s.is(gotEOF):
		err = io.EOF
	case s.is(over):
		err = s.err
	default:
		err = errNothing
	}
	return n, truncated(err)
}

// readShaking reads for the handshake, on the coroutine that makes it.
func (r *streamTransport) readShaking(p []byte) (int, error) {
	s := &r.c.raw
	t, err := s.self("Conn.Read")
	switch {
	case err != nil:
		return 0, err
	case r.handshake != nil:
		return r.handshake.read(t, p)
	}
	return s.read(t, p)
}

// truncated is an error of the stream's as TLS has it, which ends otherwise (RFC 8446 section 6.1): crypto/tls takes a
// bare io.EOF between two records.
func truncated(err error) error {
	if err == io.EOF {
		return truncatedError{}
	}
	return err
}

func (r *streamTransport) Write(p []byte) (int, error) {
	if err := (*secured)(r).put(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close is of net.Conn: secured closes the stream itself.
func (r *streamTransport) Close() error { return nil }

func (r *streamTransport) LocalAddr() net.Addr  { return r.c.raw.localAddr() }
func (r *streamTransport) RemoteAddr() net.Addr { return r.c.raw.remoteAddr() }

// The tls.Conn sets a deadline around close_notify, which nobody wants where nothing waits.

func (r *streamTransport) SetDeadline(time.Time) error      { return nil }
func (r *streamTransport) SetReadDeadline(time.Time) error  { return nil }
func (r *streamTransport) SetWriteDeadline(time.Time) error { return nil }

// sharedTransport is the transport of a *tls.Conn that was given away alone.
type sharedTransport struct{ *shared }

func (g sharedTransport) Read(p []byte) (int, error) {
	n, err := g.shared.Read(p)
	return n, truncated(err)
}

// pushTransport is the transport of a sharedTLS, whose deadlines are its own affair: it waits, and then writes without
// waiting.
type pushTransport struct{ sharedTransport }

func (u pushTransport) Write(p []byte) (int, error) {
	if err := u.push(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (u pushTransport) SetDeadline(time.Time) error      { return nil }
func (u pushTransport) SetReadDeadline(time.Time) error  { return nil }
func (u pushTransport) SetWriteDeadline(time.Time) error { return nil }
