package plexor

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// Limits bound what peers can make a [Server] do. The zero value of each field means its default; a negative one, where
// that is said, no limit. What a message may be long is the codec's to say (frame.DefaultMax, 1 MiB, unless set).
type Limits struct {
	// Conns is how many connections there may be at once, on all listeners of streams together (default 1048576;
	// negative: as many as there are descriptors). Those beyond it are reset as soon as they are accepted.
	Conns int
	// ConnsPerPeer is how many of them one IP address may have (default: no limit, since a proxy or a router that
	// translates addresses stands for many). Those beyond it are reset. Peers on unix sockets have no address.
	ConnsPerPeer int
	// IdleTimeout is how long a connection may go without a byte in either direction (default 1 hour; negative: for
	// ever). It is closed then, up to an eighth later: Reads and Writes that wait fail with ErrIdle.
	IdleTimeout time.Duration
	// ReadIdle and WriteIdle are how long nothing may have come from the peer, or nothing have been written, before
	// Server.OnIdle or Sessions.Idle is told, again each time that it has been as long once more (default 0: never). It is
	// told up to an eighth of the shortest of these times later. They close nothing by themselves.
	ReadIdle  time.Duration
	WriteIdle time.Duration
	// FirstByte is how long a connection may go without its first byte (default 30 s; negative: as long as IdleTimeout
	// lets it): from its start, and over TLS from the handshake's end. It is closed then, up to an eighth later, and
	// counted in Stats.Silent. It holds while no code of the handler's has run that could set a deadline: not for a
	// GreeterFunc, nor for what a Listener accepts; but for Sessions, whatever Open does.
	FirstByte time.Duration
	// FrameTime is how long a message of [Messages] or [Sessions] may take to arrive, from its first byte to its last
	// (default 1 minute; negative: as long as IdleTimeout lets it). Over TLS that holds for a record too, of which part
	// has come. Then the connection is closed, up to an eighth later, and counted in Stats.SlowFrames. Time in which
	// nothing was read, because the peer did not take its answers, does not count. Who takes messages of many MiB over
	// slow links makes it longer.
	FrameTime time.Duration
	// PartialInput is how many bytes of memory the input of all connections of a loop may take that no handler could use
	// yet (default 64 MiB; negative: no bound): of messages that have arrived in part, with what TLS keeps of a record of
	// theirs, what came for a handler that does not read, and what Conn.HoldsInput tells: heads of HTTP and messages of
	// WebSocket. Beyond it, the connection that has held most for longest, by the product of both, is reset, and
	// counted in Stats.EvictedInputs. One connection alone is never reset for it: what it may hold is for the codec to
	// say. It should be several times the codec's longest message. From half of it on, nothing more is read for a
	// handler that does not read. What Conn.Shared made has a bound for each connection alone.
	PartialInput int
	// HandshakeTimeout is how long a TLS handshake may take from the connection's start (default 10 s).
	HandshakeTimeout time.Duration
	// Handshakes is how many of them may be at work at once on a loop (default 256): those of which a callback of the
	// tls.Config waits for something else. One that waits for its client is not at work, and those beyond wait for their
	// turn. Those whose time passes meanwhile are reset.
	Handshakes int
	// UnfinishedHandshakes is how many there may be at once on a loop in all, at work or not, from their first byte on
	// (default 2048, of which each takes some 35 KiB), and UnfinishedPerPeer how many of them one IPv4 address or /64 of
	// IPv6 may have (default 512; negative: no bound of its own, for a server behind a proxy that hands TLS on). One that
	// comes beyond them takes the place of the one that has waited longest for its client, which is reset; it is reset
	// itself if none waits for its client.
	UnfinishedHandshakes int
	UnfinishedPerPeer    int
	// HighWater is how many bytes of output may wait on one connection (default 256 KiB): Write waits from there on,
	// and reading pauses.
	HighWater int
	// Linger is how long the closing of a connection waits for the peer to acknowledge more of what was written (default
	// 10 s): one that reads slowly gets all, up to 30 times as long.
	Linger time.Duration
	// Outbox bounds the [Outbox] of each connection.
	Outbox OutboxLimits
	// Accepts is how many connections of a [Server.Listen] may wait for Accept (default 1024). Those beyond it are
	// reset.
	Accepts int
	// Packets is how many datagram handlers may run at once on a loop (default 1024). Datagrams beyond it are dropped.
	Packets int
}

const (
	defaultConns            = 1 << 20
	defaultIdleTimeout      = time.Hour
	defaultFirstByte        = 30 * time.Second // half of what common web servers give a request's head
	defaultFrameTime        = time.Minute      // 1 MiB, the longest message unless set, at 17 KiB/s
	defaultPartialInput     = 64 << 20         // 64 of them
	defaultHandshakeTimeout = 10 * time.Second
	defaultHandshakes       = 256
	defaultUnfinished       = 2048
	defaultPeerUnfinished   = 512
	defaultLinger           = 10 * time.Second
	defaultAccepts          = 1024
	defaultPackets          = 1024
)

// withDefaults checks l and fills it in.
func (l Limits) withDefaults() (Limits, error) {
	for _, f := range []struct {
		name      string
		v         *int
		def       int
		unlimited bool // a negative one is no limit
	}{
		{"Conns", &l.Conns, defaultConns, true},
		{"ConnsPerPeer", &l.ConnsPerPeer, -1, true},
		{"Handshakes", &l.Handshakes, defaultHandshakes, false},
		{"UnfinishedHandshakes", &l.UnfinishedHandshakes, defaultUnfinished, false},
		{"UnfinishedPerPeer", &l.UnfinishedPerPeer, defaultPeerUnfinished, true},
		{"PartialInput", &l.PartialInput, defaultPartialInput, true},
		{"HighWater", &l.HighWater, defaultHighWater, false},
		{"Accepts", &l.Accepts, defaultAccepts, false},
		{"Packets", &l.Packets, defaultPackets, false},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < 0 && !f.unlimited {
			return l, fmt.Errorf("plexor: Limits.%s is %d: it must be positive, or 0 for the default of %d", f.name, *f.v, f.def)
		}
	}
	for _, f := range []struct {
		name      string
		v         *time.Duration
		def       time.Duration
		unlimited bool
	}{
		{"IdleTimeout", &l.IdleTimeout, defaultIdleTimeout, true},
		{"FirstByte", &l.FirstByte, defaultFirstByte, true},
		{"FrameTime", &l.FrameTime, defaultFrameTime, true},
		{"HandshakeTimeout", &l.HandshakeTimeout, defaultHandshakeTimeout, false},
		{"Linger", &l.Linger, defaultLinger, false},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < 0 && !f.unlimited {
			return l, fmt.Errorf("plexor: Limits.%s is %v: it must be positive, or 0 for the default of %v", f.name, *f.v, f.def)
		}
	}
	for _, f := range []struct {
		name string
		v    time.Duration
	}{{"ReadIdle", l.ReadIdle}, {"WriteIdle", l.WriteIdle}} {
		if f.v < 0 {
			return l, fmt.Errorf("plexor: Limits.%s is %v: it must be positive, or 0 for never", f.name, f.v)
		}
	}
	var err error
	l.Outbox, err = l.Outbox.withDefaults()
	return l, err
}

// Stats are a server's counts since it started.
type Stats struct {
	Conns    int   // open now
	Handlers int   // running now; one of Messages runs only while it handles one
	Accepted int64 // connections, all that came

	Handshaking int   // unfinished TLS handshakes now
	Handshakes  int64 // those that succeeded

	// Refused, by reason.
	RefusedConns      int64 // Limits.Conns
	RefusedPeer       int64 // Limits.ConnsPerPeer
	RefusedAccepts    int64 // Limits.Accepts
	RefusedHandshakes int64 // Limits.Handshakes; UnfinishedHandshakes and UnfinishedPerPeer with none to evict
	RefusedDriver     int64 // the driver had no room
	StepBacks         int64 // how often a listener had to wait for a free descriptor

	// Ended early, by reason.
	Idle              int64 // Limits.IdleTimeout
	Silent            int64 // Limits.FirstByte
	SlowFrames        int64 // Limits.FrameTime
	EvictedInputs     int64 // Limits.PartialInput: they held most for longest
	BadFrames         int64 // Messages: what came was none
	Failed            int64 // Messages: the handler returned an error
	Panics            int64 // of handlers
	HandshakeTimeouts int64 // Limits.HandshakeTimeout
	EvictedHandshakes int64 // Limits.UnfinishedHandshakes and UnfinishedPerPeer: for newer ones
	HandshakeErrors   int64 // TLS handshakes that failed for any other reason
	Undelivered       int64 // Limits.Linger passed after the close

	// Datagrams.
	PacketsIn, PacketsOut int64
	PacketsDropped        int64 // Limits.Packets, or an answer that found no room

	Stalls int64 // how often a handler held its loop too long

	// Listeners has the counts of each address of streams, in the order in which they were opened. One that is closed is
	// listed until its last connection has ended.
	Listeners []ListenerStats
}

type counters struct {
	conns, handlers                              atomic.Int64
	refusedConns, refusedPeer, refusedAccepts    atomic.Int64
	idle, badFrames, failed, panics, undelivered atomic.Int64
	silent, slowFrames, evictedInputs            atomic.Int64
	packetsDropped                               atomic.Int64
	handshaking, handshakes                      atomic.Int64
	refusedHandshakes, evictedHandshakes         atomic.Int64
	handshakeTimeouts, handshakeErrors           atomic.Int64
}

// Stats returns the server's counts. Any goroutine may call it.
func (s *Server) Stats() Stats {
	c := &s.stats
	var l loop.Stats
	s.mu.Lock()
	if s.group != nil {
		l = s.group.Stats()
	}
	listeners := s.listeners()
	s.mu.Unlock()
	refused := c.refusedConns.Load() + c.refusedPeer.Load() + c.refusedAccepts.Load()
	return Stats{
		Conns:             int(c.conns.Load()),
		Handlers:          int(c.handlers.Load()),
		Accepted:          l.Accepted,
		RefusedConns:      c.refusedConns.Load(),
		RefusedPeer:       c.refusedPeer.Load(),
		RefusedAccepts:    c.refusedAccepts.Load(),
		RefusedDriver:     max(l.Refused-refused, 0),
		StepBacks:         l.StepBacks,
		Idle:              c.idle.Load(),
		Silent:            c.silent.Load(),
		SlowFrames:        c.slowFrames.Load(),
		EvictedInputs:     c.evictedInputs.Load(),
		BadFrames:         c.badFrames.Load(),
		Failed:            c.failed.Load(),
		Panics:            c.panics.Load(),
		Undelivered:       c.undelivered.Load(),
		Handshaking:       int(c.handshaking.Load()),
		Handshakes:        c.handshakes.Load(),
		RefusedHandshakes: c.refusedHandshakes.Load(),
		EvictedHandshakes: c.evictedHandshakes.Load(),
		HandshakeTimeouts: c.handshakeTimeouts.Load(),
		HandshakeErrors:   c.handshakeErrors.Load(),
		PacketsIn:         l.PacketsIn,
		PacketsOut:        l.PacketsOut,
		PacketsDropped:    c.packetsDropped.Load() + l.Dropped,
		Stalls:            l.Stalls,
		Listeners:         listeners,
	}
}

// A census counts connections by peer.
type census struct {
	mu sync.Mutex
	of map[netip.Addr]int
}

// enter counts one more, unless there are as many as may be.
func (c *census) enter(a netip.Addr, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[a] >= most {
		return false
	}
	if c.of == nil {
		c.of = make(map[netip.Addr]int)
	}
	c.of[a]++
	return true
}

func (c *census) leave(a netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[a]--; c.of[a] == 0 {
		delete(c.of, a)
	}
}

// admit counts a connection in, or counts its refusal.
func (s *Server) admit(peer netip.AddrPort) bool {
	n := s.stats.conns.Add(1)
	if s.limits.Conns > 0 && n > int64(s.limits.Conns) {
		s.stats.conns.Add(-1)
		s.stats.refusedConns.Add(1)
		return false
	}
	if s.limits.ConnsPerPeer > 0 && peer.IsValid() && !s.peers.enter(peer.Addr(), s.limits.ConnsPerPeer) {
		s.stats.conns.Add(-1)
		s.stats.refusedPeer.Add(1)
		return false
	}
	return true
}

// leave counts one out that admit had let in.
func (s *Server) leave(peer netip.AddrPort) {
	s.stats.conns.Add(-1)
	if s.limits.ConnsPerPeer > 0 && peer.IsValid() {
		s.peers.leave(peer.Addr())
	}
}
