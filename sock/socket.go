package sock

import "net/netip"

// Socket is a socket's descriptor (on Windows its SOCKET), non-blocking and closed on exec from birth. It is
// a plain number: copying it copies nothing, and nothing closes it but Close and Abort.
//
// What a method does is written here once; the files by system (io_*.go, conn_*.go and so on) hold the system
// calls under it, named sysX for method X.
type Socket int

// None is no socket: what comes with an error.
const None Socket = -1

// FD is the descriptor's number, for a selector or for golang.org/x/sys.
func (s Socket) FD() int { return int(s) }

// Recv reads what is there into p, at most len(p) bytes. At the end of the stream (the peer closed its half)
// it returns 0, [io.EOF], unless p is empty. When nothing is there it returns ErrWouldBlock; any other error
// is the bare errno, as ECONNRESET. A call that a signal interrupted is repeated. It does not allocate, and
// keeps nothing of p.
//
// On a connected udp socket it reads one datagram and drops what does not fit, and an empty datagram looks
// like the end of a stream: [Batch] tells these apart.
func (s Socket) Recv(p []byte) (int, error) { return sysRecv(s, p) }

// Send writes as much of p as the kernel takes now, and returns how many bytes that was: fewer than len(p),
// with no error, when its buffer became full on the way; ErrWouldBlock when it took none. Other errors are
// the bare errno; EPIPE and ECONNRESET mean that the peer is gone (no SIGPIPE is raised). It does not
// allocate, and p is the caller's again when it returns.
func (s Socket) Send(p []byte) (int, error) { return sysSend(s, p) }

// SendV writes several pieces in one system call, as if they were one, and otherwise does as Send does. Empty
// pieces cost nothing; of more than MaxPieces pieces it takes the first ones, as if the kernel's buffer had
// been full behind them. It does not allocate on Linux.
func (s Socket) SendV(pieces [][]byte) (int, error) { return sysSendV(s, pieces) }

// MaxPieces is how many pieces SendV sends at most in one call (IOV_MAX, which is 1024 on all our systems).
const MaxPieces = 1024

// Accept takes the next connection of a listener; ErrWouldBlock when none waits. Other errors are the bare
// errno: see [Exhausted] and [Aborted]. On Linux the new socket has the listener's options (tcp(7)); for the
// other systems see [Socket.Inherit]. It does not allocate on Linux.
func (s Socket) Accept() (Socket, error) { return sysAccept(s) }

// Close gives the descriptor back, even when it returns an error (which then tells how the connection ended).
// What was sent goes on its way in the background. Never close twice: the number may be somebody else's by
// then.
func (s Socket) Close() error { return sysClose(s) }

// Abort closes and resets a tcp connection (RFC 9293 section 3.10.5): what was not sent yet is dropped, the
// peer sees ECONNRESET, and no TIME-WAIT is left behind. Other sockets are closed.
func (s Socket) Abort() error {
	_ = sysSetLinger(s, true, 0) // a socket that has no SO_LINGER is closed without
	return s.Close()
}

// CloseRead ends the receiving half: Recv returns io.EOF after what is there already. The peer is not told.
func (s Socket) CloseRead() error { return sysShutdown(s, true) }

// CloseWrite ends the sending half: the peer's Recv returns io.EOF after all that was sent (a FIN).
func (s Socket) CloseWrite() error { return sysShutdown(s, false) }

// Unread is how many bytes Recv could return at once; on a udp socket the size of the next datagram (on macOS
// and the BSDs of all).
func (s Socket) Unread() (int, error) { return sysUnread(s) }

// Unacked is how many sent bytes the peer's system has not acknowledged; ok is false where the system cannot
// tell. 0 after a CloseWrite means that all of it arrived at the peer's kernel, the end included; whether the
// peer's program read it is not known on tcp.
//
// Linux counts a FIN as one byte (SIOCOUTQ, tcp(7)), and on a unix socket counts the memory of what the peer
// did not read yet, which is more than the bytes, but 0 at the same moment. macOS: SO_NWRITE; FreeBSD and
// NetBSD: FIONWRITE; OpenBSD and Windows cannot tell.
func (s Socket) Unacked() (n int, ok bool) { return sysUnacked(s) }

// HungUp looks whether both halves of a connection are closed or it is broken, and whether the system keeps an error of
// it, which ConnectError takes (POLLHUP and POLLERR of poll(2)). On Windows, which does not tell, both are false.
func (s Socket) HungUp() (up, failed bool) { return sysHungUp(s) }

// LocalAddr is the address that the socket is bound to; the scheme is by its family and type.
func (s Socket) LocalAddr() (Addr, error) { return s.addr("local address", false) }

// RemoteAddr is the peer's address. An unnamed unix peer, as any client is, has an empty path.
func (s Socket) RemoteAddr() (Addr, error) { return s.addr("remote address", true) }

func (s Socket) addr(op string, peer bool) (Addr, error) {
	n, err := sysName(s, peer)
	if err != nil {
		return Addr{}, &Error{Op: op, Call: nameCall(peer), Err: err}
	}
	if n.unix {
		return Addr{Scheme: "unix", Path: n.path}, nil
	}
	datagrams, err := sysIsDatagram(s)
	if err != nil {
		return Addr{}, &Error{Op: op, Call: "getsockopt", Err: err}
	}
	scheme := "tcp"
	if datagrams {
		scheme = "udp"
	}
	return FromAddrPort(scheme, n.ip), nil
}

// LocalAddrPort is the address of a tcp or udp socket; IPv4 behind a dual-stack socket is plain IPv4. The
// error of a unix socket is EAFNOSUPPORT.
func (s Socket) LocalAddrPort() (netip.AddrPort, error) { return s.addrPort("local address", false) }

// RemoteAddrPort is the same for the peer.
func (s Socket) RemoteAddrPort() (netip.AddrPort, error) { return s.addrPort("remote address", true) }

func (s Socket) addrPort(op string, peer bool) (netip.AddrPort, error) {
	n, err := sysName(s, peer)
	if err == nil && n.unix {
		err = errNoFamily
	}
	if err != nil {
		return netip.AddrPort{}, &Error{Op: op, Call: nameCall(peer), Err: err}
	}
	return n.ip, nil
}

func nameCall(peer bool) string {
	if peer {
		return "getpeername"
	}
	return "getsockname"
}

// Dup is another descriptor of the same socket, closed on exec. What is set on one is set on both, and the connection
// lasts until both are closed. Not on Windows.
func (s Socket) Dup() (Socket, error) { return sysDup(s) }

// Pair makes two unix stream sockets that are connected to each other (socketpair(2)). Windows has none, and
// gets two ends of a tcp connection over the loopback.
func Pair() ([2]Socket, error) { return sysPair() }

// BreakOff ends both directions of a connection and keeps the descriptor, which Close gives back later. On Linux a tcp
// connection is reset (RFC 9293 section 3.10.5, by connect(2) with AF_UNSPEC), and a datagram socket takes nothing any
// more: who asks its port is answered that nobody has it. Elsewhere, and on other sockets, the peer
// reads the end of the stream, and its Sends fail. Whoever waits on the descriptor, by any call, is woken. Any
// goroutine may call it beside the socket's other methods but Close and Abort.
func (s Socket) BreakOff() error { return sysBreakOff(s) }

// Detach gives the socket up as Close does and keeps the number, which Close gives back later: a socket that is
// connected to nothing stands there until then (dup2(2)), and whatever is called on it fails. So it is for who can't
// know whether another goroutine is about to use the number, which may call any method meanwhile but Close and Abort.
// What the kernel is about to do on the socket (an operation of an io_uring) keeps it open until that has ended. Not on
// Windows.
func (s Socket) Detach() error { return sysDetach(s) }
