package ip

import (
	"net/netip"
	"slices"
	"time"

	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/wire"
)

// A Datagram is one that has come to a Socket.
type Datagram struct {
	From, To netip.AddrPort // To: which of the host's addresses, or which group or broadcast
	TOS, TTL uint8
	Data     []byte // the reader's
}

// A Socket is a port of UDP (RFC 768). It belongs to its host, and to the host's goroutine.
type Socket struct {
	TTL   uint8 // of what is sent; 64 at 0
	TOS   uint8
	Whole bool // a datagram may not be cut: one that is longer than the path's MTU is ErrTooLong
	// Told says that Refusal is to tell what ICMP says of datagrams that a socket for everybody has sent (RFC 1122,
	// section 4.1.3.3).
	Told bool

	host   *Host
	local  netip.AddrPort
	remote netip.AddrPort
	i      *Interface // a DHCP client's, which may have no address
	lease  *Lease     // that client
	queue  []Datagram
	bytes  int
	err    error
	failed []Refusal
	ready  bool
	closed bool
}

// A Refusal says why a datagram did not arrive: ErrRefused, ErrUnreachable, ErrExpired, or ErrTooLong where it was
// Whole.
type Refusal struct {
	To  netip.AddrPort
	Err error
}

// sockets are those of a host: by their ports to find them.
type sockets struct {
	ports map[uint16][]*Socket
	n     int
	ready []*Socket
}

func (s *sockets) init() { s.ports = map[uint16][]*Socket{} }

// ListenUDP opens a socket at an address of this host, or at the unspecified address of a family, for all of that. A
// port of 0 is chosen (RFC 6056, algorithm 1).
func (h *Host) ListenUDP(local netip.AddrPort) (*Socket, error) {
	addr := local.Addr()
	switch {
	case !addr.IsValid() || addr.Is4In6() || !addr.IsUnspecified() && !h.mine(addr):
		return nil, ErrAddress
	case h.udp.n >= h.limits.Sockets:
		return nil, ErrLimit
	}
	port := local.Port()
	if port == 0 {
		const low, count = 32768, 28232
		start := h.random()
		for i := range uint64(count) {
			port = uint16(low + (start+i)%count)
			if len(h.udp.ports[port]) == 0 {
				break
			}
		}
	}
	for _, s := range h.udp.ports[port] {
		same := s.local.Addr() == addr || s.local.Addr().IsUnspecified() || addr.IsUnspecified()
		if same && s.local.Addr().Is4() == addr.Is4() {
			return nil, ErrInUse
		}
	}
	s := &Socket{host: h, local: netip.AddrPortFrom(addr, port)}
	h.udp.ports[port] = append(h.udp.ports[port], s)
	h.udp.n++
	return s, nil
}

// DialUDP opens a socket for one peer, from the address that Source chooses and a port by chance. What others send does
// not come to it, and what ICMP says of it is told by Read and Send.
func (h *Host) DialUDP(remote netip.AddrPort) (*Socket, error) {
	if remote.Port() == 0 {
		return nil, ErrAddress
	}
	src, err := h.Source(remote.Addr())
	if err != nil {
		return nil, err
	}
	s, err := h.ListenUDP(netip.AddrPortFrom(src, 0))
	if err == nil {
		s.remote = remote
	}
	return s, err
}

// ReadyUDP is a socket to which something has come since it was told of last; nil where there is none.
func (h *Host) ReadyUDP() *Socket {
	if len(h.udp.ready) == 0 {
		return nil
	}
	s := h.udp.ready[0]
	h.udp.ready = slices.Delete(h.udp.ready, 0, 1)
	s.ready = false
	return s
}

func (s *Socket) tell() {
	if !s.ready {
		s.ready = true
		s.host.udp.ready = append(s.host.udp.ready, s)
	}
}

// Local is the socket's own address, unspecified where it is for all.
func (s *Socket) Local() netip.AddrPort { return s.local }

// Remote is the peer's; the zero AddrPort where the socket is for everybody.
func (s *Socket) Remote() netip.AddrPort { return s.remote }

// Close gives the port back. What has not been read is gone.
func (s *Socket) Close() {
	if s.closed {
		return
	}
	h, port := s.host, s.local.Port()
	s.closed, s.queue, s.bytes, s.failed = true, nil, 0, nil
	is := func(o *Socket) bool { return o == s }
	h.udp.ready = slices.DeleteFunc(h.udp.ready, is)
	if h.udp.ports[port] = slices.DeleteFunc(h.udp.ports[port], is); len(h.udp.ports[port]) == 0 {
		delete(h.udp.ports, port)
	}
	h.udp.n--
}

// Refusal takes the oldest refusal of a socket that is Told. It is not ok where there is none.
func (s *Socket) Refusal() (r Refusal, ok bool) {
	if len(s.failed) == 0 {
		return r, false
	}
	r = s.failed[0]
	s.failed = slices.Delete(s.failed, 0, 1)
	return r, true
}

// failure is what ICMP has said, once.
func (s *Socket) failure() error {
	err := s.err
	s.err = nil
	if s.closed {
		err = ErrClosed
	}
	return err
}

// Read takes the oldest datagram. It is not ok where there is none. What ICMP has said about what was sent comes first,
// once; ok is false then.
func (s *Socket) Read() (d Datagram, ok bool, err error) {
	if err := s.failure(); err != nil || len(s.queue) == 0 {
		return d, false, err
	}
	d = s.queue[0]
	s.queue = slices.Delete(s.queue, 0, 1)
	s.bytes -= len(d.Data)
	return d, true, nil
}

// Send sends a datagram to the socket's peer. See SendTo for its errors, and Read for what ICMP has said.
func (s *Socket) Send(now time.Duration, b []byte) error {
	if err := s.failure(); err != nil {
		return err
	}
	if !s.remote.IsValid() {
		return ErrAddress
	}
	return s.send(now, s.local.Addr(), s.remote, b)
}

// SendTo sends a datagram. ErrTooLong: it is longer than IP carries, or Whole and longer than the path takes.
// ErrUnreachable: there is no route, or no address to send from. ErrAddress: the address is of another family, or the
// socket has a peer.
func (s *Socket) SendTo(now time.Duration, to netip.AddrPort, b []byte) error {
	switch {
	case s.closed:
		return ErrClosed
	case s.remote.IsValid() || to.Addr().Is4() != s.local.Addr().Is4() || to.Port() == 0:
		return ErrAddress
	}
	return s.send(now, s.local.Addr(), to, b)
}

// SendFrom is SendTo from an address of this host, for a socket that is for all of them. ErrAddress: this host does not
// have it, or the socket has another.
func (s *Socket) SendFrom(now time.Duration, src netip.Addr, to netip.AddrPort, b []byte) error {
	switch {
	case s.closed:
		return ErrClosed
	case s.remote.IsValid() || to.Addr().Is4() != s.local.Addr().Is4() || to.Port() == 0 ||
		src.Is4() != to.Addr().Is4() || !s.host.mine(src) || !s.local.Addr().IsUnspecified() && s.local.Addr() != src:
		return ErrAddress
	}
	return s.send(now, src, to, b)
}

func (s *Socket) send(now time.Duration, src netip.Addr, to netip.AddrPort, b []byte) error {
	h := s.host
	if src.IsUnspecified() {
		var err error
		if src, err = h.Source(to.Addr()); err != nil {
			return err
		}
	}
	u := wire.UDP{SrcPort: s.local.Port(), DstPort: to.Port(), Payload: b}
	data, err := u.Append(h.data[:0], src, to.Addr())
	if err != nil {
		return ErrTooLong
	}
	h.data = data
	ttl := s.TTL
	if to.Addr().IsMulticast() && ttl == 0 {
		ttl = 1 // RFC 1112, section 6.1
	}
	return h.output(now, &outgoing{src: src, dst: to.Addr(), protocol: wire.ProtoUDP, tos: s.TOS, ttl: ttl,
		whole: s.Whole, payload: data})
}

// find is the socket for a datagram: of those with the port, one for this peer before one for this address before one
// for all.
func (h *Host) find(i *Interface, local, remote netip.AddrPort) (best *Socket) {
	most := 0
	for _, s := range h.udp.ports[local.Port()] {
		score := 1
		switch {
		case s.local.Addr() == local.Addr():
			score += 2
		case !s.local.Addr().IsUnspecified() || s.local.Addr().Is4() != local.Addr().Is4():
			continue
		}
		if s.remote.IsValid() && s.remote != remote || s.i != nil && s.i != i {
			continue
		}
		if s.remote.IsValid() {
			score += 4
		}
		if score > most {
			best, most = s, score
		}
	}
	return best
}

func (h *Host) inputUDP(now time.Duration, p *incoming) {
	var u wire.UDP
	if u.Parse(p.payload) != nil || u.Verify(p.payload, p.src, p.dst) != nil {
		h.Dropped.Malformed++
		return
	}
	from, to := netip.AddrPortFrom(p.src, u.SrcPort), netip.AddrPortFrom(p.dst, u.DstPort)
	s := h.find(p.i, to, from)
	if s == nil {
		h.Dropped.Strange++
		h.complain(now, p, noPort, 0)
		return
	}
	if s.lease != nil {
		s.lease.input(now, u.Payload)
		return
	}
	if len(s.queue) >= h.limits.Datagrams || s.bytes+len(u.Payload) > h.limits.Bytes {
		h.Dropped.Sockets++
		return
	}
	s.bytes += len(u.Payload)
	s.queue = append(s.queue, Datagram{from, to, p.tos, p.ttl, slices.Clone(u.Payload)})
	s.tell()
}

// adviseUDP tells a socket what the network says about a datagram from local to remote. A socket for one peer is told
// by Read and Send; one for everybody by Refusal, if it is Told, as Linux has it (IP_RECVERR).
func (h *Host) adviseUDP(now time.Duration, local, remote netip.AddrPort, a tcp.Advice, mtu int) {
	s := h.find(nil, local, remote)
	if s == nil {
		h.Dropped.Advice++
		return
	}
	if a == tcp.TooBig {
		h.paths.learn(now, remote.Addr(), mtu)
		if !s.Whole {
			return // the next one is cut: nobody has to know
		}
	}
	switch err := failure(a); {
	case err == nil:
	case s.remote.IsValid():
		s.err = err
		s.tell()
	case !s.Told:
	case len(s.failed) >= h.limits.Refusals:
		h.Dropped.Sockets++
	default:
		s.failed = append(s.failed, Refusal{remote, err})
		s.tell()
	}
}
