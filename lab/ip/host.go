package ip

import (
	"net/netip"
	"slices"
	"time"

	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/wire"
)

// Options say how a host is.
type Options struct {
	Limits  Limits
	Random  func() uint64 // ports, identifiers, times that are spread: a stream of the seed, or the system's generator
	TCP     tcp.Options   // Random is the host's where it is nil
	Forward bool          // a router: packets to others go on
	TTL     uint8         // and hop limit, of what this host sends: 64 at 0 (RFC 9293, MUST-49)
	// SourceRoutes has TCP get segments that have come by a loose or strict source route, whose end is this host, and
	// answer by the way back (RFC 9293, section 3.9.2.1). RFC 7126 advises against it.
	SourceRoutes bool
}

// A Host is a machine with network cards: IP and what stands on it. It is for one goroutine at a time.
type Host struct {
	// Counters of what was dropped, and why.
	Dropped struct {
		Malformed    int // not well formed, or a wrong checksum
		Martian      int // an address that cannot be: from a group, from this host itself, to 127.0.0.0/8
		Strange      int // to another host, or for a protocol that nobody takes
		SourceRoutes int // with a source route, which is not followed (RFC 7126, section 4.3)
		Neighbors    int // packets that waited for a neighbor, and there were too many, or it did not answer
		Fragments    int // of datagrams that were refused or did not become whole; datagrams, but for those over a bound
		Errors       int // ICMP errors that were not sent, as there were too many
		Echoes       int // echo requests that were not answered, as there were too many
		Sockets      int // datagrams, replies and refusals for which a queue had no room
		Output       int // frames over Limits.Output and packets over Limits.Looped
		Advice       int // ICMP errors about what this host has not sent
	}
	// Conflicts is how often somebody else has used an address of this host (RFC 5227, section 2.4).
	Conflicts int

	limits     Limits
	random     func() uint64
	forward    bool
	ttl        uint8
	routed     bool // source routes are taken
	tcp        *tcp.Stack
	interfaces []*Interface
	routes     []Route
	neighbors  neighbors
	assemblies assemblies
	udp        sockets
	paths      paths
	echoes     []Echo
	asked      []Echo
	errors     bucket
	answers    bucket
	id         uint16

	out    []frame
	spare  [][]byte // buffers of frames that were sent
	looped [][]byte
	tooBig []tooBig
	send   func(*Interface, []byte) // within Flush
	buf    []byte                   // the frame that is being built
	data   []byte                   // what goes into it
	last   time.Duration            // the time of the last call
}

// A frame is one that waits for Flush.
type frame struct {
	i *Interface
	b []byte
}

// New makes a host without interfaces: it reaches itself alone.
func New(o Options) *Host {
	h := &Host{limits: o.Limits.filled(), random: o.Random, forward: o.Forward, ttl: o.TTL,
		routed: o.SourceRoutes}
	if h.ttl == 0 {
		h.ttl = defaultTTL
	}
	if o.TCP.Random == nil {
		o.TCP.Random = o.Random
	}
	h.tcp = tcp.New(o.TCP)
	h.errors = bucket{rate: h.limits.Errors, tokens: h.limits.Errors}
	h.answers = bucket{rate: h.limits.Echoes, tokens: h.limits.Echoes}
	h.id = uint16(h.random())
	h.neighbors.init(h.limits.Neighbors)
	h.assemblies.init()
	h.udp.init()
	h.paths.init(h.limits.Paths)
	h.buf = make([]byte, 0, mostEthernet+wire.EthernetLen)
	return h
}

// TCP is the host's TCP, for Listen and Event. Dial chooses the address to dial from; Frame, Advance, Next and Flush of
// the host do what the stack's do.
func (h *Host) TCP() *tcp.Stack { return h.tcp }

// Dial opens a TCP connection from the address that Source chooses.
func (h *Host) Dial(now time.Duration, remote netip.AddrPort) (*tcp.Conn, error) {
	src, err := h.Source(remote.Addr())
	if err != nil {
		return nil, err
	}
	return h.tcp.Dial(now, netip.AddrPortFrom(src, 0), remote)
}

// Next is the time at which Advance has something to do. It may be early. It is not ok where nothing is waited for.
func (h *Host) Next() (at time.Duration, ok bool) {
	at = min(h.neighbors.due, h.assemblies.due, h.paths.due)
	for _, i := range h.interfaces {
		at = min(at, i.due)
	}
	if t, ok := h.tcp.Next(); ok {
		at = min(at, t)
	}
	if len(h.looped)+len(h.out)+len(h.tooBig) > 0 {
		at = h.last
	}
	return at, at != off
}

// Advance does what is due by now.
func (h *Host) Advance(now time.Duration) {
	h.last = now
	h.advanceNeighbors(now)
	h.advanceAssemblies(now)
	h.paths.advance(now)
	for _, i := range h.interfaces {
		if i.due <= now {
			i.advance(now)
		}
	}
	h.tcp.Advance(now)
}

// Flush sends what there is to be sent. What send gets is an Ethernet frame, good until it returns; send may not call
// the host.
func (h *Host) Flush(now time.Duration, send func(*Interface, []byte)) {
	h.last = now
	h.send = send
	for _, f := range h.out {
		send(f.i, f.b)
		h.spare = append(h.spare, f.b[:0])
	}
	clear(h.out)
	h.out = h.out[:0]
	h.flushTCP(now)
	// Packets to the host itself come in here, as a card's would: so nobody is called back within his own call.
	n := 0
	for ; n < len(h.looped) && n < h.limits.Looped; n++ {
		h.input(now, nil, h.looped[n], false)
		h.flushTCP(now)
	}
	h.looped = slices.Delete(h.looped, 0, n)
	h.send = nil
}

// emit hands a frame out, or keeps it for the next Flush.
func (h *Host) emit(i *Interface, b []byte) {
	if h.send != nil {
		h.send(i, b)
		return
	}
	if len(h.out) >= h.limits.Output {
		h.Dropped.Output++
		return
	}
	var buf []byte
	if n := len(h.spare); n > 0 {
		buf, h.spare = h.spare[n-1], h.spare[:n-1]
	}
	h.out = append(h.out, frame{i, append(buf, b...)})
}

// loop brings a packet to the host itself at the next Flush.
func (h *Host) loop(b []byte) {
	if len(h.looped) >= 2*h.limits.Looped {
		h.Dropped.Output++
		return
	}
	h.looped = append(h.looped, append([]byte(nil), b...))
}

// Frame takes an Ethernet frame that has come to an interface of this host. Nothing of it is kept.
func (h *Host) Frame(now time.Duration, i *Interface, b []byte) {
	h.last = now
	var e wire.Ethernet
	switch {
	case e.Parse(b) != nil:
		h.Dropped.Malformed++
		return
	case e.Src.IsMulticast():
		h.Dropped.Martian++
		return
	case e.Dst != i.mac && !e.Dst.IsMulticast():
		h.Dropped.Strange++
		return
	}
	switch e.Type {
	case wire.EtherTypeARP:
		h.arp(now, i, e.Payload)
	case wire.EtherTypeIPv4:
		h.input4(now, i, e.Payload, e.Dst.IsMulticast())
	case wire.EtherTypeIPv6:
		h.input6(now, i, e.Payload, e.Dst.IsMulticast())
	default:
		h.Dropped.Strange++
	}
}

// input takes an IP packet of either version; i is nil where it comes from the host itself.
func (h *Host) input(now time.Duration, i *Interface, b []byte, group bool) {
	if b[0]>>4 == 4 {
		h.input4(now, i, b, group)
	} else {
		h.input6(now, i, b, group)
	}
}
