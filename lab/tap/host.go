package tap

import (
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/plexor-go/plexor/lab/ip"
	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/wire"
)

// HostOptions say how a host at a device is.
type HostOptions struct {
	Name   string         // of its interface: eth0 where it is empty
	Addrs  []netip.Prefix // its own, never the kernel's; usable at once
	MAC    wire.MAC       // a random one, locally administered, where it is zero
	TCP    tcp.Options    // Random is the system's generator where it is nil, and MTU the device's where it is 0
	Limits ip.Limits

	// In and Out are what frames pass on their way to the host and to the kernel; nil is nothing. They belong to the host
	// from then on.
	In, Out link.Line

	// MostFrames is how many frames are taken in before what they cause goes out: 64 at 0. More are fewer acknowledgments
	// and longer waits of the calls.
	MostFrames int
}

const defaultFrames = 64

// never is the time of what is not to come.
const never = time.Duration(math.MaxInt64)

// A Host is one of lab/ip's, run in real time at a device. Its methods may be called from any goroutine.
type Host struct {
	dev   *Device
	start time.Time
	ended chan struct{}

	mu        sync.Mutex
	ip        *ip.Host
	eth       *ip.Interface
	in, out   link.Line
	pool      link.Pool
	merger    *merger // where the device has offloads
	most      int
	conns     map[*tcp.Conn]*Conn
	listeners map[*Listener]struct{}
	woken     time.Duration // when the read that waits will end; 0: that is to be set
	now       time.Duration // of the call that works
	closing   bool
	err       error // why it works no more
	refused   int   // frames that the kernel did not take
}

// random is the system's generator.
func random() uint64 {
	var b [8]byte
	crand.Read(b[:]) // never fails: it ends the program where there are no random numbers
	return binary.NativeEndian.Uint64(b[:])
}

// NewHost runs a host at a device, which is closed with it. Where NewHost fails, the device stays the caller's.
func NewHost(dev *Device, o HostOptions) (*Host, error) {
	if o.Name == "" {
		o.Name = "eth0"
	}
	if o.MAC == (wire.MAC{}) {
		v := random()
		o.MAC = wire.MAC{2, byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24), byte(v >> 32)}
	}
	if o.MostFrames <= 0 {
		o.MostFrames = defaultFrames
	}
	if o.TCP.Random == nil {
		o.TCP.Random = random
	}
	if o.TCP.MTU == 0 {
		o.TCP.MTU = dev.MTU()
	}
	h := &Host{dev: dev, start: time.Now(), ended: make(chan struct{}), in: o.In, out: o.Out, most: o.MostFrames,
		conns: map[*tcp.Conn]*Conn{}, listeners: map[*Listener]struct{}{}}
	h.ip = ip.New(ip.Options{Limits: o.Limits, Random: random, TCP: o.TCP})
	h.eth = h.ip.NewInterface(o.Name, o.MAC, dev.MTU())
	if dev.offload {
		h.merger = &merger{write: h.put}
	}
	var err error
	h.Do(func(now time.Duration, _ *ip.Host) {
		for _, a := range o.Addrs {
			if e := h.eth.Add(now, a); e != nil {
				err = errors.Join(err, fmt.Errorf("tap: adding %v: %w", a, e))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	go h.run()
	return h, nil
}

// Do has f work on the host: for what is neither a listener nor a connection (Ping, UDP, counters, routes). now is the
// time since the host began. What f causes goes out before Do returns. f may not call the Host's methods, nor those of
// its listeners and connections, and may keep nothing but what it copies.
func (h *Host) Do(f func(now time.Duration, host *ip.Host)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begin()
	f(h.now, h.ip)
	h.end()
}

// Interface is the host's interface, for use in Do.
func (h *Host) Interface() *ip.Interface { return h.eth }

// Refused is how many frames the kernel did not take, as its interface was down, for one.
func (h *Host) Refused() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refused
}

// Close ends the host and its device at once, without a word to its peers: what they wait for fails with net.ErrClosed.
func (h *Host) Close() error {
	h.mu.Lock()
	h.closing = true
	h.mu.Unlock()
	err := h.dev.Close()
	<-h.ended
	return err
}

// run reads frames, and waits for the timers.
func (h *Host) run() {
	defer close(h.ended)
	n := h.dev.MTU()
	if h.merger != nil {
		n = mostMerged
	}
	buf := make([]byte, n+wire.EthernetLen+slack)
	for {
		err := h.dev.read(buf, h.most, func() { h.mu.Lock(); h.begin() }, func() { h.end(); h.mu.Unlock() }, h.frame)
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			h.tick()
		default:
			h.stop(err)
			return
		}
	}
}

// slack is room for a tag of 802.1Q, and more.
const slack = 64

// tick does what the time has come for.
func (h *Host) tick() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begin()
	h.woken = 0 // nothing waits: end sets the next time
	h.end()
}

// stop ends all that waits.
func (h *Host) stop(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		err = net.ErrClosed
	}
	h.err = err
	for _, c := range h.conns {
		c.changed.all()
	}
	for l := range h.listeners {
		l.changed.all()
	}
}

// begin is the start of work on the host, with the lock held.
func (h *Host) begin() { h.now = time.Since(h.start) }

// frame takes one from the kernel.
func (h *Host) frame(b []byte) {
	if h.merger != nil {
		b = received(b)
	}
	if h.in == nil {
		h.ip.Frame(h.now, h.eth, b)
		return
	}
	h.in.Put(h.now, h.pool.Copy(b))
}

// end does what is due, sends what there is to be sent, tells who waits, and has the read wake up in time.
func (h *Host) end() {
	if h.in != nil {
		for f := h.in.Take(h.now); f != nil; f = h.in.Take(h.now) {
			h.ip.Frame(h.now, h.eth, f.Bytes)
			f.Free()
		}
	}
	h.ip.Advance(h.now)
	h.ip.Flush(h.now, h.send)
	if h.out != nil {
		for f := h.out.Take(h.now); f != nil; f = h.out.Take(h.now) {
			h.write(f.Bytes)
			f.Free()
		}
	}
	if h.merger != nil {
		h.merger.flush()
	}
	h.events()
	at, ok := h.ip.Next()
	for _, l := range []link.Line{h.in, h.out} {
		if l == nil {
			continue
		}
		if t, some := l.Next(); some && (!ok || t < at) {
			at, ok = t, true
		}
	}
	if !ok {
		at = never
	}
	if h.woken == 0 || at < h.woken {
		var when time.Time
		if h.woken = max(at, h.now+1); at != never {
			when = h.start.Add(h.woken)
		}
		_ = h.dev.SetReadDeadline(when) // it fails where the device was closed: then run ends
	}
}

func (h *Host) send(_ *ip.Interface, b []byte) {
	if h.out == nil {
		h.write(b)
		return
	}
	h.out.Put(h.now, h.pool.Copy(b))
}

func (h *Host) write(b []byte) {
	if h.merger != nil {
		h.merger.add(b)
		return
	}
	h.put(b)
}

func (h *Host) put(b []byte) {
	if _, err := h.dev.Write(b); err != nil {
		h.refused++
	}
}

// events tells who waits that something has happened.
func (h *Host) events() {
	for c, e := h.ip.TCP().Event(); c != nil; c, e = h.ip.TCP().Event() {
		if w := h.conns[c]; w != nil {
			w.happened(e)
		}
	}
	for l := range h.listeners {
		if l.waiting > 0 {
			l.look()
		}
	}
}

// A signal is what goroutines wait for, under the host's lock.
type signal struct {
	ch    chan struct{}
	times uint // that all was called
}

// wait is closed at the next all.
func (s *signal) wait() <-chan struct{} {
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

// all wakes all who wait.
func (s *signal) all() {
	s.times++
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
