package wire

import (
	"bytes"
	"testing"
)

// copyDNS writes all of a message anew.
func copyDNS(m *DNS) ([]byte, error) {
	d := NewDNSBuilder(nil, m.ID, m.Flags)
	off := DNSLen
	for range m.Counts[DNSQuestions] {
		q, end, _ := m.questionAt(off)
		d.CopyQuestion(q)
		off = end
	}
	for r, rest, ok := m.Records().Next(); ok; r, rest, ok = rest.Next() {
		d.CopyRecord(r)
	}
	return d.Finish()
}

// sameRecord holds two records against each other: the names in them, and the data where it holds none.
func sameRecord(a, b DNSRecord) bool {
	if a.Section != b.Section || a.Type != b.Type || a.Class != b.Class || a.TTL != b.TTL ||
		a.Name.String() != b.Name.String() {
		return false
	}
	if x, ok := a.Target(); ok {
		y, _ := b.Target()
		return x.String() == y.String()
	}
	if p, x, ok := a.MX(); ok {
		q, y, _ := b.MX()
		return p == q && x.String() == y.String()
	}
	if x, ok := a.SOA(); ok {
		y, _ := b.SOA()
		return x.Server.String() == y.Server.String() && x.Mailbox.String() == y.Mailbox.String() && x.Serial == y.Serial &&
			x.Refresh == y.Refresh && x.Retry == y.Retry && x.Expire == y.Expire && x.Minimum == y.Minimum
	}
	return bytes.Equal(a.Data, b.Data)
}

func FuzzDNS(f *testing.F) {
	seed(f, HasDNS, func(p *Packet) []byte { return p.UDP.Payload })
	f.Fuzz(func(t *testing.T, b []byte) {
		var m, again DNS
		if err := m.Parse(b); err != nil {
			checkError(t, b, err)
			if _, ok := m.Question(); ok {
				t.Fatalf("%x: a question of a message that is none", b)
			}
			return
		}
		_ = m.String()
		out, err := copyDNS(&m)
		if err != nil {
			if len(b) < 1<<12 {
				t.Fatalf("%x is not emitted: %v", b, err)
			}
			return // names that were compressed better than ours may not fit
		}
		if err := again.Parse(out); err != nil {
			t.Fatalf("%x\nemitted as %x: %v", b, out, err)
		}
		if again.ID != m.ID || again.Flags != m.Flags || again.Counts != m.Counts {
			t.Fatalf("%x\nemitted as %x: the header %+v is %+v", b, out, m, again)
		}
		x, y := m.Records(), again.Records()
		for {
			r, rest, ok := x.Next()
			s, others, ok2 := y.Next()
			if ok != ok2 || ok && !sameRecord(r, s) {
				t.Fatalf("%x\nemitted as %x: %v is %v", b, out, r, s)
			}
			if !ok {
				break
			}
			x, y = rest, others
		}
	})
}

// FuzzDNSName holds that the text of a name and the name are one.
func FuzzDNSName(f *testing.F) {
	for _, s := range []string{".", "", "example.com", "a.b.c.", `a\.b.c`, `\000\255.x`, `\\`, "..", ".a", `\`, `\25`,
		`\256`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var w, again wireName
		if w.parse(text) != nil {
			return
		}
		n := DNSName{msg: w.b[:w.n]}
		if end, err := skipName(n.msg, 0); err != nil || end != w.n {
			t.Fatalf("%q is %x, which ends at %d: %v", text, n.msg, end, err)
		}
		back := n.String()
		if err := again.parse(back); err != nil || !bytes.Equal(again.b[:again.n], w.b[:w.n]) {
			t.Fatalf("%q is %x, which is %q, which is %x: %v", text, w.b[:w.n], back, again.b[:again.n], err)
		}
		if !n.Is(back) || !n.Is(text) {
			t.Fatalf("%q is not itself", text)
		}
	})
}
