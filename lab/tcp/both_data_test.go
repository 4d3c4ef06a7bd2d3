package tcp_test

import (
	"strings"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// firstSegment opens a connection from the TCP to a peer whose SYN has these options, and tells what the first segment
// of a long text is.
func firstSegment(x *script, change ...func(h *wire.TCP)) string {
	x.dial()
	x.in(wire.SYN|wire.ACK, 0, 1, "", change...)
	x.want(". 1:1 ack 1")
	x.write(times(9000))
	h, ok := x.get(soon)
	if !ok {
		x.t.Fatal("nothing was sent")
	}
	if o := optionsOf(h); o.HasMSS {
		x.t.Error("an MSS on a segment that is no SYN (MUST-65)")
	}
	return x.line(h)
}

func (x *script) equal(got, want string) {
	x.t.Helper()
	if got != want {
		x.t.Errorf("%q was sent, want %q", got, want)
	}
}

func bothMSS(x *script)        { x.equal(firstSegment(x, mss(1000)), ". 1:1001 ack 1") }
func bothMSSDefault(x *script) { x.equal(firstSegment(x), of(x, ". 1:537 ack 1", ". 1:1221 ack 1")) } // MUST-15
func bothMSSLarge(x *script) {
	x.equal(firstSegment(x, mss(9000)), ". 1:"+itoa(x.full()+1)+" ack 1")
}

func bothMSSTiny(x *script) {
	got := firstSegment(x, mss(1))
	x.either("smallest MSS of a peer", func() { x.equal(got, ". 1:89 ack 1") },
		func() { x.equal(got, ". 1:49 ack 1") })
}

func bothOptionsOfSYN(x *script) {
	o := optionsOf(x.dial())
	if !o.HasMSS || int(o.MSS) != x.full() || !o.HasScale || !o.SACKPermitted || !o.HasTimestamps {
		x.t.Errorf("the SYN offers %+v", o) // MUST-14, MUST-67
	}
}

func bothOptionsAnywhere(x *script) {
	x.accept()
	x.in(wire.ACK, 1, 1, "a", options(200, 4, 9, 9)) // of a kind that nobody knows (MUST-6)
	x.in(wire.ACK, 2, 1, "b", options(1, 200, 3, 9)) // not aligned (MUST-64)
	// Those of a SYN, where they mean nothing (MUST-5).
	x.in(wire.ACK, 3, 1, "c", options(3, 3, 7, 2, 4, 0, 1, 1, 0, 9, 9, 9))
	x.read("abc")
	x.pass(100 * ms)
	x.write(times(1500))
	x.want(". 1:1001 ack 4")
}

// bothSegmentSize has the options of a segment taken off its text (MUST-16).
func bothSegmentSize(x *script) {
	h := x.dial()
	o := wire.TCPOptions{HasMSS: true, MSS: 1000, HasTimestamps: true, Value: 1, Echo: optionsOf(h).Value}
	x.in(wire.SYN|wire.ACK, 0, 1, "", parsed(o))
	x.want(". 1:1 ack 1")
	x.write(times(2000))
	x.want(". 1:989 ack 1", ". 989:1977 ack 1")
}

func bothNagle(x *script) {
	x.accept()
	x.write("a")
	x.want(". 1:2 ack 1 a")
	x.write("b")
	x.write("c")
	x.quiet(atRest)
	x.in(wire.ACK, 1, 2, "")
	x.want(". 2:4 ack 1 bc")
	x.write("d")
	x.quiet(atRest)
	x.call(func() { x.s.noDelay(true) }) // MUST-17
	x.want(". 4:5 ack 1 d")
}

func bothDelayedAck(x *script) {
	x.accept()
	n := x.full()
	x.in(wire.ACK, 1, 1, times(n))
	x.in(wire.ACK, n+1, 1, times(n))
	x.want(". 1:1 ack " + itoa(2*n+1)) // every second full segment
	x.in(wire.ACK, 2*n+1, 1, "ask")
	x.write("answer")
	x.want(". 1:7 ack " + itoa(2*n+4) + " answer") // it travels with data
	x.in(wire.ACK, 2*n+4, 7, "one")
	x.wantIn(40*ms, 40*ms, ". 7:7 ack "+itoa(2*n+7)) // MUST-40
}

func bothOutOfOrder(x *script) {
	x.accept()
	x.in(wire.ACK, 3, 1, "cd")
	x.want(". 1:1 ack 1")
	x.in(wire.ACK, 6, 1, "f")
	x.want(". 1:1 ack 1")
	x.in(wire.ACK, 1, 1, "abc")
	x.want(". 1:1 ack 5")
	x.in(wire.ACK|wire.FIN, 7, 1, "g")
	x.want(". 1:1 ack 5")
	x.in(wire.ACK, 5, 1, "ef")
	x.want(". 1:1 ack 9")
	x.read("abcdefg")
	x.ended()
	x.state("CLOSE-WAIT")
}

var sackOK = parsed(wire.TCPOptions{HasMSS: true, MSS: 1000, SACKPermitted: true})

// blocks holds the SACK blocks of a segment, in the peer's numbers.
func (x *script) blocks(h *sent, want ...int) {
	x.t.Helper()
	o := optionsOf(h)
	var got []int
	for _, b := range o.SACK[:o.SACKs] {
		got = append(got, int(int32(b.Left-peerISN)), int(int32(b.Right-peerISN)))
	}
	if len(got) != len(want) {
		x.t.Fatalf("the blocks are %d, want %d", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			x.t.Fatalf("the blocks are %d, want %d", got, want)
		}
	}
}

func bothSACK(x *script) {
	x.accept(sackOK)
	x.in(wire.ACK, 101, 1, times(100))
	x.blocks(x.want(". 1:1 ack 1")[0], 101, 201)
	x.in(wire.ACK, 301, 1, times(100))
	x.blocks(x.want(". 1:1 ack 1")[0], 301, 401, 101, 201) // the latest first: RFC 2018, section 4
	x.in(wire.ACK, 201, 1, times(100))
	x.blocks(x.want(". 1:1 ack 1")[0], 101, 401)
	x.in(wire.ACK, 1, 1, times(100))
	x.blocks(x.want(". 1:1 ack 401")[0])
}

// bothDSACK brings a text twice: RFC 2883 says so in the first block.
func bothDSACK(x *script) {
	x.accept(sackOK)
	x.in(wire.ACK, 1, 1, times(100))
	x.wantIn(40*ms, 40*ms, ". 1:1 ack 101")
	x.in(wire.ACK, 1, 1, times(100))
	h := x.want(". 1:1 ack 101")[0]
	x.either("text that comes twice", func() { x.blocks(h) }, func() { x.blocks(h, 1, 101) })
}

func bothZeroWindow(x *script) {
	x.accept()
	x.in(wire.ACK, 1, 1, "", window(0))
	x.write("hello")
	x.wantIn(200*ms, 250*ms, ". 0:0 ack 1") // SHLD-29
	x.wantIn(400*ms, 500*ms, ". 0:0 ack 1") // SHLD-30
	x.in(wire.ACK, 1, 1, "", window(0))
	h := x.wantIn(200*ms, 900*ms, ". 0:0 ack 1") // for as long as it answers (MUST-37)
	x.in(wire.ACK, 1, 1, "", window(0))
	if x.judge.now()-h.at > time.Second {
		x.t.Skip("the machine is too busy")
	}
	x.state("ESTABLISHED")
	x.in(wire.ACK, 1, 1, "", window(5))
	x.wantIn(0, 2*time.Second, ". 1:6 ack 1 hello")
}

// bothWindowOfOurs fills the TCP's receive buffer, up to a window of zero, and empties it.
func bothWindowOfOurs(x *script) {
	x.accept()
	next, free := 1, 2000
	var h *sent
	for round := 0; free > 0; round++ {
		n := min(free, 1000)
		x.in(wire.ACK, next, 1, times(n))
		next += n
		var ok bool
		if h, ok = x.get(700 * ms); !ok || round > 100 {
			x.t.Fatalf("text of %d bytes is not acknowledged, %d are free", next-1, free)
		}
		free = int(int32(h.Ack-peerISN)) + int(h.Window) - next
	}
	x.write("hi")
	h = x.want(". 1:3 ack " + itoa(next) + " hi")[0]
	if h.Window != 0 {
		x.t.Fatalf("the window is %d", h.Window)
	}
	x.in(wire.ACK, next, 3, "z") // its text is not taken, its ACK is (MUST-66)
	x.want(". 3:3 ack " + itoa(next))
	x.either("acknowledgment of a segment whose text has no room", func() {
		x.quiet(300 * ms) // it was taken: nothing comes again
	}, func() {
		x.wantIn(200*ms, 250*ms, ". 1:3 ack "+itoa(next)+" hi")
		x.in(wire.ACK, next, 3, "")
	})
	b := make([]byte, 10)
	x.s.read(b)
	x.quiet(atRest) // ten bytes are not worth a segment (MUST-39)
	x.read(times(next - 11))
	if h = x.want(". 3:3 ack " + itoa(next))[0]; h.Window < 1000 {
		x.t.Errorf("the window is %d", h.Window)
	}
}

func bothShrinkingWindow(x *script) {
	x.accept()
	x.s.noDelay(true)
	x.write(times(3000))
	x.want(". 1:1001 ack 1", ". 1001:2001 ack 1", ". 2001:3001 ack 1")
	x.in(wire.ACK, 1, 1, "", window(500)) // MUST-34
	x.write("more")
	x.either("window that shrinks by a segment with nothing new", func() {
		x.quiet(atRest)
		x.in(wire.ACK, 1, 3001, "", window(500))
		x.want(". 3001:3005 ack 1 more")
	}, func() {
		x.want(". 3001:3005 ack 1 more")
		x.in(wire.ACK, 1, 3005, "", window(500))
	})
	x.write(times(2000))
	x.in(wire.ACK, 1, 3005, "", window(500))
	x.state("ESTABLISHED")
}

// bothShrunkAck has the peer take its window back over what is on its way: an acknowledgment with a number behind the
// window would not be looked at.
func bothShrunkAck(x *script) {
	x.accept()
	x.write(times(2000))
	x.want(". 1:1001 ack 1", ". 1001:2001 ack 1")
	x.in(wire.ACK, 1, 1, "", window(0))
	x.in(wire.ACK, 5, 1, "late", window(0))
	x.want(". 1:1 ack 1")
}

// bothOldAck has an acknowledgment come with a number of before the window, as a peer sends it whose window was taken
// back.
func bothOldAck(x *script) {
	x.accept()
	x.in(wire.ACK, 1, 1, "hello")
	x.wantIn(40*ms, 40*ms, ". 1:1 ack 6")
	x.write("a")
	x.want(". 1:2 ack 6 a")
	x.in(wire.ACK, 1, 2, "")
	x.want(". 2:2 ack 6")
	x.either("acknowledgment with a number of before the window", func() { x.quiet(400 * ms) },
		func() { x.wantIn(150*ms, 250*ms, ". 1:2 ack 6 a") })
	x.in(wire.ACK, 6, 2, "")
	x.state("ESTABLISHED")
}

// bothShrunkToZero has the peer take its window back over what is on its way, and open it after a while.
func bothShrunkToZero(x *script) {
	x.accept()
	x.write(times(2000))
	x.want(". 1:1001 ack 1", ". 1001:2001 ack 1")
	for range 3 {
		x.in(wire.ACK, 1, 1, "", window(0))
		if _, ok := x.get(3 * time.Second); !ok {
			x.t.Fatal("nothing is asked any more")
		}
	}
	x.pass(0)
	x.state("ESTABLISHED") // SHLD-17
	x.in(wire.ACK, 1, 1001, "", window(5000))
	for {
		h, ok := x.get(4 * time.Second) // SHLD-16
		if !ok {
			x.t.Fatal("the rest does not come")
		}
		if x.line(h) == ". 1001:2001 ack 1" {
			break
		}
	}
	x.in(wire.ACK, 1, 2001, "", window(5000))
	x.quiet(400 * ms)
}

// bothWindowScale offers a scale of 4: windows that come are shifted by it, but a SYN's.
func bothWindowScale(x *script) {
	x.third = window(250) // 4000
	x.accept(parsed(wire.TCPOptions{HasMSS: true, MSS: 1000, HasScale: true, Scale: 4}), window(2000))
	x.s.noDelay(true)
	x.write(times(6000))
	x.want(". 1:1001 ack 1", ". 1001:2001 ack 1", ". 2001:3001 ack 1", ". 3001:4001 ack 1")
	x.quiet(atRest)
}

func bothUrgent(x *script) {
	x.accept()
	x.in(wire.ACK|wire.URG, 1, 1, "ab", urgent(5)) // the urgent text goes on behind the segment (MUST-31)
	x.in(wire.ACK|wire.URG, 3, 1, "cde", urgent(3))
	if !x.s.urgent() {
		x.t.Error("nobody is told (MUST-32)")
	}
}

func bothWriteUrgent(x *script) {
	x.accept()
	x.write("a")
	x.want(". 1:2 ack 1 a")
	x.in(wire.ACK, 1, 2, "")
	if n, err := x.s.writeUrgent([]byte("stop")); n != 4 || err != nil {
		x.t.Fatal(n, err)
	}
	if h := x.want(".U 2:6 ack 1 stop")[0]; h.Urgent != 4 {
		x.t.Errorf("the pointer is %d", h.Urgent) // MUST-62
	}
	x.in(wire.ACK, 1, 6, "")
	x.write("go")
	x.want(". 6:8 ack 1 go")
}

func bothPAWS(x *script) {
	x.accept(parsed(wire.TCPOptions{HasMSS: true, MSS: 1000, HasTimestamps: true, Value: 1}))
	x.in(wire.ACK, 1, 1, "ab", stamp(2000, 0))
	x.read("ab")
	x.pass(100 * ms)
	x.in(wire.ACK, 3, 1, "old", stamp(1500, 0)) // RFC 7323, section 5.3
	h := x.want(". 1:1 ack 3")[0]
	if o := optionsOf(h); o.Echo != 2000 {
		x.t.Errorf("the echo is %d", o.Echo)
	}
	x.in(wire.ACK, 3, 1, "new", stamp(2001, 0))
	x.read("new")
}

func bothNoTimestamp(x *script) {
	x.accept(parsed(wire.TCPOptions{HasMSS: true, MSS: 1000, HasTimestamps: true, Value: 1}))
	x.in(wire.ACK, 1, 1, "ab")
	x.either("segment without a timestamp where they are on", func() { x.read("") }, func() { x.read("ab") })
}

func itoa(n int) string {
	var b strings.Builder
	if n >= 10 {
		b.WriteString(itoa(n / 10))
	}
	b.WriteByte(byte('0' + n%10))
	return b.String()
}
