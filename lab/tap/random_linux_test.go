package tap

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab/ip"
	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/lab/tcp"
)

var (
	exchanges = flag.String("exchanges", "", "how many random exchanges with the kernel: 48, and 12 with -short")
	firstSeed = flag.String("seed", "", "of the first random exchange: 0")
)

// networks counts those of tests that run side by side: each has a device and addresses of its own.
var networks atomic.Int32

// A rig is a host at a device, with addresses that nothing else has.
type rig struct {
	host         *Host
	four, six    [2]netip.Prefix // the kernel's, the host's
	lost, frames atomic.Int64    // of both lines
}

// newRig makes a host whose frames pass lines with these faults in both directions, by the seed; flip has one direction
// suffer what the other does without.
func newRig(t *testing.T, seed uint64, faults link.Options, mtu int, o HostOptions, keep func([]byte) bool,
	flip bool) *rig {
	t.Helper()
	n := networks.Add(1)
	net4 := func(last int) netip.Prefix {
		return netip.MustParsePrefix(fmt.Sprintf("10.%d.%d.%d/24", 60+n>>8, n&255, last))
	}
	net6 := func(last int) netip.Prefix { return netip.MustParsePrefix(fmt.Sprintf("fd60:%x::%d/64", n, last)) }
	r := &rig{four: [2]netip.Prefix{net4(1), net4(2)}, six: [2]netip.Prefix{net6(1), net6(2)}}
	watch := func(_ time.Duration, _ *link.Frame, what link.Fate) {
		if what == link.Lost {
			r.lost.Add(1)
		}
	}
	line := func(direction uint64) link.Line { return &sieve{faulty(faults, seed, direction, watch), keep, r} }
	o.In, o.Out = line(0), line(1)
	if flip {
		o.In, o.Out = line(1), line(0)
	}
	o.TCP.Limits.MSL = 50 * time.Millisecond // so that the last wait is over soon
	o.TCP.Limits.FinWait = 5 * time.Second   // and that for a peer that has reset, if the reset was lost
	k, h := r.four, r.six
	o.Addrs = []netip.Prefix{k[1], h[1]}
	var err error
	if r.host, err = NewHost(device(t, Options{MTU: mtu, Addrs: []netip.Prefix{k[0], h[0]}}), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.host.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// faulty is a line with these faults, in direction 0 or 1, by the seed.
func faulty(faults link.Options, seed, direction uint64, watch link.Watch) link.Line {
	stream := uint64(0)
	return link.New(faults, func(string) *rand.Rand {
		stream++
		return rand.New(rand.NewPCG(seed, 2*stream+direction))
	}, watch)
}

// A sieve is a line into which a frame goes only if keep says so; nil keeps all.
type sieve struct {
	link.Line
	keep func(frame []byte) bool
	r    *rig
}

func (s *sieve) Put(now time.Duration, f *link.Frame) {
	s.r.frames.Add(1)
	if s.keep != nil && !s.keep(f.Bytes) {
		s.r.lost.Add(1)
		f.Free()
		return
	}
	s.Line.Put(now, f)
}

// A plan is what one exchange is, by its seed.
type plan struct {
	faults      link.Options
	mtu         int
	limits      tcp.Limits
	reno, ecn   bool
	six, out    bool
	there, back int           // bytes to the kernel, and from it
	kernelsRead int           // bytes of the kernel's receive buffer; 0: its default
	pause       time.Duration // of a reader, now and then: the window goes to zero
	reset       int           // after so many bytes one side aborts; 0: neither
	byKernel    bool
}

func newPlan(seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 99))
	some := func(p float64) float64 { return p * float64(r.IntN(2)) * r.Float64() }
	size := func() int { return 1 + r.IntN(1<<r.IntN(24)) } // 1 byte to 8 MiB, each magnitude as often
	p := plan{
		faults: link.Options{Delay: time.Duration(r.IntN(2)) * time.Duration(r.Int64N(int64(10*time.Millisecond))),
			Loss: some(0.05), Duplicate: some(0.1), Reorder: some(0.1),
			HeldFor: time.Duration(1 + r.Int64N(int64(3*time.Millisecond)))},
		mtu:    1280 + r.IntN(2)*r.IntN(7720),
		limits: tcp.Limits{SendBuffer: 2000 << r.IntN(10), ReceiveBuffer: 4000 << r.IntN(9)},
		reno:   r.IntN(2) == 0, ecn: r.IntN(2) == 0, six: r.IntN(2) == 0, out: r.IntN(2) == 0,
		there: size(), back: size(), kernelsRead: r.IntN(2) * (4096 << r.IntN(6)),
		pause: time.Duration(r.IntN(2)) * time.Duration(r.Int64N(int64(20*time.Millisecond))),
	}
	if r.IntN(4) == 0 {
		p.reset, p.byKernel = 1+r.IntN(min(p.there, p.back)), r.IntN(2) == 0
	}
	if p.faults.Loss > 0 || p.faults.Reorder > 0 { // what takes long otherwise
		p.there, p.back = min(p.there, 1<<20), min(p.back, 1<<20)
		p.reset = min(p.reset, p.there, p.back)
	}
	if p.kernelsRead > 0 {
		// With less, a segment that is lost can stop the kernel for good where it takes windows back (6.18): those behind it
		// fill its buffer, its window is shut, and so it refuses the one that is missing.
		p.kernelsRead = max(p.kernelsRead, 4*p.mtu)
	}
	// What takes long by itself, as each window takes a round trip or one of the kernel's timeouts, is short.
	least := min(p.limits.SendBuffer, p.limits.ReceiveBuffer)
	if p.kernelsRead > 0 {
		least = min(least, p.kernelsRead)
	}
	if least < 2*p.mtu || p.faults.Delay > 0 && least < 32_000 {
		p.there, p.back = min(p.there, 100_000), min(p.back, 100_000)
		p.reset = min(p.reset, p.there, p.back)
	}
	return p
}

// TestRandom is exchanges between this stack and the kernel's, of random sizes over paths with random faults.
func TestRandom(t *testing.T) {
	// The process in the network of its own has no flags of this package.
	for name, value := range map[string]*string{"exchanges": exchanges, "seed": firstSeed} {
		if *value != "" {
			t.Setenv("PLEXOR_TAP_"+name, *value)
		}
	}
	if !enter(t) {
		return
	}
	// The kernel takes windows back, when its buffer gets smaller or is charged more than was expected.
	for name, value := range map[string]string{"tcp_shrink_window": "1", "tcp_ecn": "1",
		"tcp_congestion_control": "reno"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0); err != nil {
			t.Log(err)
		}
	}
	n, next := setting(t, "exchanges", 48), setting(t, "seed", 0)
	if testing.Short() {
		n = min(n, 12)
	}
	last := next + n
	var mu sync.Mutex
	t.Run("exchanges", func(t *testing.T) {
		for worker := range min(12, n) {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for {
					mu.Lock()
					seed := next
					next++
					mu.Unlock()
					if seed >= last || t.Failed() {
						return
					}
					t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { exchange(t, seed, newPlan(seed)) })
				}
			})
		}
	})
}

// setting is the value of a flag of the first process.
func setting(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv("PLEXOR_TAP_" + name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("-%s: %v", name, err)
	}
	return n
}

// exchange sends both ways at once, ends both halves, and compares every byte; or resets in the midst of it.
func exchange(t *testing.T, seed uint64, p plan) {
	began := time.Now()
	o := HostOptions{TCP: tcp.Options{Limits: p.limits, Reno: p.reno, ECN: p.ecn}}
	rig := newRig(t, seed, p.faults, p.mtu, o, nil, false)
	addrs := rig.four
	if p.six {
		addrs = rig.six
	}
	ours, kernels := pair(t, rig.host, addrs, p.out)
	if p.kernelsRead > 0 {
		kernels.SetReadBuffer(p.kernelsRead)
	}
	there, back := noise(seed, p.there), noise(seed+1, p.back)
	var wg sync.WaitGroup
	wg.Go(func() { send(t, ours, there, p.reset) })
	wg.Go(func() { send(t, kernels, back, p.reset) })
	var fromOurs, fromKernel []byte
	wg.Go(func() { fromKernel = receive(t, ours, p, !p.byKernel, func() { ours.Abort() }) })
	wg.Go(func() {
		fromOurs = receive(t, kernels, p, p.byKernel, func() { kernels.SetLinger(0); kernels.Close() })
	})
	wg.Wait()
	if !bytes.HasPrefix(there, fromOurs) || !bytes.HasPrefix(back, fromKernel) {
		t.Error("the bytes are not those that were sent")
	}
	if p.reset == 0 && (len(fromOurs) != p.there || len(fromKernel) != p.back) {
		t.Errorf("%d of %d bytes came to the kernel, and %d of %d from it", len(fromOurs), p.there, len(fromKernel), p.back)
	}
	rig.ends(t, ours, kernels)
	if t.Failed() {
		t.Logf("%+v, in %v, %d of %d frames lost", p, time.Since(began), rig.lost.Load(), rig.frames.Load())
	}
}

// send writes text and ends the half. Where a reset comes anywhere, it may fail.
func send(t *testing.T, c halfCloser, text []byte, reset int) {
	_, err := c.Write(text)
	if err = errors.Join(err, c.CloseWrite()); err != nil && reset == 0 {
		t.Errorf("%T: %v", c, err)
	}
}

// receive reads to the end, with pauses as the plan has it, or up to the reset, which it does where it is the one.
func receive(t *testing.T, c net.Conn, p plan, aborts bool, abort func()) (got []byte) {
	buf := make([]byte, 1<<14)
	rest := time.NewTimer(0)
	defer rest.Stop()
	for pauses := 0; ; {
		n, err := c.Read(buf)
		got = append(got, buf[:n]...)
		switch {
		case p.reset > 0 && len(got) >= p.reset && aborts:
			abort()
			return got
		case err == io.EOF:
			return got
		case err != nil:
			if p.reset == 0 {
				t.Errorf("%T: read %d bytes, then %v", c, len(got), err)
			}
			return got
		}
		if p.pause > 0 && pauses < 5 && len(got) > pauses*100_000 {
			pauses++
			rest.Reset(p.pause)
			<-rest.C
		}
	}
}

// ends closes what is left and holds that nothing stays of the connection in the host.
func (r *rig) ends(t *testing.T, ours *Conn, kernels *net.TCPConn) {
	ours.Close()
	kernels.Close()
	state := tcp.Established
	for end := time.Now().Add(patience); state != tcp.Closed && time.Now().Before(end); time.Sleep(time.Millisecond) {
		ours.host.Do(func(time.Duration, *ip.Host) { state = ours.tcp.State() })
	}
	if state != tcp.Closed {
		t.Errorf("the connection stays %v", state)
	}
	ours.host.Do(func(_ time.Duration, h *ip.Host) {
		s := h.TCP()
		if len(ours.host.conns) != 0 || s.Refused.Malformed+s.Refused.Checksum != 0 || h.Dropped.Malformed != 0 {
			t.Errorf("%d connections stay; refused %+v, dropped %+v", len(ours.host.conns), s.Refused, h.Dropped)
		}
	})
}
