package ip

import (
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/wire"
)

// forwarder is a router between two cables, and a full frame that comes along the first: the function sends it, and
// reports whether it has come out of the other.
func forwarder(t testing.TB) (forward func() bool) {
	t.Helper()
	w := newWorld(t, 1)
	a, r, b := w.host(Options{}), w.host(Options{Forward: true}), w.host(Options{})
	i, in := w.cable(a, r, 1500, link.Options{})
	out, j := w.cable(r, b, 1500, link.Options{})
	w.add(i, "10.0.0.1/24")
	w.add(in, "10.0.0.2/24")
	w.add(out, "10.0.1.1/24")
	w.add(j, "10.0.1.2/24")
	if err := a.AddRoute(Route{Prefix: prefix("0.0.0.0/0"), Via: addr("10.0.0.2")}); err != nil {
		t.Fatal(err)
	}
	s := w.listen(b, "10.0.1.2:9") // one datagram goes through, so that all know their neighbors
	if err := w.dial(a, port("10.0.1.2:9")).Send(w.now, text(1472)); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	want(t, s, text(1472), nil)

	udp := wire.UDP{SrcPort: 1, DstPort: 9, Payload: text(1472)}
	datagram, _ := udp.Append(nil, addr("10.0.0.1"), addr("10.0.1.2"))
	ip := wire.IPv4{TTL: 64, Protocol: wire.ProtoUDP, Src: addr("10.0.0.1"), Dst: addr("10.0.1.2"), Payload: datagram}
	packet, _ := ip.Append(nil)
	e := wire.Ethernet{Dst: in.Addr(), Src: i.Addr(), Type: wire.EtherTypeIPv4, Payload: packet}
	frame, _ := e.Append(nil)
	from, near, far, to := w.plugs[0].card, w.plugs[1].card, w.plugs[2].card, w.plugs[3].card
	send := func(_ *Interface, b []byte) {
		if err := far.Send(w.now, b); err != nil {
			t.Fatal(err)
		}
	}
	return func() (came bool) {
		if err := from.Send(w.now, frame); err != nil {
			t.Fatal(err)
		}
		for f := near.Receive(w.now); f != nil; f = near.Receive(w.now) {
			r.Frame(w.now, in, f.Bytes)
			f.Free()
		}
		r.Flush(w.now, send)
		for f := to.Receive(w.now); f != nil; f = to.Receive(w.now) {
			came = len(f.Bytes) == len(frame)
			f.Free()
		}
		return came
	}
}

// BenchmarkForward takes a full frame along a cable, through a router, and along another cable.
func BenchmarkForward(b *testing.B) {
	forward := forwarder(b)
	b.SetBytes(1514)
	b.ReportAllocs()
	for b.Loop() {
		if !forward() {
			b.Fatal("it did not come")
		}
	}
}

// TestForwardAllocates holds that a frame that goes through a router allocates nothing.
func TestForwardAllocates(t *testing.T) {
	forward := forwarder(t)
	n := testing.AllocsPerRun(200, func() {
		if !forward() {
			t.Fatal("it did not come")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
