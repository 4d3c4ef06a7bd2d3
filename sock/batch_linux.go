package sock

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sysBatch keeps the arrays of recvmmsg and sendmmsg. What in them never changes (each header's iovec and
// room for a name) is set once; the pointers to the caller's bytes are set for each call and cleared after
// it, so that the batch keeps nobody's buffer alive. The kernel uses all of it only until the call returns.
type sysBatch struct {
	headers []unix.Mmsghdr
	vectors []unix.Iovec
	names   []unix.RawSockaddrInet6 // the larger of the two: an IPv4 name takes its first 16 bytes
	locals  []localControl          // made when the first is needed
}

func (b *sysBatch) init(n int) {
	b.headers = make([]unix.Mmsghdr, n)
	b.vectors = make([]unix.Iovec, n)
	b.names = make([]unix.RawSockaddrInet6, n)
	for i := range b.headers {
		h := &b.headers[i].Hdr
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
	}
}

func (b *sysBatch) point(ds []Datagram) {
	for i := range ds {
		b.vectors[i].Base = unsafe.SliceData(ds[i].Data)
		b.vectors[i].SetLen(len(ds[i].Data))
	}
}

// recvTries is how often recv asks again when an ICMP error came in place of datagrams. Each is taken off the
// socket by being told, so one more try is enough unless more come in meanwhile.
const recvTries = 8

func (b *sysBatch) recv(s Socket, ds []Datagram) (int, error) { return b.receive(s, ds, false) }

// recvLocal leaves the headers without room for control data, as it found them.
func (b *sysBatch) recvLocal(s Socket, ds []Datagram) (n int, err error) {
	b.makeLocals()
	n, err = b.receive(s, ds, true)
	for i := range ds[:n] {
		ds[i].Local = localOf(b.locals[i].bytes(int(b.headers[i].Hdr.Controllen)))
	}
	b.clearLocals(len(ds))
	return n, err
}

func (b *sysBatch) receive(s Socket, ds []Datagram, locals bool) (int, error) {
	if len(ds) == 0 {
		return 0, nil
	}
	ds = ds[:min(len(ds), len(b.headers))]
	b.point(ds)
	defer clear(b.vectors[:len(ds)])
	for range recvTries {
		for i := range ds {
			b.headers[i].Hdr.Namelen = unix.SizeofSockaddrInet6
			b.headers[i].Hdr.Flags = 0
			if locals {
				b.setControl(i, len(b.locals[i])*8)
			}
		}
		n, e := b.call(unix.SYS_RECVMMSG, s, 0, len(ds), unix.MSG_DONTWAIT)
		switch {
		case e == 0:
			for i := range ds[:n] {
				h := &b.headers[i]
				ds[i].N = int(h.Len)
				ds[i].Peer = peerOf(&b.names[i], h.Hdr.Namelen)
				ds[i].Truncated = h.Hdr.Flags&unix.MSG_TRUNC != 0
			}
			return n, nil
		case e != unix.EINTR && !isICMP(e):
			return 0, errnoOf(e)
		}
	}
	return 0, ErrWouldBlock // the selector will say again that there is something
}

// sendTries is how often send offers a datagram that failed with what an ICMP error looks like. An earlier
// datagram's refusal is told by whatever call comes next, which then does nothing else: nothing was sent, and
// the second try finds the socket clean. If it fails again, the error is its own.
const sendTries = 3

func (b *sysBatch) send(s Socket, ds []Datagram) (sent int, err error) {
	for sent < len(ds) {
		part := ds[sent:min(len(ds), sent+len(b.headers))]
		n, err := b.sendPart(s, part)
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

func (b *sysBatch) sendPart(s Socket, ds []Datagram) (sent int, err error) {
	b.point(ds)
	defer clear(b.vectors[:len(ds)])
	located := false
	for i := range ds {
		b.headers[i].Hdr.Namelen = putName(&b.names[i], ds[i].Peer)
		b.headers[i].Hdr.Flags = 0
		if local := ds[i].Local; local.IsValid() && !local.IsUnspecified() {
			located = true
			b.makeLocals()
			b.setControl(i, putLocal(&b.locals[i], local, ds[i].Peer.Addr()))
		}
	}
	if located {
		defer b.clearLocals(len(ds))
	}
	for tries := 0; sent < len(ds); {
		// sendmmsg tells an error only if it is the first datagram's; otherwise it returns how many were sent
		// before, and the next round tells.
		n, e := b.call(unix.SYS_SENDMMSG, s, sent, len(ds), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case e == 0:
			sent += n
			tries = 0
		case e == unix.EINTR:
		case isICMP(e) && tries < sendTries-1:
			tries++
		default:
			return sent, errnoOf(e)
		}
	}
	return sent, nil
}

// call is raw for the reason that io_linux.go gives.
func (b *sysBatch) call(number uintptr, s Socket, from, to int, flags uintptr) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall6(number, uintptr(s), uintptr(unsafe.Pointer(&b.headers[from])), uintptr(to-from), flags, 0,
		0)
	return int(n), e
}

// isICMP tells whether an errno is one of those that the kernel makes of ICMP and ICMPv6 errors
// (icmp_err_convert in net/ipv4/icmp.c, icmpv6_err_convert in net/ipv6/icmp.c).
func isICMP(e syscall.Errno) bool {
	switch e {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENOPROTOOPT,
		unix.EMSGSIZE, unix.EOPNOTSUPP, unix.ENONET, unix.EACCES, unix.EPROTO:
		return true
	}
	return false
}

// errnoOf makes an error of an errno; the everyday one is a constant, and not boxed each time.
func errnoOf(e syscall.Errno) error {
	if e == ErrWouldBlock {
		return ErrWouldBlock
	}
	return e
}

// putName writes a peer as the kernel takes it and returns its length, 0 for none. IPv4 goes as IPv4 to IPv6
// sockets too: Linux takes that (udpv6_sendmsg), and it spares us knowing which kind the socket is.
func putName(to *unix.RawSockaddrInet6, peer netip.AddrPort) uint32 {
	ip := peer.Addr().Unmap()
	switch {
	case !ip.IsValid():
		return 0
	case ip.Is4():
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(to))
		*v4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: ip.As4()}
		putPort(&v4.Port, peer.Port())
		return unix.SizeofSockaddrInet4
	default:
		*to = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: ip.As16()}
		putPort(&to.Port, peer.Port())
		if zone := ip.Zone(); zone != "" {
			to.Scope_id = zones.id(zone)
		}
		return unix.SizeofSockaddrInet6
	}
}

// peerOf reads a peer as the kernel wrote it; zero if it wrote none.
func peerOf(from *unix.RawSockaddrInet6, length uint32) netip.AddrPort {
	switch {
	case length >= unix.SizeofSockaddrInet4 && from.Family == unix.AF_INET:
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(from))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port(&v4.Port))
	case length >= unix.SizeofSockaddrInet6 && from.Family == unix.AF_INET6:
		return netip.AddrPortFrom(ipv6(from.Addr, from.Scope_id), port(&from.Port))
	}
	return netip.AddrPort{}
}

// AddrPortOf reads an internet address as the kernel writes it for recvmsg(2) (struct sockaddr_in, sockaddr_in6), in
// the form in which this package gives peers: an IPv4 address mapped into IPv6 as IPv4, a zone by the interface's
// name. It is for those who have the kernel receive in another way than by this package, and is there on Linux alone.
// The zero value: it is none.
func AddrPortOf(name []byte) netip.AddrPort {
	var from unix.RawSockaddrInet6
	n := copy(unsafe.Slice((*byte)(unsafe.Pointer(&from)), unix.SizeofSockaddrInet6), name)
	return peerOf(&from, uint32(n))
}

// The port is big endian in memory, whatever the machine is.

func putPort(to *uint16, v uint16) { binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(to))[:], v) }
func port(from *uint16) uint16     { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(from))[:]) }
