package sock

import "net/netip"

// Datagram is one datagram of a [Batch].
type Datagram struct {
	// Data is the caller's. For Send it is what to send; for Recv the buffer to fill, of which the first N
	// bytes are valid after.
	Data []byte
	// N is how long the received datagram is, as far as it fitted into Data. Send does not look at it.
	N int
	// Peer is where the datagram came from or goes to. IPv4 peers of a dual-stack socket come out as plain
	// IPv4, and may be given so. For Send on a connected socket it may be the zero value.
	Peer netip.AddrPort
	// Local is the address of this machine that the datagram was sent to, or is to be sent from: see
	// [Batch.RecvLocal] and [Batch.Send].
	Local netip.Addr
	// Truncated says that the received datagram was longer than Data, and that its rest is lost.
	Truncated bool
}

// Batch sends and receives datagrams many at a time: on Linux in one system call (recvmmsg(2), sendmmsg(2)),
// elsewhere one by one. It holds the arrays that these calls need, so that they do not allocate, and may
// serve any number of udp sockets; one goroutine at a time may use it. It holds no bytes and no socket
// between calls.
type Batch struct{ sys sysBatch }

// MaxBatch is the most that the kernel takes in one call (UIO_MAXIOV).
const MaxBatch = 1024

// NewBatch makes a batch that takes up to most datagrams a call, 1 to MaxBatch (other numbers are brought
// into that range). It takes about 160 bytes for each, and 128 more once addresses of this machine are received or
// sent.
func NewBatch(most int) *Batch {
	b := new(Batch)
	b.sys.init(max(1, min(most, MaxBatch)))
	return b
}

// Recv receives what is there, at most len(ds) datagrams and at most the batch's own number, and returns how
// many of ds it filled. When none is there it returns ErrWouldBlock; with an error n is 0.
//
// ICMP errors about datagrams that were sent earlier are no errors of Recv: see [Socket.RecvError].
func (b *Batch) Recv(s Socket, ds []Datagram) (n int, err error) { return b.sys.recv(s, ds) }

// RecvLocal is Recv, and fills in Local as well, of sockets that tell it ([Socket.TellLocal]): an address that answers
// can be sent from, IPv4 as plain IPv4, and a link-local one with the interface's name for its zone. That is where the
// datagram was sent to; for one that was sent to an IPv4 broadcast or multicast address it is an address of this
// machine on the interface that it came by (RFC 1122 section 4.1.3.5; ip(7), ipi_spec_dst), and for an IPv6 multicast
// address "::", which leaves the choice to the system. The zero value: the socket does not tell.
func (b *Batch) RecvLocal(s Socket, ds []Datagram) (n int, err error) { return b.sys.recvLocal(s, ds) }

// Send sends the datagrams in order and returns how many were sent. When that is fewer than len(ds), err says
// why ds[n] was not, as a bare errno: ErrWouldBlock when the kernel's buffer is full (send the rest when the
// socket is writable), EMSGSIZE when it is too long, ENETUNREACH and the like when there is no way to its
// peer; the caller then goes on with ds[n+1:] or gives up. Of more datagrams than the batch's number it makes
// several calls.
//
// A datagram whose Local is an address (not the zero value, "0.0.0.0" or "::") leaves from there, with the socket's
// port. The error is EINVAL if its family is not that of Peer, and EINVAL or ENETUNREACH if this machine has no such
// address. Only Linux does that: elsewhere Local is not looked at, as RecvLocal has none to give.
//
// That a datagram was sent does not mean that it arrives. Refusals come later: see [Socket.RecvError].
func (b *Batch) Send(s Socket, ds []Datagram) (n int, err error) { return b.sys.send(s, ds) }

// TellLocal has a udp socket tell with each datagram to which address of this machine it was sent ([Batch.RecvLocal]).
// That is of use for a socket that is bound to all addresses, whose answers the system otherwise sends from an address
// of its own choice, and a peer that asked another one drops them (RFC 1122 section 4.1.3.5; ip(7), IP_PKTINFO; RFC
// 3542 section 6.1, IPV6_RECVPKTINFO). It is for Linux; elsewhere errors.Is finds [errors.ErrUnsupported].
func (s Socket) TellLocal() error { return sysTellLocal(s) }

// RecvError takes one entry off a udp socket's queue of errors: the datagram sent to peer came back refused,
// because of cause (ECONNREFUSED when no one has that port, EHOSTUNREACH, ENETUNREACH, EMSGSIZE of the
// path..., a bare errno), and the first n bytes of buf are as much of it as the network returned. ok is false
// when the queue is empty, and always on systems that do not tell (all but Linux; ip(7), IP_RECVERR). It does
// not allocate.
//
// A selector shows a socket with entries as readable, with an error, until they are all taken: so whoever
// reads a udp socket calls this until ok is false. The queue's memory counts against the receive buffer; what
// is over that the kernel drops.
func (s Socket) RecvError(buf []byte) (peer netip.AddrPort, n int, cause error, ok bool) {
	return sysRecvError(s, buf)
}
