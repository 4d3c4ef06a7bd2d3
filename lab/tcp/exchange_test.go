package tcp

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

var (
	exchanges = flag.Int("exchanges", 0, "how many random exchanges of the stack with itself: 200, and 60 with -short")
	firstSeed = flag.Uint64("seed", 0, "of the first random exchange")
)

// An ending is how an application leaves.
type ending uint8

const (
	halfCloses ending = iota // ends its half behind what it writes, and reads to the end
	closes                   // does both, and then closes
	leaves                   // closes in the midst of it, whatever there is to be read
	aborts                   // resets in the midst of it
	endings
)

// A plan is what one exchange is, by its seed.
type plan struct {
	path   path
	six    bool
	shrink float64 // of segments, those whose window somebody has made smaller
	keep   bool    // keep-alive is on
	sides  [2]struct {
		o       Options
		size    int           // bytes that it writes
		read    int           // bytes that it reads at once
		pause   time.Duration // before it reads on, now and then
		noDelay bool
		urgent  bool // what it writes first
		end     ending
		after   int // bytes that it has read when it leaves or aborts
	}
}

func newPlan(seed uint64) (p plan) {
	r := rand.New(rand.NewPCG(seed, 99))
	some := func(p float64) float64 { return p * float64(r.IntN(2)) * r.Float64() }
	long := func(d time.Duration) time.Duration {
		return time.Duration(r.IntN(2)) * time.Duration(r.Int64N(int64(d)))
	}
	p.path = path{delay: long(50 * time.Millisecond), jitter: long(10 * time.Millisecond), loss: some(0.2),
		double: some(0.1), mark: some(0.1)}
	if r.IntN(4) == 0 {
		p.path.rate = 10_000 << r.IntN(12)
	}
	p.six, p.shrink = r.IntN(2) == 0, some(0.05)
	most := 24 // 1 byte to 8 MiB, each magnitude as often; less where each window takes a round trip, or more
	if p.path.loss > 0 || p.path.jitter > 0 || p.shrink > 0 {
		most = 20
	}
	least := 576
	if p.six {
		least = 1280
	}
	for i := range p.sides {
		s := &p.sides[i]
		s.o = Options{Reno: r.IntN(2) == 0, ECN: r.IntN(2) == 0, MTU: least + r.IntN(2)*r.IntN(7720), Limits: Limits{
			UserTimeout: time.Hour, MSL: time.Hour, // at such losses nine timeouts in a row do happen
			SendBuffer: 2000 << r.IntN(10), ReceiveBuffer: 2000 << r.IntN(10)}}
		s.size, s.read = 1+r.IntN(1<<r.IntN(most)), 1+r.IntN(1<<r.IntN(17))
		if buffer := min(s.o.Limits.SendBuffer, s.o.Limits.ReceiveBuffer); buffer < 2*s.o.MTU || p.path.delay > 0 {
			s.size = min(s.size, 1000*buffer)
		}
		s.size = min(s.size, 20_000*s.read)
		s.pause = long(3 * time.Second)
		s.noDelay, s.urgent = r.IntN(2) == 0, r.IntN(8) == 0
		if s.end = halfCloses; r.IntN(2) == 0 {
			s.end = ending(r.IntN(int(endings)))
		}
	}
	for i := range p.sides {
		s := &p.sides[i]
		s.after = r.IntN(p.sides[1-i].size)
		p.keep = p.keep || s.end >= leaves // the reset may be lost, and then nobody tells who only listens
	}
	for i := range p.sides {
		if p.keep {
			p.sides[i].o.Limits.KeepAlive = time.Minute
		}
	}
	return p
}

// An app is an application at one end.
type app struct {
	t       testing.TB
	c       *Conn
	plan    *plan
	n       int // its number
	out     []byte
	in      []byte
	end     bool // it has read the end
	left    bool
	pauses  int
	waiting time.Duration // it does not read before
}

// work does all that the application can do now.
func (a *app) work(now time.Duration) {
	a.t.Helper()
	s := &a.plan.sides[a.n]
	broken := func(err error) bool {
		if err != nil && !(a.plan.keep && (errors.Is(err, ErrReset) || errors.Is(err, ErrTimeout))) {
			a.t.Fatalf("%v: application %d: %v in %v", now, a.n, err, a.c.State())
		}
		a.left = a.left || err != nil
		return err != nil
	}
	for len(a.out) > 0 && !a.left {
		write := a.c.Write
		if s.urgent && len(a.out) == s.size {
			write = a.c.WriteUrgent
		}
		n, err := write(now, a.out[:min(len(a.out), 1+s.size/3)])
		if broken(err) || n == 0 {
			break
		}
		if a.out = a.out[n:]; len(a.out) == 0 && s.end < leaves && broken(a.c.CloseWrite(now)) {
			break
		}
	}
	buf := make([]byte, s.read)
	for !a.end && !a.left && now >= a.waiting {
		n, end, err := a.c.Read(now, buf)
		if broken(err) || n == 0 && !end {
			return
		}
		a.in, a.end = append(a.in, buf[:n]...), end
		switch {
		case s.end == aborts && len(a.in) >= s.after:
			a.c.Abort(now)
			a.left = true
		case s.end == leaves && (len(a.in) >= s.after || end):
			_ = a.c.Close(now) // that of a connection that has failed
			a.left = true
		case s.pause > 0 && a.pauses < 5 && len(a.in) > a.pauses*100_000:
			a.pauses++
			a.waiting = now + s.pause
		}
	}
}

// done reports whether the application has nothing to do any more.
func (a *app) done() bool { return a.left || a.end && len(a.out) == 0 }

// shrunk is a segment whose window somebody has made smaller, now and then to nothing.
func (p *plan) shrunk(r *rand.Rand, h *wire.TCP) {
	if p.shrink > 0 && h.Flags&(wire.SYN|wire.RST) == 0 && r.Float64() < p.shrink {
		h.Window = uint16(r.IntN(2)) * uint16(r.IntN(int(h.Window)+1))
	}
}

// exchangeRandom is one: every byte is compared, and all that is left at the end is looked at.
func exchangeRandom(t testing.TB, seed uint64) {
	p := newPlan(seed)
	s := newSim(t, seed, p.path, p.sides[0].o, p.sides[1].o)
	if p.six {
		s.addrs = [2]netip.Addr{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")}
	}
	meddler := rand.New(rand.NewPCG(seed, 7))
	s.drop = func(h *wire.TCP, _ netip.Addr) bool { p.shrunk(meddler, h); return false }
	r := rand.New(rand.NewPCG(seed, 9))
	var apps [2]*app
	texts := [2][]byte{noise(r, p.sides[0].size), noise(r, p.sides[1].size)}
	c, d := s.connect()
	for i, conn := range []*Conn{c, d} {
		apps[i] = &app{t: t, c: conn, plan: &p, n: i, out: texts[i]}
		conn.SetNoDelay(p.sides[i].noDelay)
	}
	for until := s.now + 100*time.Hour; ; {
		s.wake = off
		for _, a := range apps {
			a.work(s.now)
			if a.waiting > s.now {
				s.wake = min(s.wake, a.waiting)
			}
		}
		if apps[0].done() && apps[1].done() {
			break
		}
		if !s.step(until) || s.packets > 5_000_000 { // no exchange has so many
			t.Fatalf("%v: it stands still:\n%+v\n%+v", s.now, c, d)
		}
	}
	s.wake = off
	for _, a := range apps {
		if !a.left && a.plan.sides[a.n].end == closes {
			_ = a.c.Close(s.now) // of a connection that was reset meanwhile
		} else if a.left {
			a.c.Abort(s.now) // whoever has gone leaves nothing behind, whatever the peer does
		}
	}
	s.run(12 * time.Hour)
	for i, a := range apps {
		if !bytes.HasPrefix(texts[1-i], a.in) || !p.keep && len(a.in) < len(texts[1-i]) {
			t.Errorf("application %d has read %d bytes, of %d, or others", i, len(a.in), len(texts[1-i]))
		}
		if a.c.State() != Closed || !p.keep && a.c.Err() != nil {
			t.Errorf("connection %d: %v, %v", i, a.c.State(), a.c.Err())
		}
	}
	s.nothingLeft()
}

// TestRandom is exchanges by seed, in virtual time: over IPv4 and IPv6, with losses, reordering, duplicates, marks,
// slow lines, small buffers, windows that shut and that are taken back, half-closes, closes and resets. As a soak:
//
//	go test -run '^TestRandom$' -timeout 0 ./lab/tcp -exchanges 100000
//
// lab/tap has those with the kernel, with the same flags.
func TestRandom(t *testing.T) {
	n := uint64(*exchanges)
	if n == 0 {
		if n = 200; testing.Short() {
			n = 60
		}
	}
	var next atomic.Uint64
	for worker := range runtime.GOMAXPROCS(0) {
		t.Run(fmt.Sprint(worker), func(t *testing.T) {
			t.Parallel()
			for !t.Failed() {
				k := next.Add(1) - 1
				if k >= n {
					return
				}
				seed := *firstSeed + k
				t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
					exchangeRandom(t, seed)
					if t.Failed() {
						t.Logf("%+v", newPlan(seed))
					}
				})
			}
		})
	}
}
