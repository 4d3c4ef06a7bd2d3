package wire

import (
	"bytes"
	"net/netip"
)

// dnsRemember is how many places of names a DNSBuilder remembers for compression. A message has few different names;
// what comes later is written in full.
const dnsRemember = 32

// dnsMaxPointer is the first offset that a pointer cannot name.
const dnsMaxPointer = 1 << 14

// A DNSBuilder writes a message behind a buffer, record by record, in the order of the sections, and compresses names.
// It is used as a value on the stack, and then allocates nothing but what the buffer lacks:
//
//	b := wire.NewDNSBuilder(buf, id, wire.DNSResponse)
//	b.Question("example.com", wire.DNSA, wire.DNSInternet)
//	b.Addr(wire.DNSAnswers, "example.com", 300, addr)
//	out, err := b.Finish()
//
// The first error stays, and Finish returns it.
type DNSBuilder struct {
	buf    []byte
	start  int // of the message in buf
	err    error
	last   DNSSection
	counts [dnsSections]uint16
	seen   [dnsRemember]uint16 // where names stand in the message: each label's beginning
	nseen  int
}

// NewDNSBuilder begins a message behind b.
func NewDNSBuilder(b []byte, id uint16, flags DNSFlags) DNSBuilder {
	start := len(b)
	b, p := extend(b, DNSLen)
	clear(p)
	be.PutUint16(p, id)
	be.PutUint16(p[2:], uint16(flags))
	return DNSBuilder{buf: b, start: start}
}

// Finish writes the counts and returns the buffer with the message. After an error, the buffer is as it was.
func (d *DNSBuilder) Finish() ([]byte, error) {
	if d.err == nil && len(d.buf)-d.start > maxIP {
		d.err = overLimit("DNS", "message", emitted, len(d.buf)-d.start, maxIP)
	}
	if d.err != nil {
		return d.buf[:d.start], d.err
	}
	for i, n := range d.counts {
		be.PutUint16(d.buf[d.start+4+2*i:], n)
	}
	return d.buf, nil
}

// Question writes a question.
func (d *DNSBuilder) Question(name string, t DNSType, class uint16) {
	var w wireName
	d.fail(w.parse(name))
	d.question(&w, t, class)
}

// CopyQuestion writes a question of another message.
func (d *DNSBuilder) CopyQuestion(q DNSQuestion) {
	var w wireName
	d.fail(w.copyName(q.Name))
	d.question(&w, q.Type, q.Class)
}

func (d *DNSBuilder) question(w *wireName, t DNSType, class uint16) {
	if !d.enter(DNSQuestions) {
		return
	}
	d.name(w)
	d.buf = be.AppendUint16(be.AppendUint16(d.buf, uint16(t)), class)
}

// Addr writes an A or AAAA record, by what the address is.
func (d *DNSBuilder) Addr(s DNSSection, name string, ttl uint32, a netip.Addr) {
	switch {
	case a.Is4():
		v := a.As4()
		d.Raw(s, name, DNSA, DNSInternet, ttl, v[:])
	case a.Is6():
		v := a.As16()
		d.Raw(s, name, DNSAAAA, DNSInternet, ttl, v[:])
	default:
		d.fail(badLength("DNS", "address", emitted, 0, 4))
	}
}

// Target writes an NS, CNAME or PTR record.
func (d *DNSBuilder) Target(s DNSSection, name string, t DNSType, ttl uint32, target string) {
	if t != DNSNS && t != DNSCNAME && t != DNSPTR {
		d.fail(badValue("DNS", "type", emitted, int(t)))
	}
	var w wireName
	d.fail(w.parse(target))
	if end, ok := d.record(s, name, t, DNSInternet, ttl); ok {
		d.name(&w)
		d.size(end)
	}
}

// Raw writes a record with this data, which has to have no compressed names in it. The data is held against the type as
// in Parse.
func (d *DNSBuilder) Raw(s DNSSection, name string, t DNSType, class uint16, ttl uint32, data []byte) {
	if end, ok := d.record(s, name, t, class, ttl); ok {
		d.buf = append(d.buf, data...)
		d.size(end)
		d.check(t, end)
	}
}

// CopyRecord writes a record of another message, into its section. The names in the data of NS, CNAME, PTR, MX and SOA
// records are read and written anew; the data of other types is copied as it is.
func (d *DNSBuilder) CopyRecord(r DNSRecord) {
	var w wireName
	d.fail(w.copyName(r.Name))
	end, ok := d.recordOf(r.Section, &w, r.Type, r.Class, r.TTL)
	if !ok {
		return
	}
	if target, ok := r.Target(); ok {
		d.fail(w.copyName(target))
		d.name(&w)
	} else if preference, host, ok := r.MX(); ok {
		d.buf = be.AppendUint16(d.buf, preference)
		d.fail(w.copyName(host))
		d.name(&w)
	} else if soa, ok := r.SOA(); ok {
		d.fail(w.copyName(soa.Server))
		d.name(&w)
		d.fail(w.copyName(soa.Mailbox))
		d.name(&w)
		d.buf = append(d.buf, r.Data[len(r.Data)-dnsSOALen:]...)
	} else {
		d.buf = append(d.buf, r.Data...)
	}
	d.size(end)
	d.check(r.Type, end)
}

// record writes a record up to its data, whose first byte is at the place returned.
func (d *DNSBuilder) record(s DNSSection, name string, t DNSType, class uint16, ttl uint32) (data int, ok bool) {
	var w wireName
	d.fail(w.parse(name))
	return d.recordOf(s, &w, t, class, ttl)
}

func (d *DNSBuilder) recordOf(s DNSSection, w *wireName, t DNSType, class uint16, ttl uint32) (data int, ok bool) {
	if s == DNSQuestions || s >= dnsSections {
		d.fail(badValue("DNS", "section", emitted, int(s)))
	}
	if !d.enter(s) {
		return 0, false
	}
	d.name(w)
	d.buf = be.AppendUint16(be.AppendUint16(d.buf, uint16(t)), class)
	d.buf = be.AppendUint32(d.buf, ttl)
	d.buf = append(d.buf, 0, 0)
	return len(d.buf), true
}

// enter counts a record into its section, which must not be before the last one's.
func (d *DNSBuilder) enter(s DNSSection) bool {
	switch {
	case d.err != nil:
		return false
	case s < d.last:
		d.fail(badValue("DNS", "section", emitted, int(s)))
		return false
	case d.counts[s] == 1<<16-1 || len(d.buf)-d.start > maxIP:
		d.fail(overLimit("DNS", "message", emitted, len(d.buf)-d.start, maxIP))
		return false
	}
	d.last = s
	d.counts[s]++
	return true
}

// size writes the length of the data that began at data.
func (d *DNSBuilder) size(data int) {
	n := len(d.buf) - data
	if n > 1<<16-1 {
		d.fail(badLength("DNS", "record data", emitted, n, 1<<16-1))
		return
	}
	be.PutUint16(d.buf[data-2:], uint16(n))
}

// check holds data that was written against its type.
func (d *DNSBuilder) check(t DNSType, data int) {
	if err := checkData(d.buf[d.start:], t, data-d.start, len(d.buf)-data); err != nil {
		d.fail(emitting(err))
	}
}

func (d *DNSBuilder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// name writes a name: the labels that no name before ends with, and then a pointer, or the root. Its own labels are
// remembered when it is whole: until then it would seem to end where it has been written to.
func (d *DNSBuilder) name(w *wireName) {
	if d.err != nil {
		return
	}
	nseen := d.nseen
	at := 0
	for w.b[at] != 0 {
		if to, ok := d.find(w.b[at:w.n]); ok {
			d.buf = be.AppendUint16(d.buf, dnsPointer<<8|to)
			d.nseen = nseen
			return
		}
		if here := len(d.buf) - d.start; here < dnsMaxPointer && nseen < dnsRemember {
			d.seen[nseen] = uint16(here)
			nseen++
		}
		n := 1 + int(w.b[at])
		d.buf = append(d.buf, w.b[at:at+n]...)
		at += n
	}
	d.buf = append(d.buf, 0)
	d.nseen = nseen
}

// find looks for a name that was written before. Letters have to be equal in case too: the reader gets the names as
// they were given.
func (d *DNSBuilder) find(name []byte) (at uint16, ok bool) {
	msg := d.buf[d.start:]
search:
	for _, at := range d.seen[:d.nseen] {
		n, rest := DNSName{msg: msg, off: int(at)}, name
		for {
			label, next, ok := n.Next()
			size := int(rest[0])
			if !ok {
				if size == 0 {
					return at, true
				}
				continue search
			}
			if size != len(label) || !bytes.Equal(label, rest[1:1+size]) {
				continue search
			}
			n, rest = next, rest[1+size:]
		}
	}
	return 0, false
}
