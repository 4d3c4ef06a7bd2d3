package ip

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/wire"
)

// look runs a lookup on a host beside a name server that answers by serve; nil is no answer.
func look(t *testing.T, name string, serve func(d *wire.DNSBuilder, q wire.DNSQuestion, id uint16) bool) (
	addrs []netip.Addr, asked int, err error) {
	t.Helper()
	w, a, b := pair(t, Options{}, link.Options{Delay: time.Millisecond})
	s := w.listen(b, "10.0.0.2:53")
	begin := w.now
	l, err := a.Lookup(w.now, []netip.Addr{addr("10.0.0.2")}, name, false)
	if err != nil {
		t.Fatal(err)
	}
	for w.now < begin+time.Hour {
		if addrs, err, ok := l.Done(); ok {
			if a.udp.n != 0 {
				t.Error("a port is left open")
			}
			return addrs, asked, err
		}
		w.run(time.Millisecond)
		for d, ok, _ := s.Read(); ok; d, ok, _ = s.Read() {
			var m wire.DNS
			if err := m.Parse(d.Data); err != nil {
				t.Fatal(err)
			}
			asked++
			q, _ := m.Question()
			x := wire.NewDNSBuilder(nil, m.ID, wire.DNSResponse)
			if !serve(&x, q, m.ID) {
				continue
			}
			out, err := x.Finish()
			if err == nil {
				err = s.SendTo(w.now, d.From, out)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		l.Advance(w.now)
	}
	t.Fatal("it does not end")
	return
}

func TestLookup(t *testing.T) {
	good := addr("192.0.2.1")
	type builder = *wire.DNSBuilder
	flags := func(f wire.DNSFlags) func(builder, wire.DNSQuestion, uint16) bool {
		return func(d builder, q wire.DNSQuestion, id uint16) bool {
			*d = wire.NewDNSBuilder(nil, id, wire.DNSResponse|f)
			d.CopyQuestion(q)
			return true
		}
	}
	chain := func(n int) func(builder, wire.DNSQuestion, uint16) bool {
		return func(d builder, q wire.DNSQuestion, _ uint16) bool {
			d.CopyQuestion(q)
			name := "www.example"
			for k := range n {
				next := fmt.Sprintf("n%d.example", k)
				d.Target(wire.DNSAnswers, name, wire.DNSCNAME, 60, next)
				name = next
			}
			d.Addr(wire.DNSAnswers, "other.example", 60, addr("192.0.2.66")) // of nobody that was asked for
			d.Addr(wire.DNSAnswers, name, 60, good)
			return true
		}
	}
	for _, row := range []struct {
		name  string
		serve func(builder, wire.DNSQuestion, uint16) bool
		err   error
		asked int
	}{
		{"an address", chain(0), nil, 1},
		{"aliases", chain(lookupChain), nil, 1},
		{"too many aliases", chain(lookupChain + 1), ErrNoData, 1},
		{"no such name", flags(wire.DNSFlags(wire.DNSNXDomain)), ErrNoName, 1},
		{"no address", flags(0), ErrNoData, 1},
		{"truncated", flags(wire.DNSTruncated), ErrTruncated, 1},
		{"a failure", flags(wire.DNSFlags(wire.DNSServFail)), ErrTimeout, lookupTries},
		{"silence", func(builder, wire.DNSQuestion, uint16) bool { return false }, ErrTimeout, lookupTries},
		{"another number", func(d builder, q wire.DNSQuestion, id uint16) bool {
			*d = wire.NewDNSBuilder(nil, id+1, wire.DNSResponse)
			return chain(0)(d, q, id)
		}, ErrTimeout, lookupTries},
		{"another question", func(d builder, q wire.DNSQuestion, _ uint16) bool {
			d.Question("other.example", wire.DNSA, wire.DNSInternet)
			d.Addr(wire.DNSAnswers, "www.example", 60, good)
			return true
		}, ErrTimeout, lookupTries},
		{"a loop", func(d builder, q wire.DNSQuestion, _ uint16) bool {
			d.CopyQuestion(q)
			d.Target(wire.DNSAnswers, "www.example", wire.DNSCNAME, 60, "www.example")
			return true
		}, ErrNoData, 1},
	} {
		addrs, asked, err := look(t, "www.example.", row.serve)
		if err != row.err || asked != row.asked || (err == nil) != slices.Equal(addrs, []netip.Addr{good}) {
			t.Errorf("%s: %v, %v, asked %d times", row.name, addrs, err, asked)
		}
	}
	if addrs, asked, err := look(t, "192.0.2.7", nil); err != nil || asked != 0 || len(addrs) != 1 {
		t.Error("an address in digits:", addrs, err)
	}
}

// TestLookupGuesses has somebody who sends answers with all numbers from another address.
func TestLookupGuesses(t *testing.T) {
	m := newMark(t, Limits{}).knows()
	l, err := m.h.Lookup(m.now, []netip.Addr{addr("10.0.0.2")}, "www.example", false)
	if err != nil {
		t.Fatal(err)
	}
	d := wire.NewDNSBuilder(nil, l.id, wire.DNSResponse)
	d.Question("www.example", wire.DNSA, wire.DNSInternet)
	d.Addr(wire.DNSAnswers, "www.example", 60, addr("192.0.2.66"))
	b, err := d.Finish()
	if err != nil {
		t.Fatal(err)
	}
	send := func(src netip.Addr, from uint16) {
		u := wire.UDP{SrcPort: from, DstPort: l.s.Local().Port(), Payload: b}
		data, _ := u.Append(nil, src, addr("10.0.0.1"))
		m.ip4(wire.IPv4{Protocol: wire.ProtoUDP, Src: src, Dst: addr("10.0.0.1"), Payload: data})
		l.Advance(m.now)
	}
	send(addr("10.0.0.3"), 53)
	send(addr("10.0.0.2"), 54)
	if _, _, ok := l.Done(); ok {
		t.Error("it was believed")
	}
	send(addr("10.0.0.2"), 53)
	if addrs, err, ok := l.Done(); !ok || err != nil || len(addrs) != 1 {
		t.Error("the server itself was not:", addrs, err)
	}
}
