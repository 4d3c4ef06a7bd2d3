package sock

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sysRecvError reads the error queue (ip(7), IP_RECVERR; recv(2), MSG_ERRQUEUE). The name that comes with an
// entry is the peer that the datagram was sent to, the data is as much of it as the ICMP message quoted, and
// the control data says what happened. It asks by recvmmsg for one message, which unlike recvmsg has a number
// of its own on every architecture.
func sysRecvError(s Socket, buf []byte) (netip.AddrPort, int, error, bool) {
	for {
		var (
			from    unix.RawSockaddrInet6
			control [32]uint64 // aligned as a cmsghdr must be, and room for more than the two that can come
			vector  unix.Iovec
			header  unix.Mmsghdr
		)
		vector.Base = unsafe.SliceData(buf)
		vector.SetLen(len(buf))
		header.Hdr.Name = (*byte)(unsafe.Pointer(&from))
		header.Hdr.Namelen = unix.SizeofSockaddrInet6
		header.Hdr.Iov = &vector
		header.Hdr.SetIovlen(1)
		header.Hdr.Control = (*byte)(unsafe.Pointer(&control))
		header.Hdr.SetControllen(int(unsafe.Sizeof(control)))
		_, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s), uintptr(unsafe.Pointer(&header)), 1,
			unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT, 0, 0)
		switch {
		case e == unix.EINTR:
			continue
		case e != 0:
			return netip.AddrPort{}, 0, nil, false // EAGAIN: the queue is empty; others: it has no queue
		}
		got := unsafe.Slice((*byte)(unsafe.Pointer(&control)), int(header.Hdr.Controllen))
		cause := refusal(got)
		if cause == 0 {
			continue
		}
		return peerOf(&from, header.Hdr.Namelen), int(header.Len), cause, true
	}
}

// refusal finds the ICMP error in the control data; 0 if there is none. Entries of local origin are not
// passed on: those the call that sent has returned already.
func refusal(control []byte) syscall.Errno {
	for len(control) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		length := int(h.Len)
		if length < unix.SizeofCmsghdr || length > len(control) {
			return 0
		}
		data := control[unix.CmsgLen(0):length]
		if isRecvErr(h) && len(data) >= int(unsafe.Sizeof(unix.SockExtendedErr{})) {
			ee := (*unix.SockExtendedErr)(unsafe.Pointer(&data[0]))
			if ee.Origin == unix.SO_EE_ORIGIN_ICMP || ee.Origin == unix.SO_EE_ORIGIN_ICMP6 {
				return syscall.Errno(ee.Errno)
			}
		}
		control = control[min(unix.CmsgSpace(length-unix.CmsgLen(0)), len(control)):]
	}
	return 0
}

func isRecvErr(h *unix.Cmsghdr) bool {
	return h.Level == unix.IPPROTO_IP && h.Type == unix.IP_RECVERR ||
		h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_RECVERR
}
