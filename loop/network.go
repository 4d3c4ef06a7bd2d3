package loop

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/plexor-go/plexor/sock"
)

// A Network is what loops stand on in place of the kernel, as Options.Network: a host of package lab, or anything else
// that carries streams and datagrams. It has no descriptors. Any number of loops may use one Network; nothing in it may
// wait but [Waiter].Wait, and all of it may be called by any goroutine.
//
// # Time
//
// A Network is a [Clock]: the loops on it take their time from it, unless Options.Clock says otherwise, and they wait
// by its Waiters. So a network in virtual time has the loops on it in virtual time too. A loop does something between
// two calls of its Wait only. A network that runs its loops one at a time, by letting one Wait return and waiting for
// that loop's next one, therefore runs all of them as one thread would, in an order of its own.
//
// # Errors
//
// A call that can't do its work yet returns [sock.ErrWouldBlock]. All others are those of the kernel's calls, as a bare
// syscall.Errno or wrapped round one: ECONNRESET, EPIPE behind the peer's end, ECONNREFUSED, ETIMEDOUT, EADDRINUSE.
//
// # Readiness
//
// Stream, Backlog and Datagrams have Notify, which is called once, before anything else that the loop calls. What it is
// given is called whenever one of the kinds of [Ready] has become true that was not before: at once, by whatever
// goroutine brought it about, perhaps with a lock of the network's held. It only takes a note, wakes the loop, and
// calls nothing of the network's but its Waiter's Wake. Readable and Writable are hints, as a selector's are, and
// edges: Readable comes again only after a Read that returned ErrWouldBlock, Writable after a Write that was cut short.
// What was true when Notify was called need not be told, but for the outcome of a Dial.
type Network interface {
	Clock

	// Attach makes the Waiter of a loop.
	Attach() (Waiter, error)
	// Listen takes connections at a tcp address. Its host is a literal, or empty for all addresses.
	Listen(a sock.Addr, o sock.Options) (Backlog, error)
	// Dial begins to connect to a tcp address whose host is a literal, or empty for the host itself. Writable tells that
	// Err has the outcome.
	Dial(a sock.Addr, o sock.Options) (Stream, error)
	// Bind makes a socket for datagrams at a udp address.
	Bind(a sock.Addr, o sock.Options) (Datagrams, error)
}

// A Resolver is a [Network] that knows names. A loop's Network that is none knows only literals.
type Resolver interface {
	Network
	// LookupHost is the addresses of a name, at least one, in the order in which they are to be tried. It does not wait.
	LookupHost(name string) ([]netip.Addr, error)
}

// A Waiter is what one loop waits by.
type Waiter interface {
	// Wait returns when Wake was called since the last Wait returned, or when the timeout has passed by the network's
	// time, not earlier: negative means never, zero at once (or after others that have something to do at this time).
	// Only the loop's goroutine calls it.
	Wait(timeout time.Duration) error
	// Wake ends a wait, at once or the next one.
	Wake()
	// Close says that the loop has ended and will not Wait any more.
	Close()
}

// Ready are the ways in which something of a [Network] is ready.
type Ready uint8

// The ways.
const (
	Readable  Ready = 1 << iota // bytes, the peer's end or an error; a connection to accept; a datagram or a refusal
	Writable                    // there is room again, or a Dial has its outcome
	Delivered                   // after CloseWrite: the peer's system has acknowledged all, the end too
	Broken                      // Err is not nil any more
)

// A Stream is a connection, or one that is being made.
type Stream interface {
	Notify(f func(Ready))
	// Read moves what has arrived into p: at least one byte, or 0 and io.EOF at the end of the peer's half.
	Read(p []byte) (int, error)
	// Write takes as much of p as there is room for: fewer bytes than len(p), with no error, when it became full on
	// the way; ErrWouldBlock when it took none. p is the caller's again when it returns.
	Write(p []byte) (int, error)
	// CloseWrite ends this side's half behind what was written. Reading goes on.
	CloseWrite() error
	// Err is what has broken the connection, or why it was not made; nil while it is sound.
	Err() error
	// Unread is how many bytes Read could return at once. Unacked is how many were written that the peer's system has not
	// acknowledged; the end of this side's half is one of them.
	Unread() int
	Unacked() int
	LocalAddr() netip.AddrPort
	RemoteAddr() netip.AddrPort
	// SetOption sets one of a connection that stands: an error that is errors.ErrUnsupported says that there is none of
	// that name. The names and values are those of Option; no other value comes here by Conn.SetOption.
	SetOption(o Option, value int) error
	// Close gives the connection up: both halves end, what was written goes on its way, and what comes is dropped. Abort
	// does it by a reset. A second call of either, also after the other, changes nothing.
	Close()
	Abort()
}

// An Option is one of a [Stream].
type Option uint8

// The options.
const (
	NoDelay      Option = iota // 1: small pieces leave at once; 0: Nagle's algorithm
	KeepAlive                  // seconds of silence before the peer is asked; 0: it is never asked
	UserTimeout                // milliseconds; 0: the network's own time
	TrafficClass               // 0 to 255
	SendBuffer                 // bytes; more than the network has is as much as it has
	RecvBuffer                 // likewise
)

// String is the option's name, as that of sock.Options has it.
func (o Option) String() string {
	names := [...]string{"nodelay", "keepalive", "usertimeout", "trafficclass", "sndbuf", "rcvbuf"}
	if int(o) >= len(names) {
		return fmt.Sprintf("%d", uint8(o))
	}
	return names[o]
}

// A Backlog is connections that wait to be accepted.
type Backlog interface {
	Notify(f func(Ready))
	// Accept is the next connection; ErrWouldBlock when none waits.
	Accept() (Stream, error)
	Addr() netip.AddrPort
	// Close listens no more, and resets what nobody has accepted. A second call changes nothing.
	Close()
}

// Datagrams is a socket for datagrams.
type Datagrams interface {
	Notify(f func(Ready))
	// Receive fills in a datagram: N, Peer, Truncated, and Local as [sock.Batch.RecvLocal] does. An error but
	// ErrWouldBlock is a refusal: why what was sent to d.Peer did not arrive.
	Receive(d *sock.Datagram) error
	// Send sends d.Data to d.Peer, from d.Local if that is an address. ErrWouldBlock is none of its errors: what there is
	// no room for is lost.
	Send(d *sock.Datagram) error
	Addr() netip.AddrPort
	// Close gives the port back. A second call changes nothing.
	Close()
}

// networkName is the name of the driver of a loop that stands on a Network.
const networkName = "virtual"

var errNoDescriptor = fmt.Errorf("loop: a connection of a Network has no descriptor: %w", errors.ErrUnsupported)

// systemOf is the system that options ask for.
func systemOf(o *Options) system {
	if o.Network == nil {
		return kernel{}
	}
	return &virtualSystem{net: o.Network, ends: make(map[sock.Socket]any), last: sock.None}
}

// checkNetwork refuses what does not go together with a Network.
func (o *Options) checkNetwork() error {
	switch {
	case o.Network == nil && o.Driver == networkName:
		return fmt.Errorf("loop: Options.Driver is %q: that is what a loop with Options.Network has", networkName)
	case o.Network == nil:
		return nil
	case o.Driver != "" && o.Driver != "auto" && o.Driver != networkName:
		return fmt.Errorf("loop: Options.Driver is %q and Options.Network is set: a driver of the kernel's can't wait for it",
			o.Driver)
	case o.Spin > 0:
		return errors.New("loop: Options.Spin and Options.Network are both set: to spin takes the system's time")
	}
	return nil
}
