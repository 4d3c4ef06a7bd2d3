package tcp

import (
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// Options say how a stack is.
type Options struct {
	Limits Limits
	Random func() uint64 // secrets and ports: a stream of the seed in the lab, the system's generator elsewhere
	Reno   bool          // congestion control by RFC 5681, and not by CUBIC
	ECN    bool          // offered by Dial; a peer's offer is always taken (RFC 3168)
	MTU    int           // of the link, in bytes: 1500 at 0. The MSS that is sent comes from it (MUST-67)
}

// An Envelope is what the IP header says of a segment.
type Envelope struct {
	Src, Dst netip.Addr // of the two ends, whatever the route
	TOS      uint8      // six bits of Diffserv, two of ECN
	// Via is the source route, at most MaxVia hosts between Src and Dst, in the order in which the segment passes them
	// (RFC 791, section 3.1). A host that takes none, as RFC 7126 advises, leaves it empty.
	Via []netip.Addr
}

// MaxVia is how many hosts a source route names beside the end: as many as fit into IPv4's options.
const MaxVia = 8

// A Segment is one that goes out. It is good until the send that gets it returns. TCP.Append writes it.
type Segment struct {
	Envelope
	TCP wire.TCP
}

// A Stack is the TCP of a host.
type Stack struct {
	limits    Limits
	random    func() uint64
	cubic     bool
	ecn       bool
	mtu       int
	secret    [16]byte
	conns     map[fourTuple]*Conn
	listeners map[netip.AddrPort]*Listener
	queue     queue
	order     uint64
	marked    []*Conn
	spare     []*Conn // what marked is, while Flush works
	told      []*Conn
	gone      int // of told, from the left: Event has told them
	resets    []Segment
	waiting   []*Conn // in TIME-WAIT, the oldest first
	pool      pool

	second     time.Duration // that challenges is of
	challenges int           // may still be sent in it

	segment Segment // what is being sent
	scratch []byte
	options [wire.TCPMaxOptions]byte

	// Counters of what was sent.
	Sent struct {
		Segments   int
		Again      int // with text, SYN or FIN that was sent before
		Duplicates int // acknowledgments that say what the last one did, with the same window
		Shut       int // with a window of zero, resets left out
	}
	// Counters of what was refused.
	Refused struct {
		Malformed, Checksum, Challenges, Backlog, Resets, Advice int

		Nobody int // segments for a connection that is not there, resets left out
	}
}

// maxResets is how many resets to nobody wait for a Flush: what would be one more is not sent.
const maxResets = 64

// New makes a stack.
func New(o Options) *Stack {
	s := &Stack{limits: o.Limits.filled(), random: o.Random, cubic: !o.Reno, ecn: o.ECN, mtu: o.MTU,
		conns: map[fourTuple]*Conn{}, listeners: map[netip.AddrPort]*Listener{}}
	if s.mtu == 0 {
		s.mtu = 1500
	}
	binary.BigEndian.PutUint64(s.secret[:], s.random())
	binary.BigEndian.PutUint64(s.secret[8:], s.random())
	s.second = -1
	return s
}

// A Listener takes connections at an address.
type Listener struct {
	stack   *Stack
	local   netip.AddrPort
	backlog int
	pending int     // not open yet, or not accepted
	open    []*Conn // not accepted
}

// Listen takes connections to local; its address may be the unspecified one, for all. A backlog of 0 is the limits'.
func (s *Stack) Listen(local netip.AddrPort, backlog int) (*Listener, error) {
	if s.listeners[local] != nil {
		return nil, ErrInUse
	}
	if backlog <= 0 {
		backlog = s.limits.Backlog
	}
	l := &Listener{stack: s, local: local, backlog: backlog}
	s.listeners[local] = l
	return l, nil
}

// Accept is the connection that has been open for the longest; nil where there is none.
func (l *Listener) Accept() *Conn {
	if len(l.open) == 0 {
		return nil
	}
	c := l.open[0]
	l.open = slices.Delete(l.open, 0, 1)
	l.pending--
	c.listener = nil
	if c.events != 0 {
		c.tell(0)
	}
	return c
}

// Close takes no more connections, and resets those that nobody has accepted.
func (l *Listener) Close(now time.Duration) {
	delete(l.stack.listeners, l.local)
	var orphans []*Conn
	for _, c := range l.stack.conns {
		if c.listener == l {
			orphans = append(orphans, c)
		}
	}
	slices.SortFunc(orphans, func(a, b *Conn) int { return a.key.remote.Compare(b.key.remote) })
	for _, c := range orphans {
		c.Abort(now)
	}
}

func (l *Listener) ready(c *Conn) { l.open = append(l.open, c) }

// Dial opens a connection. A local port of 0 is chosen (RFC 6056, algorithm 1).
func (s *Stack) Dial(now time.Duration, local, remote netip.AddrPort) (*Conn, error) {
	to := remote.Addr()
	if !to.IsValid() || to.IsMulticast() || to.IsUnspecified() || to == netip.AddrFrom4([4]byte{255, 255, 255, 255}) ||
		remote.Port() == 0 || local.Addr().Is4() != to.Is4() {
		return nil, ErrAddress
	}
	if local.Port() == 0 {
		const low, count = 32768, 28232
		start := s.random()
		for i := range uint64(count) {
			local = netip.AddrPortFrom(local.Addr(), uint16(low+(start+i)%count))
			if s.conns[fourTuple{local, remote}] == nil {
				break
			}
		}
	}
	key := fourTuple{local, remote}
	if s.conns[key] != nil {
		return nil, ErrInUse
	}
	c := s.conn(now, key, SynSent)
	c.mark()
	return c, nil
}

// conn makes a connection that is about to send its SYN.
func (s *Stack) conn(now time.Duration, key fourTuple, state State) *Conn {
	headers := 40
	if key.remote.Addr().Is6() {
		headers = 60
	}
	c := &Conn{stack: s, key: key, state: state, advertised: s.mtu - headers, mss: s.mtu - headers, heard: now,
		mostOut: s.limits.SendBuffer, mostIn: s.limits.ReceiveBuffer}
	for t := range c.timers {
		c.timers[t] = off
	}
	for 65535<<c.scaleIn < s.limits.ReceiveBuffer {
		c.scaleIn++
	}
	c.iss = s.isn(now, key)
	c.una, c.next, c.first, c.recover = c.iss, c.iss+1, c.iss+1, c.iss
	c.cc = newCongestion(c.mss, s.cubic)
	s.conns[key] = c
	return c
}

// isn is the first number of a connection: a clock of 4 µs, and a function of the addresses and a secret (RFC 6528).
func (s *Stack) isn(now time.Duration, key fourTuple) Seq {
	var b [16 + 2*(16+2)]byte
	n := copy(b[:], s.secret[:])
	for _, a := range [...]netip.AddrPort{key.local, key.remote} {
		v := a.Addr().As16()
		n += copy(b[n:], v[:])
		binary.BigEndian.PutUint16(b[n:], a.Port())
		n += 2
	}
	f := sha256.Sum256(b[:])
	return Seq(binary.BigEndian.Uint32(f[:])) + Seq(now/(4*time.Microsecond))
}

// Input takes the payload of an IP packet. A segment that is not well formed, or whose checksum is wrong, is counted
// and dropped (MUST-3); one to a group or from nobody is dropped (MUST-57).
func (s *Stack) Input(now time.Duration, e Envelope, b []byte) {
	var h wire.TCP
	if err := h.Parse(b); err != nil {
		s.Refused.Malformed++
		return
	}
	if h.Verify(b, e.Src, e.Dst) != nil {
		s.Refused.Checksum++
		return
	}
	s.Segment(now, e, &h)
}

// Segment takes a segment whose checksum is right. What it points to is not kept.
func (s *Stack) Segment(now time.Duration, e Envelope, h *wire.TCP) {
	src, dst := e.Src, e.Dst
	if dst.IsMulticast() || src.IsMulticast() || src.IsUnspecified() {
		return
	}
	g := segment{TCP: h, marked: e.TOS&3 == 3, via: e.Via, seq: Seq(h.Seq), ack: Seq(h.Ack), size: int(h.Len())}
	g.o.Parse(h.Options)
	key := fourTuple{netip.AddrPortFrom(dst, h.DstPort), netip.AddrPortFrom(src, h.SrcPort)}
	c := s.conns[key]
	if c != nil && c.state == TimeWait && s.again(now, c, &g) {
		c = nil
	}
	if c != nil {
		c.segment(now, &g)
		return
	}
	l := s.listeners[key.local]
	if l == nil {
		any := netip.IPv6Unspecified()
		if dst.Is4() {
			any = netip.IPv4Unspecified()
		}
		l = s.listeners[netip.AddrPortFrom(any, h.DstPort)]
	}
	switch {
	case g.has(wire.RST):
	case l == nil || g.has(wire.ACK):
		s.refuse(now, key, &g)
	case g.has(wire.SYN):
		l.syn(now, key, &g)
	}
}

// again reports whether a SYN may begin a connection whose last one still waits: its number, or its timestamp, is later
// than all of the old one (RFC 9293, section 3.6.1, MAY-2; RFC 6191).
func (s *Stack) again(now time.Duration, c *Conn, g *segment) bool {
	if !g.has(wire.SYN) || g.has(wire.RST|wire.ACK) {
		return false
	}
	newer := c.want.Less(g.seq)
	if c.timestamps && g.o.HasTimestamps {
		newer = int32(g.o.Value-c.recent) > 0 || g.o.Value == c.recent && newer
	}
	if newer {
		c.end(now, nil)
	}
	return newer
}

// syn takes a SYN for a listener. One more than the backlog is dropped, and the peer sends it again.
func (l *Listener) syn(now time.Duration, key fourTuple, g *segment) {
	if l.pending >= l.backlog {
		l.stack.Refused.Backlog++
		return
	}
	l.pending++
	c := l.stack.conn(now, key, SynReceived)
	c.listener = l
	c.agree(now, g)
	c.mark()
}

// refuse answers a segment to nobody with a reset that its sender takes (RFC 9293, section 3.10.7.1).
func (s *Stack) refuse(now time.Duration, key fourTuple, g *segment) {
	s.Refused.Nobody++
	if !s.allowed(now) {
		return
	}
	if g.has(wire.ACK) {
		s.reset(key, g.ack, 0, false)
	} else {
		s.reset(key, 0, g.seq.Add(g.size), true)
	}
}

// reset sends a reset at the next Flush.
func (s *Stack) reset(key fourTuple, seq, ack Seq, withAck bool) {
	if len(s.resets) >= maxResets {
		s.Refused.Resets++
		return
	}
	h := wire.TCP{SrcPort: key.local.Port(), DstPort: key.remote.Port(), Seq: uint32(seq), Flags: wire.RST}
	if withAck {
		h.Ack, h.Flags = uint32(ack), wire.RST|wire.ACK
	}
	s.resets = append(s.resets, Segment{Envelope{Src: key.local.Addr(), Dst: key.remote.Addr()}, h})
}

// challenge answers what may be an attack with an acknowledgment (RFC 5961), so many a second.
func (s *Stack) challenge(now time.Duration, c *Conn) {
	if s.allowed(now) {
		c.acknowledge()
	}
}

func (s *Stack) allowed(now time.Duration) bool {
	if second := now / time.Second; second != s.second {
		// A number that nobody can guess: who counts the challenges that he gets would else learn whether others got some,
		// and by that whether two hosts have a connection (CVE-2016-5696).
		n := s.limits.Challenges
		s.second, s.challenges = second, n/2+int(s.random()%uint64(n))
	}
	if s.challenges == 0 {
		s.Refused.Challenges++
		return false
	}
	s.challenges--
	return true
}

// waits notes a connection in its last time, and ends the oldest where there are too many.
func (s *Stack) waits(now time.Duration, c *Conn) {
	s.waiting = append(s.waiting, c)
	if len(s.waiting) > s.limits.TimeWaits {
		s.waiting[0].end(now, nil)
	}
}

// forget takes a connection out of the tables.
func (s *Stack) forget(c *Conn) {
	if s.conns[c.key] == c {
		delete(s.conns, c.key)
	}
	if i := slices.Index(s.waiting, c); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	if l := c.listener; l != nil {
		l.pending--
		if i := slices.Index(l.open, c); i >= 0 {
			l.open = slices.Delete(l.open, i, i+1)
		}
	}
}

// Flush sends what there is to be sent.
func (s *Stack) Flush(now time.Duration, send func(*Segment)) {
	for i := range s.resets {
		send(&s.resets[i])
	}
	s.resets = s.resets[:0]
	for len(s.marked) > 0 {
		list := s.marked
		s.marked = s.spare[:0]
		for _, c := range list {
			c.output(now, send)
		}
		clear(list)
		s.spare = list
	}
}

// Event is a connection to which something has happened, and what; nil where there is none.
func (s *Stack) Event() (*Conn, Events) {
	if s.gone == len(s.told) {
		s.told, s.gone = s.told[:0], 0
		return nil, 0
	}
	c := s.told[s.gone]
	s.told[s.gone] = nil
	if s.gone++; s.gone > 64 && s.gone > len(s.told)/2 {
		s.told, s.gone = slices.Delete(s.told, 0, s.gone), 0
	}
	c.queued = false
	e := c.events
	c.events = 0
	return c, e
}

// Next is the time of the first timer. It is not ok where none runs.
func (s *Stack) Next() (at time.Duration, ok bool) {
	s.settle()
	if len(s.queue) == 0 {
		return 0, false
	}
	return s.queue[0].at, true
}

// Advance fires the timers whose time has come.
func (s *Stack) Advance(now time.Duration) {
	for s.settle(); len(s.queue) > 0 && s.queue[0].at <= now; s.settle() {
		c := s.queue[0].c
		c.fire(now)
		s.moved(c)
	}
}

// A queue has the connections by the times of their first timers: a heap. An entry may be too early, where a timer has
// stopped: settle mends those at the top.
type queue []entry

type entry struct {
	at    time.Duration
	order uint64 // that entries of one time fire in one order
	c     *Conn
}

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(entry)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// moved notes that a connection's first timer may be earlier than its entry.
func (s *Stack) moved(c *Conn) {
	at := c.due()
	if at == off || at >= c.entryAt && c.entered {
		return
	}
	c.entered, c.entryAt = true, at
	s.order++
	heap.Push(&s.queue, entry{at, s.order, c})
}

// settle takes entries from the top that are not true any more.
func (s *Stack) settle() {
	for len(s.queue) > 0 {
		top := s.queue[0]
		c := top.c
		if c.entered && c.entryAt == top.at && c.due() == top.at {
			return
		}
		heap.Pop(&s.queue)
		if c.entered && c.entryAt == top.at {
			c.entered = false
			s.moved(c)
		}
	}
}
