package sock

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A localControl has room for the control data that tells to which address a datagram was sent, in both forms, which is
// what an IPv6 socket has for a datagram of IPv4, and for a time stamp, which a socket that was inherited may have on.
// It is of words, since a cmsghdr must be aligned.
type localControl [16]uint64

func (c *localControl) bytes(n int) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(c)), unsafe.Sizeof(*c))[:n]
}

func sysTellLocal(s Socket) error {
	n, err := sysName(s, false)
	if err == nil && n.v6 {
		err = unix.SetsockoptInt(s.FD(), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	// Of IPv4 datagrams an IPv6 socket then tells by IPV6_PKTINFO too, but not what to answer a broadcast from.
	if err == nil {
		err = unix.SetsockoptInt(s.FD(), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	if err != nil {
		return &Error{Op: "have local addresses told", Call: "setsockopt", Err: err}
	}
	return nil
}

func (b *sysBatch) makeLocals() {
	if b.locals == nil {
		b.locals = make([]localControl, len(b.headers))
	}
}

// setControl gives header i the first n bytes of its control data, or none.
func (b *sysBatch) setControl(i, n int) {
	b.headers[i].Hdr.Control = (*byte)(unsafe.Pointer(&b.locals[i]))
	b.headers[i].Hdr.SetControllen(n)
}

func (b *sysBatch) clearLocals(n int) {
	for i := range b.headers[:min(n, len(b.headers))] {
		b.headers[i].Hdr.Control = nil
		b.headers[i].Hdr.SetControllen(0)
	}
}

// LocalOf finds in the control data that recvmsg(2) gave to which address of this machine a datagram was sent, as
// [Batch.RecvLocal] gives it. It is for those who have the kernel receive in another way than by this package, and is
// there on Linux alone. The data must be aligned as a cmsghdr is (cmsg(3)).
func LocalOf(control []byte) netip.Addr { return localOf(control) }

// LocalControl is how much room for control data LocalOf needs, in bytes.
const LocalControl = int(unsafe.Sizeof(localControl{}))

// localOf: an IPv6 socket tells of an IPv4 datagram in both forms, and the second one knows more.
func localOf(control []byte) (local netip.Addr) {
	for len(control) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		length := int(h.Len)
		if length < unix.SizeofCmsghdr || length > len(control) {
			break
		}
		data := control[unix.CmsgLen(0):length]
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			return netip.AddrFrom4((*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0])).Spec_dst)
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			local = localOf6((*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0])))
		}
		control = control[min(unix.CmsgSpace(length-unix.CmsgLen(0)), len(control)):]
	}
	return local
}

func localOf6(info *unix.Inet6Pktinfo) netip.Addr {
	ip := netip.AddrFrom16(info.Addr).Unmap()
	switch {
	case ip.IsMulticast():
		return netip.IPv6Unspecified()
	case ip.IsLinkLocalUnicast() && ip.Is6():
		return ipv6(info.Addr, info.Ifindex)
	}
	return ip
}

// putLocal writes where a datagram to peer is to leave from, and returns how many bytes that is. For an address of the
// other family it writes what the kernel refuses: to an IPv6 peer IPv4 in IPv6's form, and to an IPv4 peer nothing, for
// there the kernel passes over what is IPv6's.
func putLocal(to *localControl, local, peer netip.Addr) int {
	local = local.Unmap()
	h := (*unix.Cmsghdr)(unsafe.Pointer(to))
	data := unsafe.Add(unsafe.Pointer(to), unix.CmsgLen(0))
	if peer.Unmap().Is4() {
		h.Level, h.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
		if !local.Is4() {
			h.SetLen(unix.CmsgLen(0))
			return unix.CmsgSpace(0)
		}
		h.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		*(*unix.Inet4Pktinfo)(data) = unix.Inet4Pktinfo{Spec_dst: local.As4()}
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	}
	h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	*(*unix.Inet6Pktinfo)(data) = unix.Inet6Pktinfo{Addr: local.As16(), Ifindex: zones.id(local.Zone())}
	return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
}
