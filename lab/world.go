package lab

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/plexor-go/plexor/internal/wait"
	"github.com/plexor-go/plexor/lab/ip"
	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/wire"
	"github.com/plexor-go/plexor/wire/pcapng"
)

// Options say how a world is. The zero value of each field means its default.
type Options struct {
	// Seed is what all chance in the world comes from. In a live world it is that of the cables alone, and what hosts
	// choose, as ports and sequence numbers, is the system's.
	Seed uint64
	// Live says that time is the system's, and moves by itself from New to Close.
	Live bool
	// Start is the time at the world's beginning (default 2030-01-01 00:00 UTC; of a live world the system's).
	Start time.Time
	// FirstCable is the number of the first cable, by which it gets its addresses: see Connect.
	FirstCable int
	// Capture gets all frames that are sent, as pcapng, with what became of them as comments (default: none).
	Capture io.Writer
	// Patience is how long, by the system's clock, Run waits for something from outside where nothing in the world has
	// anything to do and functions are still running (default 5 s).
	Patience time.Duration
}

// A World is hosts and cables, and moves their time. Its methods may be called from any goroutine but those of its
// loops; hosts and cables are not made while Run runs.
type World struct {
	opt     Options
	bubbled bool // it was made in a testing/synctest bubble
	sched   scheduler

	mu      sync.Mutex // of all below, of the hosts' stacks and of the cables
	hosts   []*Host
	plugs   []*plug
	outside []*outside
	agenda  agenda
	pool    link.Pool
	heard   []news // what to tell the loops, once mu is free
	spare   []news
	capture *pcapng.Writer
	broken  error // of the capture
	comment []string
	sending bool
	lively  *lively // of a live world
	tasks   tasks

	starting sync.Mutex // of the loops of Host.Go and their ends. It comes before mu
	closed   bool
}

// A plug is a host's end of a cable.
type plug struct {
	host *Host
	i    *ip.Interface
	card *link.Card
	peer *Host
	four netip.Addr
	six  netip.Addr
	seen int // its number in the capture

	number int           // among all, in the order in which they were made
	other  *plug         // the cable's other end; nil where that is outside
	next   time.Duration // of its appointment; off: none
}

// New makes a world without hosts.
func New(o Options) *World {
	if o.Live {
		o.Start = time.Now()
	} else if o.Start.IsZero() {
		o.Start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	w := &World{opt: o, bubbled: wait.Bubbled()}
	w.sched.still.L = &w.sched.mu
	if o.Live {
		w.sched.mode, w.sched.begun = live, o.Start
		w.lively = newLively(w)
	}
	if o.Capture != nil {
		w.capture = pcapng.NewWriter(o.Capture, pcapng.Section{Application: "plexor lab"})
	}
	return w
}

// stream is a stream of the seed's chance, of its own for each name.
func (w *World) stream(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = io.WriteString(h, name) // it never fails
	return rand.New(rand.NewPCG(w.opt.Seed, h.Sum64()))
}

// Host makes a host without cables, which reaches itself alone. The name is what others look it up by; a second host of
// that name panics, and so does one that is made in Run.
func (w *World) Host(name string) *Host {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mayBuild("Host")
	for _, h := range w.hosts {
		if h.name == name {
			panic(fmt.Sprintf("lab: World.Host: there is a host %q already", name))
		}
	}
	h := newHost(w, name)
	h.number = len(w.hosts)
	w.hosts = append(w.hosts, h)
	return h
}

func (w *World) mayBuild(what string) {
	w.sched.mu.Lock()
	defer w.sched.mu.Unlock()
	if w.sched.mode == stepped {
		panic("lab: World." + what + " in Run")
	}
}

// mostCables is how many networks of the addresses below there are.
const mostCables = 1 << 16

// Connect joins two hosts by a cable, with a line of these options in each direction. Each cable is a network of its
// own: number 0 is 10.0.0.0/24 and fd00::/64, of which a has .1 and b has .2, number 1 10.0.1.0/24 and
// fd00:0:0:1::/64.
func (w *World) Connect(a, b *Host, o link.Options) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mayBuild("Connect")
	n := w.opt.FirstCable + (len(w.plugs)-len(w.outside))/2
	if n < 0 || n >= mostCables || a.w != w || b.w != w {
		panic("lab: World.Connect: there are too many cables, or a host is of another world")
	}
	name := fmt.Sprintf("cable %d ", n)
	ends := [2]*plug{w.plug(a, b, n, 1), w.plug(b, a, n, 2)}
	ends[0].other, ends[1].other = ends[1], ends[0]
	lines := [2]link.Line{}
	for side, p := range ends {
		lines[side] = link.New(o, func(fault string) *rand.Rand {
			return w.stream(fmt.Sprint(name, side, " ", fault))
		}, func(_ time.Duration, f *link.Frame, what link.Fate) { w.fate(p, f, what) })
	}
	link.Connect(ends[0].card, ends[1].card, lines[0], lines[1], &w.pool)
	for _, p := range ends {
		now := w.time()
		for _, prefix := range []netip.Prefix{netip.PrefixFrom(p.four, 24), netip.PrefixFrom(p.six, 64)} {
			if err := p.i.Add(now, prefix); err != nil {
				panic(fmt.Sprintf("lab: World.Connect: %v: %v", prefix, err)) // it is a new one
			}
		}
	}
}

// plug makes a host's end of cable n.
func (w *World) plug(h, peer *Host, n, side int) *plug {
	p := w.plugAs(h, peer, wire.MAC{2, 0, 0, byte(n >> 8), byte(n), byte(side)})
	p.four = netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), byte(side)})
	p.six = netip.AddrFrom16([16]byte{0: 0xfd, 6: byte(n >> 8), 7: byte(n), 15: byte(side)})
	return p
}

// plugAs makes an end with this link address; peer is nil where the cable leaves the world.
func (w *World) plugAs(h, peer *Host, mac wire.MAC) *plug {
	name := fmt.Sprintf("eth%d", len(h.plugs))
	p := &plug{host: h, peer: peer, i: h.ip.NewInterface(name, mac, 1500), card: &link.Card{Addr: mac},
		number: w.agenda.plugs, next: off}
	w.agenda.plugs++
	w.stir(h)
	w.plugs = append(w.plugs, p)
	h.plugs[p.i] = p
	if w.capture != nil {
		seen, err := w.capture.Interface(pcapng.Interface{Name: h.name + "-" + name, LinkType: pcapng.Ethernet})
		p.seen, w.broken = seen, errors.Join(w.broken, err)
	}
	return p
}

// Strays is how often something from outside has woken a loop in Run, as far as that was seen: each may make the next
// run another one.
func (w *World) Strays() int {
	w.sched.mu.Lock()
	defer w.sched.mu.Unlock()
	return w.sched.strays
}

// Now is the world's time.
func (w *World) Now() time.Time {
	if w.opt.Live {
		return time.Now()
	}
	return w.opt.Start.Add(w.sched.time())
}

// time is what the machines take for the time: since the world's beginning, and never back. The caller holds mu.
func (w *World) time() time.Duration {
	if w.opt.Live {
		// In a bubble that is not the world's, where Close may be called, it is long ago.
		if now := int64(time.Since(w.sched.begun)); now > w.sched.now.Load() {
			w.sched.now.Store(now)
		}
	}
	return w.sched.time()
}

// Close ends the loops that Host.Go has made, and the world's goroutine and its cables to the outside if it is live.
// Loops and servers of others must have been closed before. The errors are those of the capture, if it could not be
// written, and of what is outside. A second call does nothing.
func (w *World) Close() error {
	w.starting.Lock()
	was := w.closed
	w.closed = true
	w.starting.Unlock()
	if was {
		return nil
	}
	if w.lively != nil {
		w.lively.stop()
	}
	w.mu.Lock()
	hosts, broken, out := w.hosts, w.broken, w.outside
	w.mu.Unlock()
	var errs []error
	for _, o := range out {
		errs = append(errs, o.close())
	}
	for _, h := range hosts {
		errs = append(errs, h.endLoop())
	}
	return errors.Join(append(errs, broken)...)
}

// off is the time of what never comes.
const off = time.Duration(1<<63 - 1)

// settle delivers what has arrived by now, does what is due, and sends what there is to be sent. It reports whether
// anything was done. The caller holds mu, and tells when it has let go of it.
func (w *World) settle(now time.Duration) (busy bool) {
	told, a := len(w.heard), &w.agenda
	w.due(now)
	for _, p := range a.arrived {
		for f := p.card.Receive(now); f != nil; f = p.card.Receive(now) {
			p.host.ip.Frame(now, p.i, f.Bytes)
			f.Free()
			busy = true
			w.stir(p.host)
		}
		a.expect(p)
	}
	a.arrived = a.arrived[:0]
	slices.SortFunc(a.astir, func(x, y *Host) int { return cmp.Compare(x.number, y.number) })
	for _, h := range a.astir {
		if at, ok := h.ip.Next(); ok && at <= now {
			h.ip.Advance(now)
			busy = true
		}
		h.ip.Flush(now, h.send)
		h.pump()
		h.astir = false
		a.again(h)
	}
	a.astir = a.astir[:0]
	for _, o := range w.outside {
		busy = o.deliver(now) || busy
	}
	return busy || len(w.heard) > told
}

// transmit puts a frame on the cable, and into the capture.
func (w *World) transmit(p *plug, b []byte) {
	w.sending, w.comment = true, w.comment[:0]
	err := p.card.Send(w.sched.time(), b)
	w.sending = false
	if p.other != nil {
		w.agenda.expect(p.other)
	}
	if err != nil {
		w.comment = append(w.comment, err.Error())
	}
	w.record(p, b)
}

// fate is told by the lines what happens to a frame: as it is put there, or later.
func (w *World) fate(p *plug, f *link.Frame, what link.Fate) {
	if w.capture == nil {
		return
	}
	w.comment = append(w.comment, what.String())
	if !w.sending {
		w.record(p, f.Bytes)
	}
}

func (w *World) record(p *plug, b []byte) {
	if w.capture != nil && w.broken == nil {
		w.broken = w.capture.Packet(&pcapng.Packet{Interface: p.seen, Time: w.opt.Start.Add(w.sched.time()), Data: b,
			Comments: w.comment})
	}
	w.comment = w.comment[:0]
}

// A news is what a loop is to be told of something that is ready.
type news struct {
	tell func(loop.Ready)
	what loop.Ready
}

// tell tells the loops what has happened, in the order in which it has, and what happens by that. The caller does not
// hold mu: who is told may wake a loop, and that one may run at once.
func (w *World) tell() {
	for {
		w.mu.Lock()
		heard := w.takeNews()
		w.mu.Unlock()
		if len(heard) == 0 {
			return
		}
		w.tellNews(heard)
	}
}

// takeNews takes what is to be told. The caller holds mu.
func (w *World) takeNews() (heard []news) {
	if heard = w.heard; len(heard) > 0 {
		w.heard, w.spare = w.spare[:0], nil
	}
	return heard
}

// tellNews tells what takeNews has returned. The caller does not hold mu.
func (w *World) tellNews(heard []news) {
	if len(heard) == 0 {
		return
	}
	for i := range heard {
		heard[i].tell(heard[i].what)
		heard[i] = news{}
	}
	w.mu.Lock()
	w.spare = heard[:0]
	w.mu.Unlock()
}
