package loop

import (
	"net/netip"
	"os"
)

// A Handler is told what happens to a connection, on the connection's loop, one call at a time. One Handler may
// serve many connections. Embed [Base] for the calls that you do not need.
//
// The order is: Opened first; then any number of Data, Writable and Expired; EOF at most once, after the last
// Data; Closed once, at the very end, and nothing after it. Between a call to Close or Abort and Closed there is
// nothing, but for what a [DeliveryHandler] asks for. A connection that could not be made
// ([Loop.Dial]) gets Closed alone.
type Handler interface {
	// Opened: the connection is there and can be written to.
	Opened(c *Conn)
	// Data: bytes arrived. p is the loop's read buffer: it is valid, and may be changed and appended to, until
	// Data returns.
	Data(c *Conn, p []byte)
	// EOF: the peer closed its half: it sends no more, but may still read. Whoever has nothing more to say
	// calls c.Close. If the peer dies later, Closed comes, though nothing is written (where the driver is
	// select, up to a second later; on Windows with a write). A Unix socket that was closed as a whole is as
	// one whose half was: a write tells.
	EOF(c *Conn)
	// Writable: Write refused with ErrFull, or c.Full was true, and now there is room again; or sending failed
	// meanwhile, which the next Write tells. It comes before any more Data.
	Writable(c *Conn)
	// Expired: a deadline passed. err tells which, and is os.ErrDeadlineExceeded to errors.Is. The connection
	// is as usable as before.
	Expired(c *Conn, err *DeadlineError)
	// Closed: it is over, and c is of no more use. err is nil after a Close whose bytes were all delivered,
	// and otherwise says what ended the connection, or why some bytes were not delivered.
	Closed(c *Conn, err error)
}

// A DeliveryHandler is a [Handler] that is told, between Close and Closed, of the delivery: for whoever waits for no
// more than that, while Closed waits for the peer's end too. It is optional.
type DeliveryHandler interface {
	Handler
	// Delivered: the peer's system has acknowledged all that was written, or, where none tells of that (see
	// sock.Socket.Unacked), has been sent all. It comes once at most, and not where Closed comes at the same time.
	Delivered(c *Conn)
}

// Base is a Handler that does the least for each call. Embed it, and write the calls that you need.
type Base struct{}

// Opened does nothing.
func (Base) Opened(*Conn) {}

// Data drops the bytes.
func (Base) Data(*Conn, []byte) {}

// EOF closes the connection: what was written still goes out.
func (Base) EOF(c *Conn) { c.Close() }

// Writable does nothing.
func (Base) Writable(*Conn) {}

// Expired ends the connection with the deadline's error: a handler that wants to go on writes its own.
func (Base) Expired(c *Conn, err *DeadlineError) { c.fail(err) }

// Closed does nothing.
func (Base) Closed(*Conn, error) {}

// A HandlerFunc is a Handler that is called for bytes; all else is as in [Base].
type HandlerFunc func(c *Conn, p []byte)

// Data calls f.
func (f HandlerFunc) Data(c *Conn, p []byte) { f(c, p) }

// Opened does nothing.
func (HandlerFunc) Opened(*Conn) {}

// EOF closes the connection: what was written still goes out.
func (HandlerFunc) EOF(c *Conn) { c.Close() }

// Writable does nothing.
func (HandlerFunc) Writable(*Conn) {}

// Expired ends the connection with the deadline's error.
func (HandlerFunc) Expired(c *Conn, err *DeadlineError) { c.fail(err) }

// Closed does nothing.
func (HandlerFunc) Closed(*Conn, error) {}

// A PacketHandler is told what happens to a datagram socket, on its loop, one call at a time.
type PacketHandler interface {
	// Packet: a datagram arrived from a peer. p is valid, and may be changed and appended to, until Packet
	// returns. truncated says that the datagram was longer than Options.PacketSize, and that p is its beginning.
	// s.Local is where it was sent to; WriteTo answers from there.
	Packet(s *PacketConn, p []byte, peer netip.AddrPort, truncated bool)
	// Refused: a datagram that was sent to this peer did not arrive, and err says why: syscall.ECONNREFUSED
	// for a closed port, EMSGSIZE for one that was too long, others from the route (RFC 1122 section 4.1.3.3).
	// The socket, and all other peers, go on. An invalid peer: the system did not say which one it was.
	Refused(s *PacketConn, peer netip.AddrPort, err error)
	// Closed: it is over, with the error that ended it, or nil after Close.
	Closed(s *PacketConn, err error)
}

// A PacketFunc is a PacketHandler that is called for datagrams; the rest is dropped.
type PacketFunc func(s *PacketConn, p []byte, peer netip.AddrPort, truncated bool)

// Packet calls f.
func (f PacketFunc) Packet(s *PacketConn, p []byte, peer netip.AddrPort, truncated bool) {
	f(s, p, peer, truncated)
}

// Refused does nothing: UDP promises nothing.
func (PacketFunc) Refused(*PacketConn, netip.AddrPort, error) {}

// Closed does nothing.
func (PacketFunc) Closed(*PacketConn, error) {}

// A DeadlineError tells which deadline of a connection passed.
type DeadlineError struct {
	Op string // "read" or "write"
}

func (e *DeadlineError) Error() string { return "loop: " + e.Op + " deadline passed" }

// Unwrap makes errors.Is find os.ErrDeadlineExceeded.
func (e *DeadlineError) Unwrap() error { return os.ErrDeadlineExceeded }

// Timeout is true, as in net.Error.
func (e *DeadlineError) Timeout() bool { return true }

// Temporary is true: net.Error still wants it.
func (e *DeadlineError) Temporary() bool { return true }

var (
	readExpired  = &DeadlineError{Op: "read"}
	writeExpired = &DeadlineError{Op: "write"}
)
