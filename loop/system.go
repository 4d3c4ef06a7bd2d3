package loop

import (
	"net/netip"

	"github.com/plexor-go/plexor/sock"
)

// A system is where a loop's sockets come from: the kernel, or a [Network]. A driver moves bytes and tells what
// happened; all else that is done with a socket goes by the loop's system. The loops of a group have the same one. Any
// goroutine may call its methods, which do not wait.
type system interface {
	// listen binds an address, and listens if it is one of streams. connect begins to connect.
	listen(a sock.Addr, o sock.Options) (sock.Socket, error)
	connect(a sock.Addr, o sock.Options) (sock.Socket, error)
	// accept takes the next connection of a listener; inherit gives it the listener's options.
	accept(s sock.Socket) (sock.Socket, error)
	inherit(s sock.Socket, from sock.Addr, o sock.Options) error
	// fileOf is a unix listener's.
	fileOf(s sock.Socket) (sock.File, error)
	// tellLocal has a datagram socket tell where each datagram was sent to.
	tellLocal(s sock.Socket) error

	localAddr(s sock.Socket) (sock.Addr, error)
	remoteAddr(s sock.Socket) (sock.Addr, error)
	peer(s sock.Socket) (netip.AddrPort, error)

	closeWrite(s sock.Socket) error
	// connectError is how connecting ended, or what has broken the connection since; it is told once.
	connectError(s sock.Socket) error
	hungUp(s sock.Socket) (up, failed bool)
	unread(s sock.Socket) (int, error)
	unacked(s sock.Socket) (n int, ok bool)

	close(s sock.Socket) error
	abort(s sock.Socket) error
	// breakOff and detach are for a loop that is held: see Loop.breakOff.
	breakOff(s sock.Socket) error
	detach(s sock.Socket) error

	// network is the system itself if it is a Network's, and nil if it is the kernel.
	network() *virtualSystem
}

// The kernel's sockets are descriptors: each of these is the method of sock.Socket that has its name.
type kernel struct{}

func (kernel) listen(a sock.Addr, o sock.Options) (sock.Socket, error) { return sock.Listen(a, o) }

func (kernel) connect(a sock.Addr, o sock.Options) (sock.Socket, error) {
	s, _, err := sock.Connect(a, o)
	return s, err
}

func (kernel) inherit(s sock.Socket, from sock.Addr, o sock.Options) error { return s.Inherit(from, o) }

func (kernel) accept(s sock.Socket) (sock.Socket, error)   { return s.Accept() }
func (kernel) fileOf(s sock.Socket) (sock.File, error)     { return sock.FileOf(s) }
func (kernel) tellLocal(s sock.Socket) error               { return s.TellLocal() }
func (kernel) localAddr(s sock.Socket) (sock.Addr, error)  { return s.LocalAddr() }
func (kernel) remoteAddr(s sock.Socket) (sock.Addr, error) { return s.RemoteAddr() }
func (kernel) peer(s sock.Socket) (netip.AddrPort, error)  { return s.RemoteAddrPort() }
func (kernel) closeWrite(s sock.Socket) error              { return s.CloseWrite() }
func (kernel) connectError(s sock.Socket) error            { return s.ConnectError() }
func (kernel) hungUp(s sock.Socket) (up, failed bool)      { return s.HungUp() }
func (kernel) unread(s sock.Socket) (int, error)           { return s.Unread() }
func (kernel) unacked(s sock.Socket) (n int, ok bool)      { return s.Unacked() }
func (kernel) close(s sock.Socket) error                   { return s.Close() }
func (kernel) abort(s sock.Socket) error                   { return s.Abort() }
func (kernel) breakOff(s sock.Socket) error                { return s.BreakOff() }
func (kernel) detach(s sock.Socket) error                  { return s.Detach() }
func (kernel) network() *virtualSystem                     { return nil }
