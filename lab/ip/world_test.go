package ip

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/wire"
	"github.com/plexor-go/plexor/wire/pcapng"
)

// A world is hosts with cables between them, in virtual time.
type world struct {
	t     testing.TB
	now   time.Duration
	seed  uint64
	hosts []*Host
	plugs []plug
	pool  link.Pool
	seen  []string // lines of what was sent, where keep
	keep  bool
	trace *pcapng.Writer
	steps int
}

type plug struct {
	h    *Host
	i    *Interface
	card *link.Card
}

func newWorld(t testing.TB, seed uint64) *world { return &world{t: t, seed: seed} }

// host makes a host with its own stream of the seed.
func (w *world) host(o Options) *Host {
	o.Random = rand.New(rand.NewPCG(w.seed, uint64(len(w.hosts)+1))).Uint64
	h := New(o)
	w.hosts = append(w.hosts, h)
	return h
}

// cable connects two hosts by new interfaces.
func (w *world) cable(a, b *Host, mtu int, o link.Options) (*Interface, *Interface) {
	w.t.Helper()
	var ends [2]*Interface
	var cards [2]*link.Card
	for n, h := range []*Host{a, b} {
		mac := wire.MAC{2, 0, 0, 0, 0, byte(len(w.plugs) + 1)}
		ends[n] = h.NewInterface("eth", mac, mtu)
		cards[n] = &link.Card{Addr: mac, MTU: mtu}
		w.plugs = append(w.plugs, plug{h, ends[n], cards[n]})
	}
	stream := func(n uint64) func(string) *rand.Rand {
		return func(fault string) *rand.Rand {
			return rand.New(rand.NewPCG(w.seed^uint64(len(fault))<<8, uint64(len(w.plugs))<<1|n))
		}
	}
	link.Connect(cards[0], cards[1], link.New(o, stream(0), nil), link.New(o, stream(1), nil), &w.pool)
	return ends[0], ends[1]
}

func (w *world) flush() {
	for _, h := range w.hosts {
		h.Flush(w.now, func(i *Interface, b []byte) {
			for n, p := range w.plugs {
				if p.i != i {
					continue
				}
				if w.keep {
					var k wire.Packet
					if err := k.Parse(b); err != nil {
						w.t.Fatalf("%x: %v", b, err)
					}
					w.seen = append(w.seen, k.String())
				}
				if w.trace != nil {
					err := w.trace.Packet(&pcapng.Packet{Interface: n, Time: pcapng.Epoch(w.now), Data: b})
					if err != nil {
						w.t.Fatal(err)
					}
				}
				if err := p.card.Send(w.now, b); err != nil {
					w.t.Fatal(err)
				}
			}
		})
	}
}

// step goes on to the next thing that happens. It is false where nothing does before the time until.
func (w *world) step(until time.Duration) bool {
	w.flush()
	next := off
	for _, h := range w.hosts {
		if at, ok := h.Next(); ok {
			next = min(next, at)
		}
	}
	for _, p := range w.plugs {
		if at, ok := p.card.Next(); ok {
			next = min(next, at)
		}
	}
	if next > until {
		w.now = max(w.now, until)
		return false
	}
	w.now = max(w.now, next)
	if w.steps++; w.steps > 1e6 {
		w.t.Fatalf("%v: it goes on and on", w.now)
	}
	for _, p := range w.plugs {
		for f := p.card.Receive(w.now); f != nil; f = p.card.Receive(w.now) {
			p.h.Frame(w.now, p.i, f.Bytes)
			f.Free()
		}
	}
	for _, h := range w.hosts {
		h.Advance(w.now)
		holdBounds(w.t, h)
	}
	return true
}

// run lets d pass.
func (w *world) run(d time.Duration) {
	for until := w.now + d; w.step(until); {
	}
}

// capture writes what is sent from now on into b.
func (w *world) capture(b *bytes.Buffer) {
	w.trace = pcapng.NewWriter(b, pcapng.Section{Application: "plexor"})
	for range w.plugs {
		if _, err := w.trace.Interface(pcapng.Interface{LinkType: pcapng.Ethernet}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// holdBounds holds that the tables of a host agree with each other and are within their bounds.
func holdBounds(t testing.TB, h *Host) {
	t.Helper()
	l, held := h.limits, 0
	for _, a := range h.assemblies.list {
		sum := 0
		for _, f := range a.pieces {
			sum += len(f.data)
		}
		if sum != a.bytes || len(a.pieces) > l.Fragments {
			t.Fatalf("a datagram with %d bytes in %d pieces says %d", sum, len(a.pieces), a.bytes)
		}
		held += sum
	}
	for _, n := range h.neighbors.list {
		if len(n.waiting) > l.Waiting || len(n.waiting) > 0 && n.State != Incomplete {
			t.Fatalf("%v: %d packets wait", n.Neighbor, len(n.waiting))
		}
	}
	if held != h.assemblies.bytes || held > l.AssemblyBytes || len(h.assemblies.list) > l.Assemblies ||
		len(h.assemblies.table) != len(h.assemblies.list) || len(h.neighbors.list) > l.Neighbors ||
		len(h.neighbors.table) != len(h.neighbors.list) || len(h.paths.list) > l.Paths || len(h.out) > l.Output ||
		len(h.looped) > 2*l.Looped || len(h.echoes) > l.Replies {
		t.Fatalf("over a bound: %d bytes of %d datagrams, %d neighbors, %d paths, %d frames", held,
			len(h.assemblies.list), len(h.neighbors.list), len(h.paths.list), len(h.out))
	}
}

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func port(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func text(n int) (b []byte) { // bytes that differ from their neighbors, whatever the distance
	for i := range n {
		b = append(b, byte(i*7+i>>8))
	}
	return b
}

// pair is two hosts on a cable, with addresses of both families.
func pair(t testing.TB, o Options, l link.Options) (w *world, a, b *Host) {
	w = newWorld(t, 1)
	a, b = w.host(o), w.host(o)
	i, j := w.cable(a, b, 1500, l)
	w.add(i, "10.0.0.1/24", "2001:db8::1/64")
	w.add(j, "10.0.0.2/24", "2001:db8::2/64")
	w.run(time.Second)
	return w, a, b
}

// families are the two ends of pair, in either.
var families = []struct{ a, b netip.Addr }{
	{addr("10.0.0.1"), addr("10.0.0.2")}, {addr("2001:db8::1"), addr("2001:db8::2")}}

func (w *world) add(i *Interface, prefixes ...string) {
	w.t.Helper()
	for _, p := range prefixes {
		if err := i.Add(w.now, prefix(p)); err != nil {
			w.t.Fatal(p, err)
		}
	}
}

func (w *world) listen(h *Host, at string) *Socket {
	w.t.Helper()
	s, err := h.ListenUDP(port(at))
	if err != nil {
		w.t.Fatal(at, err)
	}
	return s
}

func (w *world) dial(h *Host, to netip.AddrPort) *Socket {
	w.t.Helper()
	s, err := h.DialUDP(to)
	if err != nil {
		w.t.Fatal(to, err)
	}
	return s
}

// want holds what a socket has to read.
func want(t testing.TB, s *Socket, data []byte, err error) Datagram {
	t.Helper()
	d, ok, got := s.Read()
	if ok != (data != nil) || !bytes.Equal(d.Data, data) || got != err {
		t.Fatalf("%v: read %d bytes, %v, %v; want %d, %v", s.Local(), len(d.Data), ok, got, len(data), err)
	}
	return d
}
