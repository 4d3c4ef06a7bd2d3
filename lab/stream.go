package lab

import (
	"errors"
	"io"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A stream is a connection of a host: a loop.Stream.
type stream struct {
	host   *Host
	conn   *tcp.Conn
	notify func(loop.Ready)
	eof    bool // Read has told of it
	shut   bool // CloseWrite
	closed bool
	missed loop.Ready // before Notify
}

func (h *Host) newStream(c *tcp.Conn) *stream {
	s := &stream{host: h, conn: c}
	h.streams[c] = s
	return s
}

// lock takes the world's, and returns its time.
func (s *stream) lock() time.Duration {
	s.host.lock()
	return s.host.w.time()
}

func (s *stream) unlock() { s.host.unlock() }

// changed is unlock after a call that may have something to send.
func (s *stream) changed() { s.host.leave() }

// happened takes what the stack tells.
func (s *stream) happened(e tcp.Events) {
	var r loop.Ready
	if e&tcp.Ended != 0 {
		delete(s.host.streams, s.conn)
		r |= loop.Readable | loop.Writable | loop.Delivered
		if s.conn.Err() != nil {
			r |= loop.Broken
		}
	}
	if e&tcp.Readable != 0 {
		r |= loop.Readable
	}
	if e&(tcp.Writable|tcp.Opened) != 0 {
		r |= loop.Writable
	}
	if e&tcp.Delivered != 0 {
		r |= loop.Delivered
	}
	if s.notify == nil {
		s.missed |= r
	} else if r != 0 {
		s.host.w.hear(s.notify, r)
	}
}

// Notify is of loop.Stream. What happened before it was called is told as soon as the world moves.
func (s *stream) Notify(f func(loop.Ready)) {
	s.lock()
	s.notify = f
	if s.missed != 0 {
		s.host.w.hear(f, s.missed)
	}
	s.changed()
}

// Read is of loop.Stream.
func (s *stream) Read(p []byte) (int, error) {
	now := s.lock()
	n, end, err := s.conn.Read(now, p)
	if n > 0 {
		s.changed() // the window may open
		return n, nil
	}
	defer s.unlock()
	switch {
	case err != nil:
		return 0, s.why(err)
	case end:
		s.eof = true
		return 0, io.EOF
	}
	return 0, sock.ErrWouldBlock
}

// Write is of loop.Stream.
func (s *stream) Write(p []byte) (int, error) {
	now := s.lock()
	defer s.changed()
	n, err := s.conn.Write(now, p)
	switch {
	case err != nil:
		return 0, s.why(err)
	case n == 0 && len(p) > 0:
		return 0, sock.ErrWouldBlock
	}
	return n, nil
}

// why is an error as the kernel has it: a reset behind the peer's end is EPIPE where this side's half is open
// (tcp_reset).
func (s *stream) why(err error) error {
	if errors.Is(err, tcp.ErrReset) && s.eof && !s.shut {
		return syscall.EPIPE
	}
	return errno(err)
}

// CloseWrite is of loop.Stream.
func (s *stream) CloseWrite() error {
	now := s.lock()
	defer s.changed()
	err := s.conn.CloseWrite(now)
	if err != nil {
		if s.conn.Err() == nil {
			return syscall.ENOTCONN // it has ended in good order
		}
		return s.why(err)
	}
	s.shut = true
	return nil
}

// Err is of loop.Stream.
func (s *stream) Err() error {
	s.lock()
	defer s.unlock()
	if err := s.conn.Err(); err != nil {
		return s.why(err)
	}
	return nil
}

// connected is how a Dial ended; ErrWouldBlock: it has not.
func (s *stream) connected() error {
	s.lock()
	defer s.unlock()
	switch err := s.conn.Err(); {
	case err != nil:
		return s.why(err)
	case s.conn.State() == tcp.SynSent || s.conn.State() == tcp.SynReceived:
		return sock.ErrWouldBlock
	}
	return nil
}

// Unread is of loop.Stream.
func (s *stream) Unread() int {
	s.lock()
	defer s.unlock()
	return s.conn.Unread()
}

// Unacked is of loop.Stream: the end is a byte too, until it is acknowledged.
func (s *stream) Unacked() int {
	s.lock()
	defer s.unlock()
	n := s.conn.Unacked()
	switch s.conn.State() {
	case tcp.FinWait1, tcp.Closing, tcp.LastAck:
		n++
	}
	return n
}

// LocalAddr is of loop.Stream.
func (s *stream) LocalAddr() netip.AddrPort { return s.conn.Local() }

// RemoteAddr is of loop.Stream.
func (s *stream) RemoteAddr() netip.AddrPort { return s.conn.Remote() }

// SetOption is of loop.Stream.
func (s *stream) SetOption(o loop.Option, value int) error {
	s.lock()
	defer s.changed()
	switch o {
	case loop.NoDelay:
		s.conn.SetNoDelay(value != 0)
	case loop.UserTimeout:
		s.conn.SetUserTimeout(time.Duration(value) * time.Millisecond)
	case loop.SendBuffer:
		s.conn.SetBuffers(value, 0)
	case loop.RecvBuffer:
		s.conn.SetBuffers(0, value)
	case loop.TrafficClass:
		s.conn.SetTOS(uint8(value))
	default:
		return &sock.OptionError{Option: o.String(), Problem: "on a host of the lab it is the stack's",
			Err: errors.ErrUnsupported}
	}
	return nil
}

// Close is of loop.Stream.
func (s *stream) Close() {
	now := s.lock()
	defer s.changed()
	if !s.closed {
		s.closed = true
		delete(s.host.streams, s.conn)
		_ = s.conn.Close(now) // it has ended already, then
	}
}

// Abort is of loop.Stream.
func (s *stream) Abort() {
	now := s.lock()
	defer s.changed()
	if !s.closed {
		s.closed = true
		delete(s.host.streams, s.conn)
		s.conn.Abort(now)
	}
}

// Dial is of loop.Network.
func (h *Host) Dial(a sock.Addr, o sock.Options) (loop.Stream, error) {
	if err := refuseOptions(&o); err != nil {
		return nil, err
	}
	to, ok := a.AddrPort()
	if !ok || a.Scheme != "tcp" {
		return nil, syscall.EAFNOSUPPORT
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if a.Host == "" {
		to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), to.Port())
	}
	h.lock()
	defer h.leave()
	c, err := h.ip.Dial(h.w.time(), to)
	if err != nil {
		return nil, errno(err)
	}
	setOptions(c, &o)
	return h.newStream(c), nil
}

func setOptions(c *tcp.Conn, o *sock.Options) {
	c.SetNoDelay(!o.Delay)
	c.SetBuffers(o.SendBuffer, o.RecvBuffer)
	if o.UserTimeout > 0 {
		c.SetUserTimeout(o.UserTimeout)
	}
}

// A backlog is a listener of a host: a loop.Backlog. It has a listener of the stack's for each family.
type backlog struct {
	host    *Host
	parts   []*tcp.Listener
	addr    netip.AddrPort
	options sock.Options
	most    int
	open    []*stream
	notify  func(loop.Ready)
	closed  bool
}

// defaultBacklog is how many connections wait to be accepted, where sock.Options do not say.
const defaultBacklog = 128

// Listen is of loop.Network.
func (h *Host) Listen(a sock.Addr, o sock.Options) (loop.Backlog, error) {
	if err := refuseOptions(&o); err != nil {
		return nil, err
	}
	h.lock()
	defer h.unlock()
	addrs, err := h.locals(a, o.V6Only == sock.Yes)
	if err != nil {
		return nil, err
	}
	b := &backlog{host: h, options: o, most: o.Backlog}
	if b.most == 0 {
		b.most = defaultBacklog
	}
	err = h.onPort(a.Port, func(port uint16) error { return b.listen(addrs, port) })
	if err != nil {
		return nil, err
	}
	h.backlog = append(h.backlog, b)
	return b, nil
}

func (b *backlog) listen(addrs []netip.Addr, port uint16) error {
	stack := b.host.ip.TCP()
	for _, addr := range addrs {
		l, err := stack.Listen(netip.AddrPortFrom(addr, port), b.most)
		if err != nil {
			b.closeParts()
			return errno(err)
		}
		b.parts = append(b.parts, l)
	}
	b.addr = netip.AddrPortFrom(addrs[0], port)
	return nil
}

func (b *backlog) closeParts() {
	for _, l := range b.parts {
		l.Close(b.host.w.time())
	}
	b.parts = nil
}

// fill takes from the stack what it has to be accepted, as far as there is room.
func (b *backlog) fill() {
	some := false
	for _, l := range b.parts {
		for len(b.open) < b.most {
			c := l.Accept()
			if c == nil {
				break
			}
			setOptions(c, &b.options)
			b.open = append(b.open, b.host.newStream(c))
			some = true
		}
	}
	if some {
		b.host.w.hear(b.notify, loop.Readable)
	}
}

// Notify is of loop.Backlog.
func (b *backlog) Notify(f func(loop.Ready)) {
	b.host.lock()
	defer b.host.unlock()
	b.notify = f
}

// Accept is of loop.Backlog.
func (b *backlog) Accept() (loop.Stream, error) {
	b.host.lock()
	defer b.host.unlock()
	if len(b.open) == 0 {
		b.fill()
	}
	if len(b.open) == 0 {
		if b.closed {
			return nil, syscall.EINVAL
		}
		return nil, sock.ErrWouldBlock
	}
	s := b.open[0]
	b.open = slices.Delete(b.open, 0, 1)
	return s, nil
}

// Addr is of loop.Backlog.
func (b *backlog) Addr() netip.AddrPort { return b.addr }

// Close is of loop.Backlog.
func (b *backlog) Close() {
	h := b.host
	h.lock()
	if b.closed {
		h.unlock()
		return
	}
	b.closed = true
	b.closeParts()
	open := b.open
	b.open = nil
	h.backlog = slices.DeleteFunc(h.backlog, func(o *backlog) bool { return o == b })
	h.unlock()
	for _, s := range open {
		s.Abort()
	}
	h.touched()
}
