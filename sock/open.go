package sock

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// endpoint is an address as the kernel takes it: an IP address and port, or a path.
type endpoint struct {
	unix      bool
	datagrams bool
	ip        netip.AddrPort
	path      string
}

// abstract tells whether it is a name without a file (unix(7)).
func (e endpoint) abstract() bool { return e.unix && e.path != "" && e.path[0] == '@' }

// zoneless tells whether it is a link-local address of IPv6 without the zone that it needs (RFC 4007 section 6).
func (e endpoint) zoneless() error {
	ip := e.ip.Addr()
	if e.unix || !ip.Is6() || ip.Zone() != "" || !ip.IsLinkLocalUnicast() {
		return nil
	}
	return &AddrError{Addr: ip.String(),
		Problem: fmt.Sprintf("a link-local address is one of each interface: name that, as in [%s%%25eth0]", ip)}
}

// v6 tells whether the endpoint needs an IPv6 socket.
func (e endpoint) v6() bool { return !e.unix && e.ip.Addr().Is6() }

func (a Addr) endpoint() endpoint {
	if a.Scheme == "unix" {
		return endpoint{unix: true, path: a.Path}
	}
	ip, _ := a.AddrPort() // the caller resolved it
	return endpoint{datagrams: a.Scheme == "udp", ip: ip}
}

// checked is the address held to ParseAddr's rules again, for those that were put together by hand.
func (a Addr) checked(op string) (Addr, error) {
	c, err := ParseAddr(a.String())
	if err == nil && a.Scheme == "unix" && (a.Host != "" || a.Port != 0) || err == nil && a.Scheme != "unix" &&
		a.Path != "" {
		err = &AddrError{Addr: a.String(), Problem: "a unix address has a path alone, and the others have none"}
	}
	if err != nil {
		return a, &Error{Op: op, Addr: a.String(), Err: err}
	}
	return c, nil
}

// Listen makes a socket that listens (tcp, unix) or is bound (udp). An error leaves neither a descriptor nor
// a file behind; it is an [*Error] that names the address.
//
// An empty host is all addresses, IPv4 and IPv6 over one socket where the system has that (not OpenBSD:
// IPv4), and IPv4 alone where there is no IPv6. A name is resolved first, which may wait for the resolver,
// and the first of its addresses that this machine has is taken.
//
// A port in use is always an error, unless all who listen on it asked for ReusePort. SO_REUSEADDR is set on
// tcp sockets, so that a server that starts again is not held up by its old connections in TIME-WAIT; not on
// udp sockets, which have no such state, and where Linux would let two programs have the same port and give
// all to one of them. Windows has SO_EXCLUSIVEADDRUSE in its place, since SO_REUSEADDR there lets any program
// steal the port.
//
// A unix socket's file that is there already is replaced if it is a socket on which nobody answers
// (ECONNREFUSED), left behind by a program that died. One that answers, and any other file, is never touched.
// Two servers that start at once do not take each other's file: they hold a lock (flock) on the directory
// meanwhile, where the system and the directory's permissions allow it. Nobody but the caller removes the
// file at the end: see [FileOf].
func Listen(a Addr, o Options) (Socket, error) {
	a, err := a.checked("listen")
	if err != nil {
		return None, err
	}
	if err := o.Check(a); err != nil {
		return None, &Error{Op: "listen", Addr: a.String(), Err: err}
	}
	if o.Backlog > 0 {
		if most := somaxconn(); most > 0 && o.Backlog > most {
			err := &OptionError{"backlog",
				fmt.Sprintf("the system holds at most %d waiting connections: ask for fewer, or raise %s", most, somaxconnName),
				nil}
			return None, &Error{Op: "listen", Addr: a.String(), Err: err}
		}
	}
	if a.Scheme == "unix" {
		s, err := listenUnix(a.endpoint(), o)
		return s, dress("listen", a, err)
	}
	return overAddrs("listen", a, func(e endpoint) (Socket, error) {
		if a.Host == "" && o.V6Only != Yes {
			return onAll(e, func(e endpoint) (Socket, error) { return listenIP(e, o) })
		}
		return listenIP(e, o)
	})
}

// onAll listens on all addresses: on those of IPv6, which are those of IPv4 too, and where that cannot be, on
// those of IPv4.
func onAll(e endpoint, try func(endpoint) (Socket, error)) (Socket, error) {
	if system.dualStack {
		s, err := try(e)
		if err == nil || !absent(err) {
			return s, err
		}
	}
	e.ip = netip.AddrPortFrom(netip.IPv4Unspecified(), e.ip.Port())
	return try(e)
}

// overAddrs tries the addresses behind a, until one is not of a family or network that the machine lacks.
func overAddrs(op string, a Addr, try func(endpoint) (Socket, error)) (Socket, error) {
	addrs, err := a.Resolve(context.Background())
	if err != nil {
		return None, &Error{Op: op, Addr: a.String(), Err: errors.Unwrap(err), Hint: "the name could not be resolved"}
	}
	s, err := firstOf(addrs, try)
	return s, dress(op, a, err)
}

func firstOf(addrs []Addr, try func(endpoint) (Socket, error)) (s Socket, err error) {
	for _, one := range addrs {
		if s, err = try(one.endpoint()); err == nil || !absent(err) {
			return s, err
		}
	}
	return None, err
}

// absent tells whether an error means that the machine has no such address, family or network.
func absent(err error) bool {
	return errors.Is(err, errNoFamily) || errors.Is(err, errNotAvail) || errors.Is(err, errNetUnreach)
}

func listenIP(e endpoint, o Options) (s Socket, err error) {
	if err := e.zoneless(); err != nil {
		return None, err
	}
	s, err = sysSocket(e)
	if err != nil {
		return None, &Error{Call: "socket", Err: err}
	}
	defer func() {
		if err != nil {
			_ = s.Close() // the first error is the one to tell
			s = None
		}
	}()
	if err := o.beforeBind(s, e); err != nil {
		return s, err
	}
	if err := sysBind(s, e); err != nil {
		return s, &Error{Call: "bind", Err: err}
	}
	if e.datagrams {
		return s, nil
	}
	if err := o.onStream(s); err != nil {
		return s, err
	}
	if err := o.onListener(s); err != nil {
		return s, err
	}
	if err := sysListen(s, o.backlog()); err != nil {
		return s, &Error{Call: "listen", Err: err}
	}
	return s, nil
}

// backlog is what listen(2) is given.
func (o Options) backlog() int {
	if o.Backlog > 0 {
		return o.Backlog
	}
	if n := somaxconn(); n > 0 {
		return n
	}
	return 128 // what every system has had since 4.2BSD's 5 was found too small
}

// beforeBind sets what has an effect only before bind, or on the window that tcp offers in its handshake.
func (o Options) beforeBind(s Socket, e endpoint) error {
	if !e.unix && !e.datagrams {
		if err := sysOwnPort(s); err != nil {
			return &Error{Op: "own the port", Call: "setsockopt", Err: err}
		}
	}
	if o.ReusePort {
		if err := s.SetReusePort(true); err != nil {
			return err
		}
	}
	if e.v6() {
		only := o.V6Only == Yes
		if only || e.ip.Addr().IsUnspecified() && system.dualStack {
			if err := s.SetV6Only(only); err != nil {
				return err
			}
		}
	}
	return o.buffers(s)
}

func (o Options) buffers(s Socket) error {
	if o.RecvBuffer > 0 {
		if err := s.SetRecvBuffer(o.RecvBuffer); err != nil {
			return err
		}
	}
	if o.SendBuffer > 0 {
		return s.SetSendBuffer(o.SendBuffer)
	}
	return nil
}

// onStream sets the options of tcp connections, on a listener for those that it will accept.
func (o Options) onStream(s Socket) error {
	if err := s.SetNoDelay(!o.Delay); err != nil {
		return err
	}
	if err := s.SetKeepAlive(o.KeepAlive); err != nil {
		return err
	}
	if o.Linger != 0 {
		if err := s.SetLinger(o.Linger); err != nil {
			return err
		}
	}
	if o.UserTimeout != 0 {
		return s.SetUserTimeout(o.UserTimeout)
	}
	return nil
}

func (o Options) onListener(s Socket) error {
	if o.DeferAccept != 0 {
		if err := s.SetDeferAccept(o.DeferAccept); err != nil {
			return err
		}
	}
	if o.FastOpen != 0 {
		return s.SetFastOpen(o.FastOpen)
	}
	return nil
}

// Inherit gives an accepted socket the options of its listener, which a and o are those of. On Linux the
// kernel has done so already and this does nothing; elsewhere it sets them, since which ones are inherited
// differs.
func (s Socket) Inherit(a Addr, o Options) error {
	if system.inherits || a.Scheme != "tcp" {
		return nil
	}
	if err := o.buffers(s); err != nil {
		return err
	}
	return o.onStream(s)
}

// Connect starts to connect. When connected is false and err nil, the connection is on its way: wait until
// the socket is writable and ask [Socket.ConnectError]. Udp sockets (which then send to and receive from this
// peer alone) and unix sockets are connected at once or not at all; a unix listener whose backlog is full is
// EAGAIN, and the caller may try again later.
//
// An empty host is this machine (127.0.0.1). A name is resolved first, which may wait for the resolver: in an
// event loop, [Addr.Resolve] before. Then the first address whose family and network this machine has is
// tried.
func Connect(a Addr, o Options) (s Socket, connected bool, err error) {
	if a, err = a.checked("connect"); err != nil {
		return None, false, err
	}
	if err = o.Check(a); err == nil {
		err = o.checkConnect()
	}
	if err == nil && a.Scheme != "unix" && a.Port == 0 {
		err = &AddrError{Addr: a.String(), Problem: "port 0 is none to connect to"}
	}
	if err != nil {
		return None, false, &Error{Op: "connect", Addr: a.String(), Err: err}
	}
	s, err = overAddrs("connect", a, func(e endpoint) (s Socket, err error) {
		if a.Scheme != "unix" && a.Host == "" {
			e.ip = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), e.ip.Port())
		}
		s, connected, err = connectTo(e, o)
		return s, err
	})
	return s, connected, err
}

func connectTo(e endpoint, o Options) (s Socket, connected bool, err error) {
	if err := e.zoneless(); err != nil {
		return None, false, err
	}
	s, err = sysSocket(e)
	if err != nil {
		return None, false, &Error{Call: "socket", Err: err}
	}
	defer func() {
		if err != nil {
			_ = s.Close() // the first error is the one to tell
			s, connected = None, false
		}
	}()
	if err := o.buffers(s); err != nil {
		return s, false, err
	}
	if !e.unix && !e.datagrams {
		if err := o.onStream(s); err != nil {
			return s, false, err
		}
	}
	if connected, err = sysConnect(s, e); err != nil {
		return s, false, &Error{Call: "connect", Err: err}
	}
	return s, connected, nil
}

// ConnectError is how a connect ended: nil when the socket is connected, and otherwise an [*Error] that
// errors.Is can look into (ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH...). Ask it when the socket has become
// writable. Asked earlier it is EINPROGRESS. It takes the error off the socket (SO_ERROR), so a second call
// does not see it.
func (s Socket) ConnectError() error {
	err := sysError(s)
	if err == nil {
		var peer, own name
		if peer, err = sysName(s, true); err == nil && !peer.unix {
			// Connecting to a port of the ephemeral range on this machine on which nobody listens, a socket
			// can be given that very port for its own and meet itself (a simultaneous open, RFC 9293 section
			// 3.5). Nobody wants that; it is a connection refused.
			if own, err = sysName(s, false); err == nil && own == peer {
				err = errRefused
			}
		} else if errors.Is(err, errNotConn) {
			err = errInProgress
		}
	}
	if err != nil {
		return &Error{Op: "connect", Err: err}
	}
	return nil
}

// name is what getsockname and getpeername tell.
type name struct {
	unix bool
	v6   bool // an IPv6 socket, also where ip is IPv4
	ip   netip.AddrPort
	path string
}

// dress puts operation, address and advice on an error of one of the steps.
func dress(op string, a Addr, err error) error {
	if err == nil {
		return nil
	}
	e, ok := err.(*Error)
	if !ok || e.Op != "" {
		e = &Error{Err: err}
	}
	e.Op, e.Addr = op, a.String()
	if e.Hint == "" {
		e.Hint = hint(op, a, e.Err)
	}
	return e
}

// hint is what to do about the errors that people meet.
func hint(op string, a Addr, err error) string {
	switch {
	case errors.Is(err, errInUse) && a.Scheme == "unix":
		return "another program listens there: stop it, or take another path"
	case errors.Is(err, errInUse):
		return "another program has it: stop that one, or take another port; port 0 takes a free one"
	case errors.Is(err, errAccess) && a.Scheme == "unix":
		return "no permission on the file or its directory: take another path, or another user"
	case errors.Is(err, errAccess) && op == "listen" && a.Port > 0 && a.Port < 1024:
		return "ports below 1024 need root or CAP_NET_BIND_SERVICE: take one above"
	case errors.Is(err, errNotAvail) && op == "listen":
		return "this machine has no such address: take one of its own, or leave the host out for all"
	case errors.Is(err, errNoFamily):
		return "this system does not have that address family"
	case errors.Is(err, errNotExist) && a.Scheme == "unix" && op == "listen":
		return "the directory does not exist: make it first"
	case errors.Is(err, errNotExist) && a.Scheme == "unix":
		return "there is no such file: is the server up?"
	case errors.Is(err, errNotDir) && a.Scheme == "unix":
		return "a part of the path before the last is no directory"
	case errors.Is(err, errReadOnly) && a.Scheme == "unix":
		return "that file system is read-only: take another path"
	case errors.Is(err, ErrWouldBlock) && a.Scheme == "unix":
		return "the server's backlog is full: it does not accept as fast as clients come"
	case errors.Is(err, errRefused):
		return "nobody listens there"
	case Exhausted(err):
		return "raise the limit of open files (ulimit -n), or close some"
	}
	return ""
}
