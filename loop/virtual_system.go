package loop

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"

	"github.com/plexor-go/plexor/sock"
)

// A virtualSystem is a [Network] as a system. What is a descriptor elsewhere is a number of its own here, which is none
// of the kernel's: below sock.None, so that a call of the kernel's with it fails. It names a Stream, a Backlog or a
// Datagrams until it is closed, and is never used again.
type virtualSystem struct {
	net Network

	mu   sync.Mutex
	ends map[sock.Socket]any
	last sock.Socket // that was given, from sock.None on downwards
}

func (v *virtualSystem) network() *virtualSystem { return v }

func (v *virtualSystem) put(end any) sock.Socket {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last--
	v.ends[v.last] = end
	return v.last
}

func (v *virtualSystem) of(s sock.Socket) any {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ends[s]
}

func (v *virtualSystem) take(s sock.Socket) any {
	v.mu.Lock()
	defer v.mu.Unlock()
	end := v.ends[s]
	delete(v.ends, s)
	return end
}

func (v *virtualSystem) stream(s sock.Socket) Stream       { e, _ := v.of(s).(Stream); return e }
func (v *virtualSystem) backlog(s sock.Socket) Backlog     { e, _ := v.of(s).(Backlog); return e }
func (v *virtualSystem) datagrams(s sock.Socket) Datagrams { e, _ := v.of(s).(Datagrams); return e }

// failed wraps as the kernel's calls do.
func failed(op string, a sock.Addr, err error) error {
	return &sock.Error{Op: op, Addr: a.String(), Err: err}
}

var errNoUnix = fmt.Errorf("a Network has no unix sockets: %w", errors.ErrUnsupported)

func (v *virtualSystem) listen(a sock.Addr, o sock.Options) (sock.Socket, error) {
	if err := o.Check(a); err != nil {
		return sock.None, failed("listen", a, err)
	}
	var end any
	var err error
	switch a.Scheme {
	case "tcp":
		end, err = v.net.Listen(a, o)
	case "udp":
		end, err = v.net.Bind(a, o)
	default:
		err = errNoUnix
	}
	if err != nil {
		return sock.None, failed("listen", a, err)
	}
	return v.put(end), nil
}

func (v *virtualSystem) connect(a sock.Addr, o sock.Options) (sock.Socket, error) {
	err := o.Check(a)
	if err == nil && a.Scheme != "tcp" {
		err = errNoUnix
	}
	if err != nil {
		return sock.None, failed("connect", a, err)
	}
	e, err := v.net.Dial(a, o)
	if err != nil {
		return sock.None, failed("connect", a, err)
	}
	return v.put(e), nil
}

func (v *virtualSystem) accept(s sock.Socket) (sock.Socket, error) {
	b := v.backlog(s)
	if b == nil {
		return sock.None, syscall.EBADF
	}
	e, err := b.Accept()
	if err != nil {
		return sock.None, err
	}
	return v.put(e), nil
}

// inherit has nothing to do: the network gives what it accepts its listener's options.
func (v *virtualSystem) inherit(sock.Socket, sock.Addr, sock.Options) error { return nil }

func (v *virtualSystem) fileOf(sock.Socket) (sock.File, error) { return sock.File{}, nil }
func (v *virtualSystem) tellLocal(sock.Socket) error           { return nil }

func (v *virtualSystem) localAddr(s sock.Socket) (sock.Addr, error) {
	switch e := v.of(s).(type) {
	case Stream:
		return sock.FromAddrPort("tcp", e.LocalAddr()), nil
	case Backlog:
		return sock.FromAddrPort("tcp", e.Addr()), nil
	case Datagrams:
		return sock.FromAddrPort("udp", e.Addr()), nil
	}
	return sock.Addr{}, &sock.Error{Op: "local address", Err: syscall.EBADF}
}

func (v *virtualSystem) remoteAddr(s sock.Socket) (sock.Addr, error) {
	ap, err := v.peer(s)
	if err != nil {
		return sock.Addr{}, err
	}
	return sock.FromAddrPort("tcp", ap), nil
}

func (v *virtualSystem) peer(s sock.Socket) (netip.AddrPort, error) {
	e := v.stream(s)
	switch {
	case e == nil:
		return netip.AddrPort{}, &sock.Error{Op: "remote address", Err: syscall.EBADF}
	case e.Err() != nil:
		return netip.AddrPort{}, &sock.Error{Op: "remote address", Err: syscall.ENOTCONN}
	}
	return e.RemoteAddr(), nil
}

func (v *virtualSystem) closeWrite(s sock.Socket) error {
	err := error(syscall.EBADF)
	if e := v.stream(s); e != nil {
		err = e.CloseWrite()
	}
	if err != nil {
		return &sock.Error{Op: "close write", Err: err}
	}
	return nil
}

func (v *virtualSystem) connectError(s sock.Socket) error {
	if e := v.stream(s); e != nil {
		if err := e.Err(); err != nil {
			return &sock.Error{Op: "connect", Err: err}
		}
	}
	return nil
}

func (v *virtualSystem) hungUp(s sock.Socket) (up, failed bool) {
	e := v.stream(s)
	broken := e == nil || e.Err() != nil
	return broken, broken
}

func (v *virtualSystem) unread(s sock.Socket) (int, error) {
	if e := v.stream(s); e != nil {
		return e.Unread(), nil
	}
	return 0, syscall.EBADF
}

func (v *virtualSystem) unacked(s sock.Socket) (n int, ok bool) {
	if e := v.stream(s); e != nil {
		return e.Unacked(), true
	}
	return 0, false
}

func (v *virtualSystem) close(s sock.Socket) error { return end(v.take(s), false) }
func (v *virtualSystem) abort(s sock.Socket) error { return end(v.take(s), true) }

// breakOff keeps the number, which close gives back.
func (v *virtualSystem) breakOff(s sock.Socket) error { return end(v.of(s), true) }
func (v *virtualSystem) detach(s sock.Socket) error   { return end(v.of(s), true) }

func end(e any, reset bool) error {
	switch e := e.(type) {
	case Stream:
		if reset {
			e.Abort()
		} else {
			e.Close()
		}
	case Backlog:
		e.Close()
	case Datagrams:
		e.Close()
	default:
		return syscall.EBADF
	}
	return nil
}
