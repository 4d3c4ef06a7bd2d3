package uring

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// A Timespec is a time as the kernel takes it, with 64 bits on every system (struct __kernel_timespec).
type Timespec struct{ Sec, Nsec int64 }

// Set writes a duration, or as a point in time the duration since the clock's zero. Negative ones become 0.
func (t *Timespec) Set(d time.Duration) {
	d = max(d, 0)
	t.Sec, t.Nsec = int64(d/time.Second), int64(d%time.Second)
}

// An Iovec is one piece of a vector (struct iovec), to lie in memory that stays.
type Iovec struct{ base, len uintptr }

// Set makes it stand for b, which must be memory that stays as well.
func (v *Iovec) Set(b []byte) { v.base, v.len = uintptr(guardBytes(b)), uintptr(len(b)) }

func guardVector(v []Iovec) uint64 {
	p := unsafe.Pointer(unsafe.SliceData(v))
	guard(p, len(v)*int(unsafe.Sizeof(Iovec{})))
	return uint64(uintptr(p))
}

func guardInts(v []int32) uint64 {
	p := unsafe.Pointer(unsafe.SliceData(v))
	guard(p, 4*len(v))
	return uint64(uintptr(p))
}

// A Sockaddr is a socket address as the kernel reads and writes it (struct sockaddr_storage, as far as IPv4, IPv6 and
// Unix sockets use it). It must lie in memory that stays: [Alloc], [Ring.Sockaddr].
type Sockaddr struct {
	raw [sockaddrRoom]byte
	Len uint32 // bytes used
	_   uint32
}

const sockaddrRoom = 112

func (s *Sockaddr) lenAddr() uint64 { return uint64(uintptr(unsafe.Pointer(&s.Len))) }

// Family is AF_INET, AF_INET6 or AF_UNIX; 0 (AF_UNSPEC) if there is no address.
func (s *Sockaddr) Family() int {
	if s.Len < 2 {
		return 0
	}
	return int(binary.NativeEndian.Uint16(s.raw[:]))
}

// SetAddrPort writes an internet address (ip(7), ipv6(7)). A zone is a number or an interface's name; one that is
// neither is an error. An IPv4 address in IPv6 clothes stays IPv6.
func (s *Sockaddr) SetAddrPort(a netip.AddrPort) error {
	s.raw, s.Len = [sockaddrRoom]byte{}, 0
	switch ip := a.Addr(); {
	case ip.Is4():
		binary.NativeEndian.PutUint16(s.raw[:], unix.AF_INET)
		binary.BigEndian.PutUint16(s.raw[2:], a.Port())
		b := ip.As4()
		copy(s.raw[4:], b[:])
		s.Len = 16
	case ip.Is6():
		binary.NativeEndian.PutUint16(s.raw[:], unix.AF_INET6)
		binary.BigEndian.PutUint16(s.raw[2:], a.Port())
		b := ip.As16()
		copy(s.raw[8:], b[:])
		if zone := ip.Zone(); zone != "" {
			n, err := strconv.ParseUint(zone, 10, 32)
			if err != nil {
				ifi, err := net.InterfaceByName(zone)
				if err != nil {
					return &Error{Op: "take the address " + a.String(), Err: err, Hint: "its zone is no interface here"}
				}
				n = uint64(ifi.Index)
			}
			binary.NativeEndian.PutUint32(s.raw[24:], uint32(n))
		}
		s.Len = 28
	default:
		return &Error{Op: "take the address " + a.String(), Err: unix.EAFNOSUPPORT, Hint: "it is no IP address"}
	}
	return nil
}

// SetUnix writes a path, or with a leading "@" an abstract name (unix(7)), of at most 107 bytes.
func (s *Sockaddr) SetUnix(path string) error {
	s.raw, s.Len = [sockaddrRoom]byte{}, 0
	if len(path) > 107 {
		return &Error{Op: "take the address " + path, Err: unix.ENAMETOOLONG,
			Hint: "a Unix socket's path has at most 107 bytes"}
	}
	binary.NativeEndian.PutUint16(s.raw[:], unix.AF_UNIX)
	n := copy(s.raw[2:], path)
	s.Len = uint32(2 + n)
	switch {
	case n == 0:
	case path[0] == '@':
		s.raw[2] = 0
	default:
		s.Len++ // the closing zero
	}
	return nil
}

// AddrPort is the internet address; the zero value if it is none. A zone is given as a number, as
// the kernel has it, and an IPv4 address in IPv6 clothes as IPv6: for names and plain IPv4 see sock.AddrPortOf.
func (s *Sockaddr) AddrPort() netip.AddrPort { return addrPort(s.raw[:min(s.Len, sockaddrRoom)]) }

func addrPort(b []byte) netip.AddrPort {
	if len(b) < 2 {
		return netip.AddrPort{}
	}
	switch family := binary.NativeEndian.Uint16(b); {
	case family == unix.AF_INET && len(b) >= 8:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:])), binary.BigEndian.Uint16(b[2:]))
	case family == unix.AF_INET6 && len(b) >= 28:
		ip := netip.AddrFrom16([16]byte(b[8:]))
		if zone := binary.NativeEndian.Uint32(b[24:]); zone != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(zone), 10))
		}
		return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[2:]))
	}
	return netip.AddrPort{}
}

// Unix is the path or the name, as for SetUnix; "" if it is none.
func (s *Sockaddr) Unix() string {
	if s.Family() != unix.AF_UNIX {
		return ""
	}
	b := s.raw[2:min(s.Len, sockaddrRoom)]
	if len(b) > 0 && b[0] == 0 {
		return "@" + string(b[1:])
	}
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	return string(b)
}

// A Message is what sendmsg and recvmsg take (struct msghdr), with room of its own for an address and up to eight
// pieces. It must lie in memory that stays: [Alloc]. The zero value has no address, no pieces and no control messages.
type Message struct {
	header struct {
		name       uintptr
		nameLen    uint32
		vec        uintptr
		vecLen     uintptr
		control    uintptr
		controlLen uintptr
		flags      int32
	}
	vec  [messagePieces]Iovec
	name Sockaddr
}

const messagePieces = 8

func (m *Message) pointer() uint64 { return guardOf(m) }

// SetBuffers names the bytes to send, or the room to receive into. It panics on more than eight.
func (m *Message) SetBuffers(pieces ...[]byte) {
	for i, b := range pieces {
		m.vec[i].Set(b)
	}
	m.header.vec, m.header.vecLen = uintptr(unsafe.Pointer(&m.vec)), uintptr(len(pieces))
}

// SetVector names the bytes by a list of the caller's, which stays as long as they do.
func (m *Message) SetVector(list []Iovec) {
	m.header.vec, m.header.vecLen = uintptr(guardVector(list)), uintptr(len(list))
}

// Sockaddr is the message's own room for an address. To send to an address, set it and call UseAddress. To receive
// one, call UseAddress before each receive and look afterwards.
func (m *Message) Sockaddr() *Sockaddr { return &m.name }

// UseAddress makes the next send go to [Message.Sockaddr], or the next receive write the sender there. For
// RecvmsgMultishot it leaves room for an address in front of each message.
func (m *Message) UseAddress() {
	m.header.name, m.header.nameLen = uintptr(unsafe.Pointer(&m.name)), m.name.Len
	if m.name.Len == 0 {
		m.header.nameLen = sockaddrRoom
	}
}

// ReceiveAddress empties the room for the address, and uses it for the next receive.
func (m *Message) ReceiveAddress() {
	m.name.Len = 0
	m.UseAddress()
}

// Address is the sender's internet address after a receive, as [Sockaddr.AddrPort] gives it.
func (m *Message) Address() netip.AddrPort {
	return addrPort(m.name.raw[:min(m.header.nameLen, sockaddrRoom)])
}

// SetControl names control messages to send, or the room for those to receive (cmsg(3)).
func (m *Message) SetControl(b []byte) {
	m.header.control, m.header.controlLen = uintptr(guardBytes(b)), uintptr(len(b))
}

// ControlLen is how many bytes of control messages came.
func (m *Message) ControlLen() int { return int(m.header.controlLen) }

// Flags are MSG_TRUNC, MSG_CTRUNC and the like after a receive.
func (m *Message) Flags() int { return int(m.header.flags) }

// Received is one message of RecvmsgMultishot, in the provided buffer where the kernel put it: struct
// io_uring_recvmsg_out, the address, the control messages, the payload, each of the first two with the room that the
// Message gave it.
//
//	| 16 bytes: lengths, flags | room for the address | room for control messages | payload … |
type Received struct {
	Name, Control []byte
	Payload       []byte
	Flags         int // MSG_TRUNC (the payload did not fit), MSG_CTRUNC, …
	// NameLen, PayloadLen are the true lengths: greater than what is here if that was cut.
	NameLen, PayloadLen int
}

// From is the sender's internet address, as [Sockaddr.AddrPort] gives it.
func (r *Received) From() netip.AddrPort { return addrPort(r.Name) }

const recvmsgHead = 16

// ParseRecvmsg reads what RecvmsgMultishot with this Message put into a buffer: data are the Res bytes of the
// completion ([BufRing.Data]), and the parts of the result point into them. ok is false if they are not that: too
// short.
func (m *Message) ParseRecvmsg(data []byte) (r Received, ok bool) {
	nameRoom, controlRoom := 0, int(m.header.controlLen)
	if m.header.name != 0 {
		nameRoom = int(m.header.nameLen)
	}
	return parseRecvmsg(data, nameRoom, controlRoom)
}

func parseRecvmsg(data []byte, nameRoom, controlRoom int) (r Received, ok bool) {
	if nameRoom < 0 || controlRoom < 0 || len(data) < recvmsgHead || len(data)-recvmsgHead < nameRoom ||
		len(data)-recvmsgHead-nameRoom < controlRoom {
		return Received{}, false
	}
	nameLen := binary.NativeEndian.Uint32(data)
	controlLen := binary.NativeEndian.Uint32(data[4:])
	payloadLen := binary.NativeEndian.Uint32(data[8:])
	rest := data[recvmsgHead:]
	r = Received{
		Name:       rest[:min(int64(nameLen), int64(nameRoom))],
		NameLen:    int(nameLen),
		PayloadLen: int(payloadLen),
		Flags:      int(binary.NativeEndian.Uint32(data[12:])),
	}
	rest = rest[nameRoom:]
	r.Control = rest[:min(int64(controlLen), int64(controlRoom))]
	rest = rest[controlRoom:]
	r.Payload = rest[:min(int64(payloadLen), int64(len(rest)))]
	return r, true
}
