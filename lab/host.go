package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/lab/ip"
	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A Host is a machine of a world, and a [loop.Network]: give it to a plexor.Server, a Client, or a loop's Options. It
// is a [loop.Resolver] too, and knows the world's hosts by their names. There are no unix sockets on it. Of
// sock.Options it has Backlog, Delay, RecvBuffer, SendBuffer, UserTimeout and V6Only; others are refused, but
// KeepAlive, whose probes are the stack's.
type Host struct {
	w       *World
	name    string
	ip      *ip.Host
	ports   *rand.Rand // of what is asked for with port 0
	plugs   map[*ip.Interface]*plug
	streams map[*tcp.Conn]*stream
	backlog []*backlog
	grams   map[*ip.Socket]*datagrams
	loop    *loop.Loop // of Go; nil: there was none
	ended   chan error

	number int           // among all, in the order in which they were made
	astir  bool          // in the agenda's list
	next   time.Duration // of its appointment; off: none
}

var _ loop.Resolver = (*Host)(nil)

func newHost(w *World, name string) *Host {
	random, ports := w.stream("host "+name), w.stream("ports of "+name)
	if w.opt.Live {
		random, ports = rand.New(system{}), rand.New(system{})
	}
	return &Host{w: w, name: name, next: off, ports: ports, ip: ip.New(ip.Options{Random: random.Uint64}),
		plugs:   make(map[*ip.Interface]*plug),
		streams: make(map[*tcp.Conn]*stream), grams: make(map[*ip.Socket]*datagrams)}
}

// Name is the host's.
func (h *Host) Name() string { return h.name }

// World is the world that the host is of.
func (h *Host) World() *World { return h.w }

// Now is of loop.Network: the world's time.
func (h *Host) Now() time.Time { return h.w.Now() }

// Attach is of loop.Network.
func (h *Host) Attach() (loop.Waiter, error) { return h.w.sched.attach(), nil }

// LookupHost is of loop.Resolver: a name of this world, by the addresses that it has on a cable to this host, or else
// by all that it has. The host itself, and "localhost", are by the loopback.
func (h *Host) LookupHost(name string) ([]netip.Addr, error) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	if name == "localhost" || name == h.name {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	var near, far []netip.Addr
	for _, p := range h.w.plugs {
		switch {
		case p.host.name != name:
		case p.peer == h:
			near = append(near, p.four, p.six)
		default:
			far = append(far, p.four, p.six)
		}
	}
	if near == nil {
		near = far
	}
	if near == nil {
		return nil, fmt.Errorf("lab: no host %q in this world has an address", name)
	}
	return near, nil
}

// send is told by the stack what it sends.
func (h *Host) send(i *ip.Interface, b []byte) {
	if p := h.plugs[i]; p != nil { // none: it was taken away before it had a cable
		h.w.transmit(p, b)
	}
}

// touched is called after each call of a loop's that may have something to send. In a live world it leaves at once, and
// over a cable without delay it has arrived when the call returns, as on a kernel's loopback.
func (h *Host) touched() {
	if h.w.lively != nil {
		h.w.lively.touched()
	}
}

// leave is unlock and touched.
func (h *Host) leave() {
	if h.w.lively != nil {
		h.w.lively.leave()
	} else {
		h.unlock()
	}
}

// pump finds out what the stack has to tell, for World.tell. The caller holds World.mu.
func (h *Host) pump() {
	for {
		c, e := h.ip.TCP().Event()
		if c == nil {
			break
		}
		if s := h.streams[c]; s != nil {
			s.happened(e)
		}
	}
	for s := h.ip.ReadyUDP(); s != nil; s = h.ip.ReadyUDP() {
		if d := h.grams[s]; d != nil {
			h.w.hear(d.notify, loop.Readable)
		}
	}
	for _, b := range h.backlog {
		b.fill()
	}
}

func (w *World) hear(tell func(loop.Ready), what loop.Ready) {
	if tell != nil {
		w.heard = append(w.heard, news{tell, what})
	}
}

// errno is a stack's error as the kernel's calls have it.
func errno(err error) error {
	for _, row := range errnos {
		if errors.Is(err, row.err) {
			return row.errno
		}
	}
	return err
}

var errnos = []struct {
	err   error
	errno syscall.Errno
}{
	{tcp.ErrReset, syscall.ECONNRESET}, {tcp.ErrRefused, syscall.ECONNREFUSED}, {tcp.ErrTimeout, syscall.ETIMEDOUT},
	{tcp.ErrClosed, syscall.EPIPE}, {tcp.ErrInUse, syscall.EADDRINUSE}, {tcp.ErrAddress, syscall.EADDRNOTAVAIL},
	{tcp.ErrUnreachable, syscall.EHOSTUNREACH}, {ip.ErrUnreachable, syscall.EHOSTUNREACH},
	{ip.ErrRefused, syscall.ECONNREFUSED}, {ip.ErrTooLong, syscall.EMSGSIZE}, {ip.ErrInUse, syscall.EADDRINUSE},
	{ip.ErrAddress, syscall.EADDRNOTAVAIL}, {ip.ErrExpired, syscall.EHOSTUNREACH}, {ip.ErrClosed, syscall.EBADF},
	{ip.ErrLimit, syscall.ENOBUFS},
}

// refuseOptions refuses what the stack does not have.
func refuseOptions(o *sock.Options) error {
	for _, row := range []struct {
		set  bool
		name string
	}{
		{o.ReusePort, "reuseport"}, {o.Linger != 0, "linger"}, {o.DeferAccept != 0, "deferaccept"},
		{o.FastOpen != 0, "fastopen"}, {o.Mode != 0, "mode"},
	} {
		if row.set {
			return &sock.OptionError{Option: row.name, Problem: "a host of the lab does not have it", Err: errors.ErrUnsupported}
		}
	}
	return nil
}

// firstPort and ports are those that are given where port 0 was asked for.
const (
	firstPort = 32768
	ports     = 28232
)

// onPort calls f with the port, or with free ones, from one by chance on, until one is not in use.
func (h *Host) onPort(port int, f func(port uint16) error) error {
	if port != 0 {
		return f(uint16(port))
	}
	err := error(syscall.EADDRINUSE)
	for n, start := 0, h.ports.IntN(ports); n < ports && errors.Is(err, syscall.EADDRINUSE); n++ {
		err = f(uint16(firstPort + (start+n)%ports))
	}
	return err
}

// locals are the addresses that an address means to who listens: both families' where it is for all.
func (h *Host) locals(a sock.Addr, v6only bool) ([]netip.Addr, error) {
	ap, ok := a.AddrPort()
	addr := ap.Addr().Unmap()
	switch {
	case !ok:
		return nil, fmt.Errorf("lab: %s: the host must be an address: %w", a, syscall.EADDRNOTAVAIL)
	case addr == netip.IPv6Unspecified() && !v6only:
		return []netip.Addr{addr, netip.IPv4Unspecified()}, nil
	case addr.IsUnspecified():
		return []netip.Addr{addr}, nil
	}
	if own, err := h.ip.Source(addr); err != nil || own != addr {
		return nil, syscall.EADDRNOTAVAIL
	}
	return []netip.Addr{addr}, nil
}
