package uring

import (
	"errors"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func newBufRing(t testing.TB, r *Ring, o BufRingOptions) *BufRing {
	t.Helper()
	b, err := r.NewBufRing(o)
	skipUnless(t, err)
	return b
}

func wantAvailable(t testing.TB, b *BufRing, want int) {
	t.Helper()
	n, err := b.Available()
	if errors.Is(err, unix.EINVAL) {
		return // before Linux 6.8
	}
	if n != want || err != nil {
		t.Errorf("the kernel has %d buffers (%v), want %d", n, err, want)
	}
}

// TestOutOfBuffers: a multishot receive ends when no buffer is left, and once there is one goes on where it was.
func TestOutOfBuffers(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		bufs := newBufRing(t, r, BufRingOptions{Group: 3, Entries: 4, Size: 16})
		a, b := newPair(t)
		get(t, r, 1).RecvMultishot(a, 3)
		_, err := r.Submit()
		ok(t, err)
		text := "sixteen bytes of sixteen bytes of sixteen bytes of sixteen bytes of sixteen bytes of it!"
		write(t, b, text)
		var got string
		var held []uint16
		for {
			c := next(t, r)
			if c.Errno() == unix.ENOBUFS {
				if c.More() || c.HasBuffer() {
					t.Errorf("without a buffer: %+v, want no more", c)
				}
				break
			}
			got += string(bufs.Data(&c))
			held = append(held, c.BufferID())
			if !c.More() {
				t.Fatalf("%+v has no more to come", c)
			}
		}
		if len(held) != 4 || bufs.Held() != 4 || got != text[:64] {
			t.Fatalf("%d buffers, %d held, with %q; want 4", len(held), bufs.Held(), got)
		}
		wantAvailable(t, bufs, 0)
		for _, id := range held {
			bufs.Release(id)
		}
		bufs.Publish()
		wantAvailable(t, bufs, 4)
		get(t, r, 1).RecvMultishot(a, 3)
		for len(got) < len(text) {
			c := wantOK(t, r, 1)
			got += string(bufs.Data(&c))
			bufs.Release(c.BufferID())
		}
		if got != text {
			t.Errorf("received %q, want %q", got, text)
		}
		unix.Shutdown(b, unix.SHUT_WR)
		c := wantRes(t, r, 1, 0)
		if c.More() || len(bufs.Data(&c)) != 0 {
			t.Errorf("the end: %+v", c)
		}
		if c.HasBuffer() {
			bufs.Release(c.BufferID())
		}
		if bufs.Held() != 0 {
			t.Errorf("%d buffers are held at the end", bufs.Held())
		}
	})
}

func TestRecvSelect(t *testing.T) {
	r := newRing(t, loopOptions())
	bufs := newBufRing(t, r, BufRingOptions{Entries: 2, Size: 16})
	a, b := newPair(t)
	get(t, r, 1).RecvSelect(a, 0, 0, 0)
	quiet(t, r)
	wantAvailable(t, bufs, 2)
	write(t, b, "12345")
	c := wantRes(t, r, 1, 5)
	if got := string(bufs.Data(&c)); got != "12345" || c.More() {
		t.Errorf("received %q", got)
	}
	bufs.Release(c.BufferID())
	write(t, b, "12345")
	get(t, r, 2).RecvSelect(a, 0, 3, 0)
	c = wantRes(t, r, 2, 3)
	if got := string(bufs.Data(&c)); got != "123" || !c.NonEmpty() {
		t.Errorf("received %q, non-empty %v", got, c.NonEmpty())
	}
}

// TestRecvLimits: no piece is larger than asked, the operation ends with the piece that reaches the total, and the rest
// stays in the socket.
func TestRecvLimits(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		for name, inc := range map[string]bool{"whole buffers": false, "incremental": true} {
			bufs := newBufRing(t, r, BufRingOptions{Entries: 8, Size: 16, Incremental: inc})
			a, b := newPair(t)
			write(t, b, "0123456789")
			for round, row := range []struct {
				piece, total int
				want         string
			}{{3, 3, "012"}, {3, 5, "345678"}, {5, 1, "9"}} {
				s := get(t, r, 1)
				s.RecvMultishot(a, bufs.Group())
				s.RecvLimits(row.piece, row.total)
				got, longest := "", 0
				for more := true; more; {
					c := next(t, r)
					if c.Errno() == unix.EINVAL {
						t.Skip("the kernel does not bound multishot receives: that came with Linux 6.17")
					}
					p := bufs.Data(&c)
					got, longest = got+string(p), max(longest, len(p))
					bufs.Release(c.BufferID())
					more = c.More()
				}
				if got != row.want || longest > row.piece {
					t.Errorf("%s, round %d: received %q, the longest piece %d: want %q, at most %d", name, round, got, longest,
						row.want, row.piece)
				}
			}
			ok(t, bufs.Close())
		}
	})
}

func TestIncremental(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		bufs := newBufRing(t, r, BufRingOptions{Entries: 2, Size: 10, Incremental: true})
		a, b := newPair(t)
		get(t, r, 1).RecvMultishot(a, 0)
		step := func(text string, id uint16, more bool) []byte {
			t.Helper()
			_, err := r.Submit()
			ok(t, err)
			write(t, b, text)
			c := wantRes(t, r, 1, len(text))
			data := bufs.Data(&c)
			if string(data) != text || c.BufferID() != id || (c.Flags&CQEBufMore != 0) != more || !c.More() {
				t.Fatalf("received %q in buffer %d, flags %#x; want %q in %d, more of it %v", data, c.BufferID(), c.Flags, text, id,
					more)
			}
			return data
		}
		first := step("abc", 0, true)
		second := step("defg", 0, true)
		third := step("hij", 0, false) // full
		fourth := step("klm", 1, true)
		if got := string(first) + string(second) + string(third) + string(fourth); got != "abcdefghijklm" {
			t.Errorf("the pieces are %q: one was overwritten", got)
		}
		if bufs.Held() != 1 {
			t.Errorf("%d buffers held, want the full one", bufs.Held())
		}
		bufs.Release(0)
		bufs.Release(0)
		if bufs.Held() != 1 {
			t.Error("the buffer went back with a piece out")
		}
		bufs.Retain(0)
		bufs.Release(0)
		bufs.Release(0)
		bufs.Publish()
		if bufs.Held() != 0 {
			t.Error("the buffer did not go back with its last piece")
		}
		bufs.Release(1) // its piece; the rest of it is still to be filled
		wantPanic(t, "one Release too many", "nobody has", func() { bufs.Release(1) })
		wantPanic(t, "Retain of nothing", "nobody has", func() { bufs.Retain(1) })
		step("nopqrst", 1, false)
		step("uvw", 0, true)
	})
}

func TestRecvmsgMultishot(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		bufs := newBufRing(t, r, BufRingOptions{Entries: 8, Size: 256})
		arena := newArena(t)
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		ok(t, err)
		own(t, fd)
		if err := unix.Bind(fd, &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16()}); err != nil {
			t.Skipf("no IPv6 here: %v", err)
		}
		ok(t, unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1))
		client, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		ok(t, err)
		own(t, client)
		to := nameOf(t, fd)
		ok(t, unix.Connect(client, &unix.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port())}))
		m := Alloc[Message](arena)
		m.ReceiveAddress()
		m.SetControl(arena.Bytes(64))
		for i, text := range []string{"one", "", "three", "four"} {
			if i != 1 && i != 3 { // an empty datagram ends the operation
				get(t, r, 1).RecvmsgMultishot(fd, 0, m, 0)
				_, err = r.Submit()
				ok(t, err)
			}
			n, err := unix.Write(client, []byte(text))
			if n != len(text) || err != nil {
				t.Fatal(err)
			}
			c := wantOK(t, r, 1)
			got, valid := m.ParseRecvmsg(bufs.Data(&c))
			if !valid || string(got.Payload) != text || got.PayloadLen != len(text) || got.From() != nameOf(t, client) ||
				got.Flags != 0 || c.More() != (text != "") {
				t.Errorf("received %q from %v, %+v, more %v; want %q from %v", got.Payload, got.From(), got, c.More(), text,
					nameOf(t, client))
			}
			messages, err := unix.ParseSocketControlMessage(got.Control)
			if err != nil || len(messages) != 1 || messages[0].Header.Type != unix.IPV6_PKTINFO {
				t.Errorf("control messages %v, %v; want a packet info", messages, err)
			}
			bufs.Release(c.BufferID())
		}
		long := make([]byte, 1000)
		_, err = unix.Write(client, long)
		ok(t, err)
		c := wantOK(t, r, 1)
		got, valid := m.ParseRecvmsg(bufs.Data(&c))
		if want := 256 - 16 - sockaddrRoom - 64; !valid || len(got.Payload) != want || got.Flags&unix.MSG_TRUNC == 0 {
			t.Errorf("of 1000 bytes %d, flags %#x; want %d and MSG_TRUNC", len(got.Payload), got.Flags, want)
		}
	})
}

func TestParseRecvmsg(t *testing.T) {
	for n := range 16 + 8 + 4 {
		if _, valid := parseRecvmsg(make([]byte, n), 8, 4); valid {
			t.Errorf("%d bytes were taken for a message", n)
		}
	}
	if r, valid := parseRecvmsg(make([]byte, 28), 8, 4); !valid || len(r.Payload) != 0 {
		t.Errorf("28 bytes: %+v, %v", r, valid)
	}
}

func FuzzParseRecvmsg(f *testing.F) {
	f.Add(make([]byte, 40), 8, 4)
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2}, 1, 0)
	f.Fuzz(func(t *testing.T, data []byte, nameRoom, controlRoom int) {
		r, valid := parseRecvmsg(data, nameRoom, controlRoom)
		if valid && (len(r.Name) > nameRoom || len(r.Control) > controlRoom || len(r.Payload)+16+nameRoom+
			controlRoom > len(data)) {
			t.Errorf("parseRecvmsg(%v, %d, %d) = %+v", data, nameRoom, controlRoom, r)
		}
		r.From()
	})
}

func TestBufRingLimit(t *testing.T) {
	r := newRing(t, loopOptions())
	page := os.Getpagesize()
	bufs := newBufRing(t, r, BufRingOptions{Entries: 8, Size: page, Start: 2})
	wantAvailable(t, bufs, 2)
	bufs.SetLimit(5)
	bufs.Publish()
	wantAvailable(t, bufs, 5)
	a, b := newPair(t)
	get(t, r, 1).RecvMultishot(a, 0)
	_, err := r.Submit()
	ok(t, err)
	var held []uint16
	for range 4 {
		write(t, b, "x")
		c := wantRes(t, r, 1, 1)
		bufs.Data(&c)
		held = append(held, c.BufferID())
	}
	bufs.SetLimit(2)
	for _, id := range held {
		bufs.Release(id)
	}
	bufs.Publish()
	if bufs.InUse() != 2 || bufs.Held() != 0 {
		t.Errorf("%d in use, %d held, want 2 and 0", bufs.InUse(), bufs.Held())
	}
	wantAvailable(t, bufs, 2)
	if x := bufs.bytes(held[0])[0]; x != 0 {
		t.Errorf("a buffer out of use still has its page: %q", x)
	}
	bufs.SetLimit(100)
	bufs.SetLimit(0)
	if bufs.InUse() != 8 {
		t.Errorf("%d in use, want all", bufs.InUse())
	}
}

// TestTailStays: a buffer that goes into the place that the tail shares is not seen before Publish, nor is the tail
// hurt.
func TestTailStays(t *testing.T) {
	r := newRing(t, loopOptions())
	bufs := newBufRing(t, r, BufRingOptions{Entries: 2, Size: 8})
	for i := range 6 {
		c := CQE{Res: 1, Flags: CQEBuffer | CQEFlags(i&1)<<16}
		bufs.Data(&c)
		bufs.Release(c.BufferID())
		id, tail := uint16(i&1), uint16(2+i)
		if i&1 == 1 {
			id = 0
		}
		if got := bufs.entries[0].idTail; got != idTail(id, tail) {
			t.Errorf("after %d: identity and tail %#x, want %#x", i, got, idTail(id, tail))
		}
		bufs.Publish()
		if got := bufs.entries[0].idTail; got != idTail(id, tail+1) {
			t.Errorf("after %d, published: identity and tail %#x, want %#x", i, got, idTail(id, tail+1))
		}
	}
}

func TestBufRingRefused(t *testing.T) {
	r := newRing(t, loopOptions())
	newBufRing(t, r, BufRingOptions{Entries: 2, Size: 1})
	for _, row := range []struct {
		name string
		o    BufRingOptions
		want error
	}{
		{"no entries", BufRingOptions{Group: 1, Size: 1}, os.ErrInvalid},
		{"no power of two", BufRingOptions{Group: 1, Entries: 3, Size: 1}, os.ErrInvalid},
		{"too many", BufRingOptions{Group: 1, Entries: 65536, Size: 1}, os.ErrInvalid},
		{"no size", BufRingOptions{Group: 1, Entries: 2}, os.ErrInvalid},
		{"start of sends", BufRingOptions{Group: 1, Entries: 2, Size: 1, Start: 1, Send: true}, os.ErrInvalid},
		{"incremental sends", BufRingOptions{Group: 1, Entries: 2, Size: 1, Incremental: true, Send: true}, os.ErrInvalid},
		{"start", BufRingOptions{Group: 1, Entries: 2, Size: 1, Start: 3}, os.ErrInvalid},
		{"group taken", BufRingOptions{Entries: 2, Size: 1}, unix.EEXIST},
	} {
		if _, err := r.NewBufRing(row.o); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
	mappings := known.len()
	b := newBufRing(t, r, BufRingOptions{Group: 5, Entries: 2, Size: 1})
	ok(t, b.Close())
	ok(t, b.Close())
	if n := known.len(); n != mappings {
		t.Errorf("%d mappings after a buffer ring was closed, %d before it was made", n, mappings)
	}
	wantPanic(t, "a completion of nobody's", "which the kernel does not have", func() {
		b := newBufRing(t, r, BufRingOptions{Group: 6, Entries: 2, Size: 1})
		c := CQE{Res: 1, Flags: CQEBuffer | 1<<16}
		b.Release(uint16(len(b.Data(&c)))) // fine
		b.Data(&c)
		b.Data(&c)
	})
}
