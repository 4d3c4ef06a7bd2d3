package tcp_test

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// A judge is a TCP that scripts are held against: this package's, in virtual time, or the kernel's, in real time. The
// script plays its only peer. What it calls soon is what a TCP does without a timer.
type judge interface {
	addr() netip.Addr          // of the TCP that is judged: where what is injected goes
	other() netip.Addr         // a second one that it has
	aim(a netip.Addr)          // has addr be this one
	peer() netip.Addr          // of the script
	router() netip.Addr        // another one that the script answers for, and so a way to the peer
	through(via ...netip.Addr) // has what is injected come by this source route

	inject(protocol wire.Protocol, tos uint8, b []byte) // brings a packet of the peer's
	injectFrom(src netip.Addr, b []byte)                // brings a segment with another source
	next(within time.Duration) (sent, bool)             // what the TCP sends next; time passes until then
	now() time.Duration

	listen(backlog int) // at port 80 of addr
	accept() socket     // nil where there is no connection
	// dial opens a connection from an address, from what is unspecified to what the TCP chooses, and by a route.
	dial(from netip.AddrPort, port uint16, via ...netip.Addr) socket
	refused(to netip.Addr) error                  // what a dial to there fails with at once
	inUse() error                                 // what a second listener at port 80 fails with
	state(local, remote uint16) string            // of a connection, as RFC 9293 names it; CLOSED where there is none
	slack(d time.Duration, up bool) time.Duration // a bound of a time, as far as this judge's clock is exact
}

// A socket is a connection as a program has it. No call waits. Errors are this package's.
type socket interface {
	write(b []byte) (int, error)
	writeUrgent(b []byte) (int, error)
	read(b []byte) (n int, end bool, err error)
	closeWrite()
	close()
	abort()
	failed() error   // why it ended; nil where it did not
	urgent() bool    // whether the peer was heard to be urgent
	urgentLeft() int // how much of what is to be read is
	noDelay(on bool)
	tos(tos uint8)
	userTimeout(d time.Duration)
	keepAlive() time.Duration // switches it on, and says after what time a peer is asked where nobody has said
	reports()                 // has the program told of what the network says
	advised() bool            // whether it was, since then
	stalled() bool            // whether three retransmissions were not answered
	route(via ...netip.Addr)  // what is sent from now on goes by
}

// A setup is what a script asks for besides the defaults.
type setup struct {
	receive   int           // bytes of the receive buffer
	keepAlive time.Duration // after which a peer is asked, and between two questions; 0: off
	finWait   time.Duration // the kernel's network has 2 s for all
	orphan    time.Duration // how long a closed connection waits for a window; the kernel's network has three probes
	ecn       bool          // offered too
	reno      bool
	mtuProbes bool // black holes are looked for
	routes    bool // source routes are taken
	ttl       uint8
	backlog   int
	minutes   bool // the script takes minutes: against the kernel it runs where -minutes is given
	seconds   bool // five, alone: against the kernel it runs with PLEXOR_TESTS=all
	only4     bool // it is of IPv4 alone
	late      bool // the kernel's network has other parameters than it has for other scripts
}

// sent is a segment that the judged TCP has sent.
type sent struct {
	wire.TCP
	src      netip.Addr
	via      []netip.Addr // its source route
	tos, ttl uint8
	at       time.Duration
}

// A script is a judge, and the peer that it plays by hand. Numbers are relative: the peer's begin at 0, the TCP's too.
type script struct {
	t       testing.TB
	judge   judge
	s       socket
	local   uint16
	remote  uint16
	iss     uint32 // the TCP's first number
	mark    time.Duration
	third   func(*wire.TCP) // of the third segment of a handshake, where it is another than usual
	matters map[string]bool // in which the judges differ, as far as the script has come
	setup   setup
	kernel  bool
	six     bool // over IPv6
}

// of is what holds for the family over which the script runs.
func of[T any](x *script, four, six T) T {
	if x.six {
		return six
	}
	return four
}

// full is the text of a segment of full size on the link, options left out.
func (x *script) full() int { return of(x, 1460, 1440) }

const (
	peerISN = 1<<32 - 3 // so that numbers go over the end at once
	soon    = 2 * time.Second
)

// in sends a segment of the peer.
func (x *script) in(flags wire.TCPFlags, seq, ack int, text string, change ...func(h *wire.TCP)) {
	x.t.Helper()
	x.inMarked(0, flags, seq, ack, text, change...)
}

func (x *script) inMarked(tos uint8, flags wire.TCPFlags, seq, ack int, text string, change ...func(h *wire.TCP)) {
	x.t.Helper()
	x.mark = x.judge.now()
	x.judge.inject(wire.ProtoTCP, tos, x.bytes(x.judge.peer(), flags, seq, ack, text, change...))
}

// bytes is a segment of the peer with its checksum.
func (x *script) bytes(src netip.Addr, flags wire.TCPFlags, seq, ack int, text string,
	change ...func(h *wire.TCP)) []byte {
	x.t.Helper()
	h := wire.TCP{SrcPort: x.remote, DstPort: x.local, Seq: peerISN + uint32(seq), Flags: flags, Window: 65535,
		Payload: []byte(text)}
	if flags&wire.ACK != 0 {
		h.Ack = x.iss + uint32(ack)
	}
	for _, f := range change {
		f(&h)
	}
	b, err := h.Append(nil, src, x.judge.addr())
	if err != nil {
		x.t.Fatal(err)
	}
	return b
}

// line is a segment of the TCP in few words: flags, seq:end, ack, and a short text. PSH is told of by pushed alone, as
// where it stands is the sender's choice.
func (x *script) line(h *sent) string {
	seq := int(int32(h.Seq - x.iss))
	if h.Flags&wire.RST != 0 && h.Seq == 0 {
		seq = 0
	}
	flags := strings.ReplaceAll(h.Flags.String(), "P", "")
	b := flags + " " + strconv.Itoa(seq) + ":" + strconv.Itoa(seq+int(h.Len()))
	if h.Flags&wire.ACK != 0 {
		b += " ack " + strconv.Itoa(int(int32(h.Ack-peerISN)))
	}
	if n := len(h.Payload); n > 0 && n < 20 {
		b += " " + string(h.Payload)
	}
	return b
}

// get is what the TCP sends within d.
func (x *script) get(d time.Duration) (*sent, bool) {
	h, ok := x.judge.next(d)
	if ok && h.Flags&wire.SYN != 0 {
		x.iss, x.local = h.Seq, h.SrcPort
	}
	return &h, ok
}

// want holds that the TCP sends these segments next, and without waiting for a timer. It says nothing of what comes
// after them: the next want or quiet does.
func (x *script) want(lines ...string) (got []*sent) {
	x.t.Helper()
	for _, line := range lines {
		got = append(got, x.wantIn(0, 0, line))
	}
	return got
}

// wantIn holds that the next segment is this one, and comes so long after what was last sent by either side or called.
func (x *script) wantIn(low, high time.Duration, line string) *sent {
	x.t.Helper()
	since := x.mark
	h, ok := x.get(x.judge.slack(high, true))
	if !ok {
		x.t.Fatalf("nothing was sent, want %q", line)
	}
	if got := x.line(h); got != line {
		x.t.Fatalf("%q was sent, want %q", got, line)
	}
	if d := h.at - since; d < x.judge.slack(low, false) || d > x.judge.slack(high, true) {
		x.t.Fatalf("%q was sent after %v, want %v to %v", line, d, low, high)
	}
	x.mark = h.at
	return h
}

// quiet holds that the TCP sends nothing for d.
func (x *script) quiet(d time.Duration) {
	x.t.Helper()
	if h, ok := x.get(d); ok {
		x.t.Fatalf("%q was sent, want nothing for %v", x.line(h), d)
	}
}

// pass lets d pass, and forgets what is sent.
func (x *script) pass(d time.Duration) {
	for until := x.judge.now() + d; x.judge.now() < until; {
		x.get(until - x.judge.now())
	}
	x.mark = x.judge.now()
}

// atRest is a time in which a TCP without running timers sends nothing.
const atRest = 20 * time.Millisecond

// accept opens a connection to the TCP, and takes it. The SYN has an MSS of 1000 and nothing else, unless change.
func (x *script) accept(change ...func(h *wire.TCP)) {
	x.t.Helper()
	x.listen()
	x.in(wire.SYN, 0, 0, "", append([]func(h *wire.TCP){mss(1000)}, change...)...)
	h, ok := x.get(soon)
	if !ok || h.Flags&(wire.SYN|wire.ACK) != wire.SYN|wire.ACK || h.Ack != peerISN+1 {
		x.t.Fatalf("the answer to a SYN is %v", h)
	}
	x.in(wire.ACK, 1, 1, "", x.ackOf(h, change)...)
	x.take()
}

// ackOf is what the third segment of a handshake needs where the SYN had timestamps.
func (x *script) ackOf(h *sent, change []func(h *wire.TCP)) (list []func(h *wire.TCP)) {
	if o := optionsOf(h); len(change) > 0 && o.HasTimestamps {
		list = append(list, stamp(2, o.Value))
	}
	if x.third != nil {
		list = append(list, x.third)
	}
	return list
}

func (x *script) listen() { x.judge.listen(x.setup.backlog) }

// take accepts the connection.
func (x *script) take() {
	x.t.Helper()
	if !eventually(func() bool { x.s = x.judge.accept(); return x.s != nil }) {
		x.t.Fatal("there is no connection to accept")
	}
	x.state("ESTABLISHED")
}

// dial has the TCP open a connection, and takes its SYN.
func (x *script) dial() *sent {
	x.t.Helper()
	return x.dialFrom(netip.AddrPort{})
}

func (x *script) dialFrom(from netip.AddrPort, via ...netip.Addr) *sent {
	x.t.Helper()
	x.mark = x.judge.now()
	x.s = x.judge.dial(from, x.remote, via...)
	h, ok := x.get(soon)
	if !ok || h.Flags&^(wire.ECE|wire.CWR) != wire.SYN {
		x.t.Fatalf("a dial began with %v", h)
	}
	x.judge.aim(h.src)
	return h
}

// eventually looks until it is so: the kernel may need a moment.
func eventually(f func() bool) bool {
	for end := time.Now().Add(soon); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

func (x *script) write(s string) {
	x.t.Helper()
	x.mark = x.judge.now()
	if n, err := x.s.write([]byte(s)); n != len(s) || err != nil {
		x.t.Fatalf("write: %d, %v", n, err)
	}
}

// read holds that this is what there is to read.
func (x *script) read(want string) {
	x.t.Helper()
	x.mark = x.judge.now()
	var got []byte
	var err error
	b := make([]byte, 1<<20)
	eventually(func() bool {
		var n int
		n, _, err = x.s.read(b)
		got = append(got, b[:n]...)
		return err != nil || len(got) >= len(want)
	})
	if string(got) != want || err != nil {
		x.t.Fatalf("read %q, %v, want %q", got, err, want)
	}
}

// ended holds that the peer's half is at its end.
func (x *script) ended() {
	x.t.Helper()
	if !eventually(func() bool { _, end, err := x.s.read(make([]byte, 1)); return end && err == nil }) {
		x.t.Fatal("there is no end to read")
	}
}

func (x *script) call(f func()) { x.mark = x.judge.now(); f() }

func (x *script) state(want string) {
	x.t.Helper()
	var got string
	if !eventually(func() bool { got = x.judge.state(x.local, x.remote); return got == want }) {
		x.t.Fatalf("the connection is %s, want %s", got, want)
	}
}

// failed holds that the connection has ended, and why.
func (x *script) failed(want error) {
	x.t.Helper()
	var got error
	if !eventually(func() bool { got = x.s.failed(); return got != nil }) || !errors.Is(got, want) {
		x.t.Fatalf("the connection failed with %v, want %v", got, want)
	}
	x.state("CLOSED")
}

// either is where the judges differ: the matter is a row of DIFFERENCES.md.
func (x *script) either(matter string, ours, kernels func()) {
	x.matters[matter] = true
	if x.kernel {
		kernels()
	} else {
		ours()
	}
}

func options(b ...byte) func(h *wire.TCP) { return func(h *wire.TCP) { h.Options = b } }

func parsed(o wire.TCPOptions) func(h *wire.TCP) {
	return func(h *wire.TCP) { h.Options, _ = o.Append(nil) }
}

func mss(n uint16) func(h *wire.TCP) { return parsed(wire.TCPOptions{HasMSS: true, MSS: n}) }

func stamp(value, echo uint32) func(h *wire.TCP) {
	return parsed(wire.TCPOptions{HasTimestamps: true, Value: value, Echo: echo})
}

func sack(blocks ...wire.SACKBlock) func(h *wire.TCP) {
	o := wire.TCPOptions{SACKs: uint8(len(blocks))}
	copy(o.SACK[:], blocks)
	return parsed(o)
}

func window(n uint16) func(h *wire.TCP) { return func(h *wire.TCP) { h.Window = n } }

func urgent(n uint16) func(h *wire.TCP) { return func(h *wire.TCP) { h.Urgent = n } }

// times is a text of n bytes.
func times(n int) string { return strings.Repeat("x", n) }

// optionsOf are the options of a segment.
func optionsOf(h *sent) (o wire.TCPOptions) {
	o.Parse(h.Options)
	return o
}

// A both is a script that is held against both judges.
type both struct {
	name  string // that of its function
	setup setup
	run   func(x *script)
}
