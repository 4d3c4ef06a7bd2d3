package selector

import (
	"os"

	"golang.org/x/sys/windows"
)

// waker is what ends a wait from outside: a UDP socket on the loopback that is connected to itself, so
// that nobody else's datagrams reach it. Winsock's select takes sockets only.
type waker struct{ socket windows.Handle }

const fionbio = 0x8004667e // FIONBIO

func newWaker() (*waker, error) {
	h, err := windows.WSASocket(windows.AF_INET, windows.SOCK_DGRAM, windows.IPPROTO_UDP, nil, 0,
		windows.WSA_FLAG_OVERLAPPED|windows.WSA_FLAG_NO_HANDLE_INHERIT)
	if err != nil {
		return nil, os.NewSyscallError("wsasocket", err)
	}
	if err := toItself(h); err != nil {
		windows.Closesocket(h)
		return nil, err
	}
	return &waker{h}, nil
}

func toItself(h windows.Handle) error {
	if err := windows.Bind(h, &windows.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	self, err := windows.Getsockname(h)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	if err := windows.Connect(h, self); err != nil {
		return os.NewSyscallError("connect", err)
	}
	on := [4]byte{1}
	var n uint32
	err = windows.WSAIoctl(h, fionbio, &on[0], uint32(len(on)), nil, 0, &n, nil, 0)
	return os.NewSyscallError("wsaioctl", err)
}

func (w *waker) kick() error {
	b := [1]byte{}
	buf := windows.WSABuf{Len: 1, Buf: &b[0]}
	var sent uint32
	switch err := windows.WSASend(w.socket, &buf, 1, &sent, 0, nil, nil); err {
	case nil, windows.WSAEWOULDBLOCK: // full: kicked often enough
		return nil
	default:
		return os.NewSyscallError("wsasend", err)
	}
}

// drain takes all datagrams.
func (w *waker) drain() {
	for {
		b := [8]byte{}
		buf := windows.WSABuf{Len: uint32(len(b)), Buf: &b[0]}
		var n, flags uint32
		if windows.WSARecv(w.socket, &buf, 1, &n, &flags, nil, nil) != nil {
			return
		}
	}
}

func (w *waker) close() { windows.Closesocket(w.socket) }
