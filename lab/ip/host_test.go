package ip

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/wire"
)

func TestDatagrams(t *testing.T) {
	w, a, b := pair(t, Options{}, link.Options{Delay: time.Millisecond})
	for _, f := range families {
		s, c := w.listen(b, netip.AddrPortFrom(f.b, 9).String()), w.dial(a, netip.AddrPortFrom(f.b, 9))
		for _, n := range []int{1, 2, 1000, 1472, 1473, 2960, 2961, 20000, 65507} {
			if err := c.Send(w.now, text(n)); err != nil {
				t.Fatal(n, err)
			}
			w.run(time.Second)
			d := want(t, s, text(n), nil)
			if d.From.Addr() != f.a || b.ReadyUDP() != s || b.ReadyUDP() != nil {
				t.Errorf("%d bytes came from %v", n, d.From)
			}
			if err := s.SendTo(w.now, d.From, []byte("back")); err != nil {
				t.Fatal(err)
			}
			w.run(time.Second)
			want(t, c, []byte("back"), nil)
		}
		if err := c.Send(w.now, text(65536)); err != ErrTooLong {
			t.Error("65536 bytes:", err)
		}
		c.Whole = true
		if err := c.Send(w.now, text(1500)); err != ErrTooLong {
			t.Error("1500 bytes that may not be cut:", err)
		}
		c.Close()
		s.Close()
		if err := c.Send(w.now, nil); err != ErrClosed {
			t.Error("a closed socket:", err)
		}
	}
}

func TestPortUnreachable(t *testing.T) {
	w, a, _ := pair(t, Options{}, link.Options{})
	for _, f := range families {
		c := w.dial(a, netip.AddrPortFrom(f.b, 9))
		if err := c.Send(w.now, []byte("x")); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		if a.ReadyUDP() != c {
			t.Error("nobody was told")
		}
		want(t, c, nil, ErrRefused)
		want(t, c, nil, nil) // once
	}
}

// TestTold tells a socket for everybody which of its datagrams were refused, if it wants to know, and keeps so many.
func TestTold(t *testing.T) {
	w, a, _ := pair(t, Options{Limits: Limits{Refusals: 3}}, link.Options{})
	for _, f := range families {
		s := w.listen(a, netip.AddrPortFrom(f.a, 7).String())
		for _, told := range []bool{false, true} {
			s.Told = told
			was := a.Dropped.Sockets
			for n := range 5 {
				if err := s.SendTo(w.now, netip.AddrPortFrom(f.b, uint16(10+n)), nil); err != nil {
					t.Fatal(err)
				}
			}
			w.run(time.Second)
			for n := 0; told && n < 3; n++ {
				want := Refusal{netip.AddrPortFrom(f.b, uint16(10+n)), ErrRefused}
				if r, ok := s.Refusal(); !ok || r != want {
					t.Errorf("%v, %v; want %v", r, ok, want)
				}
			}
			r, ok := s.Refusal()
			if n := a.Dropped.Sockets - was; ok || told && n != 2 || !told && n != 0 {
				t.Errorf("one more, %v, and %d were dropped; told: %v", r, n, told)
			}
		}
	}
}

func TestSockets(t *testing.T) {
	w, a, b := pair(t, Options{Limits: Limits{Sockets: 4, Datagrams: 3, Bytes: 1000}}, link.Options{})
	all, one := w.listen(b, "0.0.0.0:9"), w.listen(b, "[::]:9")
	for _, at := range []string{"10.0.0.2:9", "0.0.0.0:9", "[2001:db8::2]:9"} {
		if _, err := b.ListenUDP(port(at)); err != ErrInUse {
			t.Error(at, err)
		}
	}
	for _, at := range []string{"10.0.0.9:9", "[::ffff:10.0.0.2]:10"} {
		if _, err := b.ListenUDP(port(at)); err != ErrAddress {
			t.Error(at, err)
		}
	}
	w.listen(b, "0.0.0.0:0")
	w.listen(b, "0.0.0.0:0")
	if _, err := b.ListenUDP(port("0.0.0.0:0")); err != ErrLimit {
		t.Error("one more than the limit:", err)
	}
	c := w.listen(a, "0.0.0.0:1000")
	for n := range 5 {
		if n == 1 {
			w.run(time.Second) // the link address is known now
		}
		if err := c.SendTo(w.now, port("10.0.0.2:9"), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	w.run(time.Second)
	for range 3 {
		want(t, all, []byte("x"), nil)
	}
	want(t, all, nil, nil)
	if err := c.SendTo(w.now, port("10.0.0.2:9"), text(1001)); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	want(t, all, nil, nil)
	want(t, one, nil, nil)
	if b.Dropped.Sockets != 3 {
		t.Errorf("%d were dropped, want 3", b.Dropped.Sockets)
	}
	if err := c.SendTo(w.now, port("[2001:db8::2]:9"), nil); err != ErrAddress {
		t.Error("another family:", err)
	}
	if err := c.SendTo(w.now, port("192.0.2.1:9"), nil); err != ErrUnreachable {
		t.Error("no route:", err)
	}
	// A socket for one peer does not hear others.
	one.Close()
	d := w.dial(b, port("10.0.0.1:7"))
	if err := c.SendTo(w.now, d.Local(), []byte("guess")); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	want(t, d, nil, nil)
}

func TestLoopback(t *testing.T) {
	h := newWorld(t, 1)
	a := h.host(Options{})
	for _, to := range []string{"127.0.0.1:9", "[::1]:9"} {
		s := h.listen(a, to)
		c := h.dial(a, port(to))
		if err := c.Send(h.now, text(5000)); err != nil {
			t.Fatal(err)
		}
		h.run(0)
		want(t, s, text(5000), nil)
	}
	l, err := a.TCP().Listen(port("127.0.0.1:80"), 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Dial(h.now, port("127.0.0.1:80"))
	if err != nil {
		t.Fatal(err)
	}
	h.run(time.Second)
	if l.Accept() == nil || c.State() != tcp.Established {
		t.Error(c.State())
	}
}

func TestEcho(t *testing.T) {
	w, a, b := pair(t, Options{Limits: Limits{Echoes: 10}}, link.Options{Delay: time.Millisecond})
	for _, f := range families {
		for _, n := range []int{0, 56, 1472, 1473, 9000, 65000} {
			if err := a.Ping(w.now, Echo{Addr: f.b, ID: 7, Seq: uint16(n), Data: text(n)}); err != nil {
				t.Fatal(err)
			}
			w.run(time.Second)
			e, ok := a.Reply()
			if !ok || e.Addr != f.b || e.ID != 7 || e.Seq != uint16(n) || !bytes.Equal(e.Data, text(n)) || e.Err != nil {
				t.Errorf("%v, %d bytes: %v, %d bytes from %v, %v", f.b, n, ok, len(e.Data), e.Addr, e.Err)
			}
		}
		for seq := range 15 {
			if err := a.Ping(w.now, Echo{Addr: f.b, Seq: uint16(seq)}); err != nil {
				t.Fatal(err)
			}
		}
		w.run(time.Second)
		n := 0
		for _, ok := a.Reply(); ok; _, ok = a.Reply() {
			n++
		}
		if n != 10 {
			t.Errorf("%d of a flood were answered, want 10", n)
		}
		w.run(time.Second)
	}
	if b.Dropped.Echoes != 10 {
		t.Errorf("%d were not answered", b.Dropped.Echoes)
	}
	if err := a.Ping(w.now, Echo{Addr: addr("10.0.0.255")}); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if _, ok := a.Reply(); ok {
		t.Error("a broadcast was answered")
	}
}

// routed is two hosts with a router between them, whose second link has an MTU.
func routed(t testing.TB, mtu int) (w *world, a, r, b *Host) {
	w = newWorld(t, 3)
	a, r, b = w.host(Options{}), w.host(Options{Forward: true}), w.host(Options{})
	i, ra := w.cable(a, r, 1500, link.Options{Delay: time.Millisecond})
	rb, j := w.cable(r, b, mtu, link.Options{Delay: time.Millisecond})
	w.add(i, "10.0.0.1/24", "2001:db8::1/64")
	w.add(ra, "10.0.0.254/24", "2001:db8::fe/64")
	w.add(rb, "10.0.1.254/24", "2001:db8:1::fe/64")
	w.add(j, "10.0.1.2/24", "2001:db8:1::2/64")
	for h, via := range map[*Host][2]string{a: {"10.0.0.254", "2001:db8::fe"}, b: {"10.0.1.254", "2001:db8:1::fe"}} {
		for n, p := range []string{"0.0.0.0/0", "::/0"} {
			if err := h.AddRoute(Route{Prefix: prefix(p), Via: addr(via[n])}); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.run(time.Second)
	return w, a, r, b
}

func TestForward(t *testing.T) {
	w, a, _, b := routed(t, 1300)
	for _, to := range []string{"10.0.1.2", "2001:db8:1::2"} {
		for _, n := range []int{10, 1400, 5000} { // fragments of fragments, and a path MTU that is learned
			s := w.listen(b, netip.AddrPortFrom(addr(to), 9).String())
			c := w.dial(a, s.Local())
			if err := c.Send(w.now, text(n)); err != nil {
				t.Fatal(err)
			}
			w.run(time.Second)
			if addr(to).Is6() && n == 1400 {
				want(t, s, nil, nil) // lost: IPv6's routers cut nothing
				if err := c.Send(w.now, text(n)); err != nil {
					t.Fatal(err)
				}
				w.run(time.Second)
			}
			d := want(t, s, text(n), nil)
			if d.TTL != 63 {
				t.Errorf("it came with a TTL of %d", d.TTL)
			}
			c.Close()
			s.Close()
		}
	}
	if n := len(a.paths.list); n != 1 {
		t.Errorf("%d paths", n)
	}
	w.run(pathTime)
	if n := len(a.paths.list); n != 0 {
		t.Errorf("%d paths after their time", n)
	}
}

func TestTimeExceeded(t *testing.T) {
	w, a, _, _ := routed(t, 1500)
	for to, router := range map[string]string{"10.0.1.2": "10.0.0.254", "2001:db8:1::2": "2001:db8::fe"} {
		for ttl, want := range []string{1: router, 2: to} {
			if ttl == 0 {
				continue
			}
			if err := a.Ping(w.now, Echo{Addr: addr(to), ID: 1, Seq: 1, TTL: uint8(ttl)}); err != nil {
				t.Fatal(err)
			}
			w.run(time.Second)
			e, ok := a.Reply()
			if !ok || e.Addr != addr(want) || (e.Err == ErrExpired) != (ttl == 1) {
				t.Errorf("TTL %d: %v, %v", ttl, e, ok)
			}
		}
	}
}

// TestUnreachable has a destination without a route on the router, and one without a host.
func TestUnreachable(t *testing.T) {
	w, a, _, _ := routed(t, 1500)
	for _, to := range []string{"192.0.2.1:9", "10.0.1.77:9", "10.0.0.77:9", "[2001:db8:2::1]:9", "[2001:db8:1::77]:9",
		"[2001:db8::77]:9"} {
		c := w.dial(a, port(to))
		if err := c.Send(w.now, []byte("x")); err != nil {
			t.Fatal(err)
		}
		w.run(10 * time.Second)
		want(t, c, nil, ErrUnreachable)
	}
}

func TestTCP(t *testing.T) {
	for _, mtu := range []int{1500, 1300} {
		w, a, r, b := routed(t, mtu)
		for _, to := range []string{"10.0.1.2", "2001:db8:1::2"} {
			l, err := b.TCP().Listen(netip.AddrPortFrom(addr(to), 80), 0)
			if err != nil {
				t.Fatal(err)
			}
			c, err := a.Dial(w.now, netip.AddrPortFrom(addr(to), 80))
			if err != nil {
				t.Fatal(err)
			}
			w.run(time.Second)
			d := l.Accept()
			if d == nil {
				t.Fatal("nobody came")
			}
			data := text(200_000)
			got := make([]byte, len(data)+1)
			for _, x := range [][2]*tcp.Conn{{c, d}, {d, c}} { // d sends more than its own link takes
				if n, err := x[0].Write(w.now, data); n != len(data) || err != nil {
					t.Fatal(n, err)
				}
				w.run(time.Minute)
				if n, _, err := x[1].Read(w.now, got); !bytes.Equal(got[:n], data) {
					t.Fatalf("MTU %d, %v: %d bytes came, %v", mtu, x[0].Local(), n, err)
				}
			}
		}
		if r.Dropped.Errors != 0 {
			t.Errorf("%d errors were not sent", r.Dropped.Errors)
		}
		if _, err := a.Dial(w.now, port("10.0.1.2:81")); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		for c, e := a.TCP().Event(); c != nil; c, e = a.TCP().Event() {
			if e&tcp.Ended != 0 && c.Err() != tcp.ErrRefused {
				t.Error(c.Err())
			}
		}
	}
}

// TestSameSeed has two hosts over a bad cable: all of a run comes from its seed, and what arrives is what was sent.
func TestSameSeed(t *testing.T) {
	run := func(seed uint64) []byte {
		w := newWorld(t, seed)
		a, b := w.host(Options{}), w.host(Options{})
		i, j := w.cable(a, b, 1500, link.Options{Delay: 5 * time.Millisecond, Loss: 0.02, Duplicate: 0.05, Reorder: 0.05})
		var out bytes.Buffer
		w.capture(&out)
		for _, i := range []*Interface{i, j} {
			if err := i.Autoconfigure(w.now); err != nil {
				t.Fatal(err)
			}
		}
		w.add(i, "10.0.0.1/24", "2001:db8::1/64")
		w.add(j, "10.0.0.2/24", "2001:db8::2/64")
		w.run(5 * time.Second)
		for _, f := range families {
			s, c := w.listen(b, netip.AddrPortFrom(f.b, 9).String()), w.dial(a, netip.AddrPortFrom(f.b, 9))
			came := 0
			for n := 1; n < 65000; n = n*3 + 1 {
				if err := c.Send(w.now, text(n)); err != nil {
					t.Fatal(err)
				}
				w.run(100 * time.Millisecond)
				for d, ok, _ := s.Read(); ok; d, ok, _ = s.Read() {
					if came++; !bytes.Equal(d.Data, text(len(d.Data))) {
						t.Fatalf("seed %d: %d bytes are others", seed, len(d.Data))
					}
				}
			}
			if came < 4 {
				t.Errorf("seed %d: %d datagrams came", seed, came)
			}
			l, err := b.TCP().Listen(netip.AddrPortFrom(f.b, 80), 0)
			if err != nil {
				t.Fatal(err)
			}
			x, err := a.Dial(w.now, netip.AddrPortFrom(f.b, 80))
			if err != nil {
				t.Fatal(err)
			}
			if n, err := x.Write(w.now, text(100_000)); n != 100_000 || err != nil {
				t.Fatal(n, err)
			}
			w.run(2 * time.Minute)
			got := make([]byte, 100_001)
			y := l.Accept()
			if y == nil {
				t.Fatalf("seed %d: nobody came", seed)
			}
			if n, _, _ := y.Read(w.now, got); !bytes.Equal(got[:n], text(100_000)) {
				t.Fatalf("seed %d: %d bytes came", seed, n)
			}
		}
		return out.Bytes()
	}
	for seed := range uint64(4) {
		if !bytes.Equal(run(seed), run(seed)) {
			t.Errorf("seed %d: two runs differ", seed)
		}
	}
	if bytes.Equal(run(1), run(2)) {
		t.Error("the seed changes nothing")
	}
}

func TestRoutes(t *testing.T) {
	w := newWorld(t, 1)
	h, o := w.host(Options{}), w.host(Options{})
	i, _ := w.cable(h, o, 1500, link.Options{})
	j, _ := w.cable(h, o, 1500, link.Options{})
	w.add(i, "10.0.0.1/24", "10.0.5.1/24", "2001:db8::1/64", "fe80::1/64")
	w.add(j, "10.1.0.1/16", "2001:db8:1::1/64")
	for p, via := range map[string]string{"0.0.0.0/0": "10.0.0.254", "192.0.2.0/24": "10.1.0.254",
		"192.0.2.128/25": "10.0.5.9",
		"::/0":           "2001:db8:1::fe"} {
		if err := h.AddRoute(Route{Prefix: prefix(p), Via: addr(via)}); err != nil {
			t.Fatal(p, err)
		}
	}
	for _, row := range []struct {
		dst, src, via string
		by            *Interface
	}{
		{"10.0.0.7", "10.0.0.1", "10.0.0.7", i}, {"8.8.8.8", "10.0.0.1", "10.0.0.254", i},
		{"192.0.2.5", "10.1.0.1", "10.1.0.254", j}, {"192.0.2.200", "10.0.5.1", "10.0.5.9", i},
		{"10.1.0.1", "10.1.0.1", "", nil}, {"2001:db8::9", "2001:db8::1", "2001:db8::9", i},
		{"fe80::9", "fe80::1", "fe80::9", i}, {"2001:db8:5::1", "2001:db8:1::1", "2001:db8:1::fe", j},
	} {
		src, err := h.Source(addr(row.dst))
		if err != nil || src != addr(row.src) {
			t.Errorf("to %s from %v, %v; want %s", row.dst, src, err, row.src)
		}
		if row.by == nil {
			continue
		}
		if by, via, ok := h.hop(addr(row.dst)); !ok || by != row.by || via != addr(row.via) {
			t.Errorf("to %s by %v, %v; want %s", row.dst, via, ok, row.via)
		}
	}
	if err := h.AddRoute(Route{Prefix: prefix("203.0.113.0/24"), Via: addr("192.0.2.7")}); err != ErrAddress {
		t.Error("a router behind a router:", err)
	}
	h.DropRoute(prefix("0.0.0.0/0"))
	if _, err := h.Source(addr("8.8.8.8")); err != ErrUnreachable {
		t.Error("without the route:", err)
	}
	i.Remove(addr("10.0.5.1"))
	gone := func(r Route) bool { return r.local && r.Prefix == prefix("10.0.5.0/24") }
	if slices.ContainsFunc(h.Routes(), gone) {
		t.Error("an address left its route behind")
	}
}

// TestSourceRoutes has a packet with a loose source route for this host, and one to send.
func TestSourceRoutes(t *testing.T) {
	w, a, b := pair(t, Options{}, link.Options{})
	w.keep = true
	w.dial(a, port("10.0.0.2:9"))
	c, err := a.Dial(w.now, port("10.0.0.2:80"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetRoute(addr("10.0.0.2")); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if b.Dropped.SourceRoutes == 0 {
		t.Errorf("it was taken: %s", strings.Join(w.seen, "\n"))
	}
	ip := wire.IPv4{Dst: addr("10.0.0.2")}
	if err := sourceRoute(&ip, []netip.Addr{addr("10.0.0.3"), addr("10.0.0.4")}); err != nil {
		t.Fatal(err)
	}
	if want := []byte{131, 11, 4, 10, 0, 0, 4, 10, 0, 0, 2, 0}; !bytes.Equal(ip.Options,
		want) || ip.Dst != addr("10.0.0.3") {
		t.Errorf("%v to %v, want %v", ip.Options, ip.Dst, want)
	}
}
