package tcp

import (
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

var (
	addrA = netip.MustParseAddr("10.0.0.1")
	addrB = netip.MustParseAddr("10.0.0.2")
)

// A packet is a segment on its way, as bytes.
type packet struct {
	at       time.Duration
	order    int
	src, dst netip.Addr
	tos      uint8
	b        []byte
}

type air []packet

func (a air) Len() int { return len(a) }
func (a air) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}
func (a air) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *air) Push(x any)   { *a = append(*a, x.(packet)) }
func (a *air) Pop() any     { p := (*a)[len(*a)-1]; *a = (*a)[:len(*a)-1]; return p }

// A path says what happens to packets between the two stacks.
type path struct {
	delay, jitter time.Duration
	loss, double  float64
	mark          float64 // of segments that say they know ECN
	rate          int     // bytes a second; 0: no limit
}

// A sim is two stacks with a path between them, in virtual time.
type sim struct {
	t       testing.TB
	now     time.Duration
	a, b    *Stack
	addrs   [2]netip.Addr // theirs
	wake    time.Duration // when an application has something to do
	air     air
	order   int
	path    path
	rnd     *rand.Rand
	free    [2]time.Duration // when the line in each direction is free
	drop    func(s *wire.TCP, from netip.Addr) bool
	seen    []string // lines of what was sent
	keep    bool
	packets int
	marks   int
}

func newSim(t testing.TB, seed uint64, p path, a, b Options) *sim {
	s := &sim{t: t, path: p, rnd: rand.New(rand.NewPCG(seed, 1)), addrs: [2]netip.Addr{addrA, addrB}, wake: off}
	for i, o := range []*Options{&a, &b} {
		o.Random = rand.New(rand.NewPCG(seed, uint64(2+i))).Uint64
	}
	s.a, s.b = New(a), New(b)
	return s
}

// put sends what a stack has to send.
func (s *sim) put(g *Segment) {
	s.packets++
	if s.keep {
		s.seen = append(s.seen, g.Src.String()+" "+g.TCP.String())
	}
	dropped := s.drop != nil && s.drop(&g.TCP, g.Src) // which may change it as well
	b, err := g.TCP.Append(nil, g.Src, g.Dst)
	if err != nil {
		s.t.Fatalf("%v: %v", &g.TCP, err)
	}
	mtu := s.a.mtu
	if g.Src == s.addrs[1] {
		mtu = s.b.mtu
	}
	header := 20
	if g.Src.Is6() {
		header = 40
	}
	if n := header + len(b); n > mtu {
		s.t.Fatalf("%v: a packet of %d bytes on a link with an MTU of %d", &g.TCP, n, mtu)
	}
	if dropped || s.rnd.Float64() < s.path.loss {
		return
	}
	tos := g.TOS
	if tos&3 != 0 && s.rnd.Float64() < s.path.mark {
		tos |= 3
		s.marks++
	}
	times := 1
	if s.rnd.Float64() < s.path.double {
		times = 2
	}
	for range times {
		leave := s.now
		if s.path.rate > 0 {
			i := 0
			if g.Src == s.addrs[1] {
				i = 1
			}
			s.free[i] = max(s.free[i], s.now) + time.Duration(len(b)+40)*time.Second/time.Duration(s.path.rate)
			leave = s.free[i]
		}
		at := leave + s.path.delay
		if s.path.jitter > 0 {
			at += time.Duration(s.rnd.Int64N(int64(s.path.jitter)))
		}
		s.order++
		heap.Push(&s.air, packet{at, s.order, g.Src, g.Dst, tos, b})
	}
}

func (s *sim) flush() {
	s.a.Flush(s.now, s.put)
	s.b.Flush(s.now, s.put)
}

// step goes on to the next thing that happens. It is false where nothing does, before the time until.
func (s *sim) step(until time.Duration) bool {
	s.flush()
	next := s.wake
	if len(s.air) > 0 {
		next = s.air[0].at
	}
	for _, k := range []*Stack{s.a, s.b} {
		if at, ok := k.Next(); ok {
			next = min(next, at)
		}
	}
	if next > until {
		s.now = until
		return false
	}
	s.now = max(s.now, next)
	for len(s.air) > 0 && s.air[0].at <= s.now {
		p := heap.Pop(&s.air).(packet)
		to := s.b
		if p.dst == s.addrs[0] {
			to = s.a
		}
		to.Input(s.now, Envelope{Src: p.src, Dst: p.dst, TOS: p.tos}, p.b)
	}
	s.a.Advance(s.now)
	s.b.Advance(s.now)
	holdPipe(s.t, s.a)
	holdPipe(s.t, s.b)
	return true
}

// run lets d pass.
func (s *sim) run(d time.Duration) {
	for until := s.now + d; s.step(until); {
	}
}

// connect opens a connection from a to b.
func (s *sim) connect() (c, d *Conn) {
	s.t.Helper()
	l, err := s.b.Listen(netip.AddrPortFrom(s.addrs[1], 80), 0)
	if err != nil {
		s.t.Fatal(err)
	}
	if c, err = s.a.Dial(s.now, netip.AddrPortFrom(s.addrs[0], 0), netip.AddrPortFrom(s.addrs[1], 80)); err != nil {
		s.t.Fatal(err)
	}
	for until := s.now + time.Hour; d == nil && s.step(until); {
		d = l.Accept()
	}
	if d == nil || c.State() != Established || d.State() != Established {
		s.t.Fatalf("%v: %v, %v, %v", s.now, c.State(), c.Err(), d)
	}
	return c, d
}

// nothingLeft holds that both stacks are as they were before a connection, and that neither was sent what is not well
// formed.
func (s *sim) nothingLeft() {
	s.t.Helper()
	for _, k := range []*Stack{s.a, s.b} {
		if len(k.conns) != 0 || k.pool.used != 0 || len(k.waiting) != 0 || len(k.queue) != 0 {
			s.t.Errorf("left behind: %d connections, %d pages, %d that wait, %d timers", len(k.conns), k.pool.used,
				len(k.waiting), len(k.queue))
		}
		if k.Refused.Malformed+k.Refused.Checksum != 0 {
			s.t.Errorf("%+v", k.Refused)
		}
	}
}

// holdPipe holds that what is counted to be in flight is the sum of the records, and that a timer runs for them.
func holdPipe(t testing.TB, s *Stack) {
	t.Helper()
	for _, c := range s.conns {
		sum := 0
		for i := range c.records {
			sum += c.records[i].flying()
		}
		if len(c.records) > 0 && c.timers[timerRetransmit] == off && !c.marked {
			t.Fatalf("no timer runs for what is on its way: %+v", c)
		}
		if c.pipe != sum {
			t.Fatalf("%d are said to be in flight, the records have %d: %+v", c.pipe, sum, c.records)
		}
	}
}
