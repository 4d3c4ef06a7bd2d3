package ip

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// A datagram is put together by what each of its fragments says about itself, and a fragment may lie. What is refused,
// with all of its datagram, and with whatever of it comes later:
//
//   - two that overlap (RFC 5722, and for IPv4 the same: they are how a filter and a host are shown different texts).
//     The very same fragment again is a duplicate by the network and changes nothing;
//   - one behind the end that another has told, and two that tell different ends;
//   - a first one without its transport's header (RFC 1858, RFC 7112), and for TCP one in the midst of that;
//   - more fragments than Limits.Fragments.
//
// Such a datagram's entry stays until its time is over, and holds no bytes.
type assembly struct {
	key    assemblyKey
	at     time.Duration // when it is given up
	end    int           // the length of the whole; -1 where the last fragment has not come
	bytes  int
	pieces []fragment // by their offsets, none empty but where the whole is
	first  incoming   // the first fragment; raw is nil where it has not come
	dead   bool
}

type assemblyKey struct {
	src, dst netip.Addr
	protocol wire.Protocol // IPv4's alone
	id       uint32
}

type fragment struct {
	offset int
	more   bool
	data   []byte
}

func (f *fragment) end() int { return f.offset + len(f.data) }

// assemblies are the datagrams that are put together: in a table to find them, and in a list, the oldest first.
type assemblies struct {
	table map[assemblyKey]*assembly
	list  []*assembly
	bytes int
	due   time.Duration
}

func (t *assemblies) init() { t.table, t.due = map[assemblyKey]*assembly{}, off }

// drop takes an entry out.
func (t *assemblies) drop(a *assembly) {
	t.bytes -= a.bytes
	delete(t.table, a.key)
	t.list = slices.DeleteFunc(t.list, func(o *assembly) bool { return o == a })
}

// from is what a source has: datagrams and bytes.
func (t *assemblies) from(src netip.Addr) (n, held int) {
	for _, a := range t.list {
		if a.key.src == src {
			n, held = n+1, held+a.bytes
		}
	}
	return n, held
}

// assemble takes a fragment. It is true when its datagram is whole: p is that then.
func (h *Host) assemble(now time.Duration, key assemblyKey, f fragment, p *incoming, wait time.Duration) bool {
	t := &h.assemblies
	a := t.table[key]
	n, held := t.from(key.src)
	if a == nil && n >= h.limits.SourceDatagrams || held+len(f.data) > h.limits.SourceBytes {
		h.Dropped.Fragments++
		return false
	}
	for len(t.list) > 0 && (a == nil && len(t.list) >= h.limits.Assemblies ||
		t.bytes+len(f.data) > h.limits.AssemblyBytes) {
		if t.list[0] == a {
			a = nil
		}
		t.drop(t.list[0])
		h.Dropped.Fragments++
	}
	if a == nil {
		a = &assembly{key: key, at: now + wait, end: -1}
		t.table[key] = a
		t.list = append(t.list, a)
		t.due = min(t.due, a.at)
	}
	if a.dead {
		return false
	}
	fine, again := a.take(f, p, h.limits.Fragments)
	switch {
	case again:
		return false
	case !fine:
		h.Dropped.Fragments++
		t.bytes -= a.bytes
		a.dead, a.bytes, a.pieces, a.first = true, 0, nil, incoming{}
		return false
	}
	t.bytes += len(f.data)
	if !a.whole() {
		return false
	}
	t.drop(a)
	raw := a.first.raw
	group := p.group || a.first.group
	*p = a.first
	p.raw, p.group, p.offset = raw, group, 0
	p.payload = make([]byte, 0, a.end)
	for _, f := range a.pieces {
		p.payload = append(p.payload, f.data...)
	}
	return true
}

// take puts a fragment into its place. Not fine: the datagram is refused. again: it was there.
func (a *assembly) take(f fragment, p *incoming, most int) (fine, again bool) {
	at, found := slices.BinarySearchFunc(a.pieces, f.offset, func(o fragment, offset int) int { return o.offset - offset })
	if found && a.pieces[at].more == f.more && bytes.Equal(a.pieces[at].data, f.data) {
		return true, true
	}
	switch {
	case found || len(f.data) == 0 || len(a.pieces) >= most || f.end() > 65535,
		at > 0 && a.pieces[at-1].end() > f.offset,
		at < len(a.pieces) && f.end() > a.pieces[at].offset,
		a.end >= 0 && (f.end() > a.end || !f.more),
		!f.more && len(a.pieces) > 0 && a.pieces[len(a.pieces)-1].end() > f.end(),
		tiny(f, p.protocol):
		return false, false
	}
	f.data = slices.Clone(f.data)
	if !f.more {
		a.end = f.end()
	}
	a.bytes += len(f.data)
	a.pieces = slices.Insert(a.pieces, at, f)
	if f.offset == 0 {
		a.first = *p
		a.first.raw = slices.Clone(p.raw)
		a.first.payload = nil
	}
	return true, false
}

// tiny reports whether a fragment cuts the header of its transport.
func tiny(f fragment, p wire.Protocol) bool {
	least := 0
	switch p {
	case wire.ProtoTCP:
		least = leastTCPFirst
	case wire.ProtoUDP, wire.ProtoICMPv4, wire.ProtoICMPv6:
		least = leastUDPFirst
	}
	return f.offset < least && (f.offset > 0 || f.more && len(f.data) < least)
}

// whole reports whether nothing is missing: pieces do not overlap, so their bytes are all of it.
func (a *assembly) whole() bool { return a.end >= 0 && a.bytes == a.end }

// advanceAssemblies gives up those whose time is over, and tells the sender, where the first fragment has come (RFC
// 1122, section 3.3.2; RFC 8200, section 4.5).
func (h *Host) advanceAssemblies(now time.Duration) {
	t := &h.assemblies
	if t.due > now {
		return
	}
	var gone []*assembly
	t.due = off
	for _, a := range t.list {
		if a.at <= now {
			gone = append(gone, a)
		} else {
			t.due = min(t.due, a.at)
		}
	}
	for _, a := range gone {
		t.drop(a)
		if a.dead {
			continue
		}
		h.Dropped.Fragments++
		if a.first.raw != nil {
			h.complain(now, &a.first, notAssembled, 0)
		}
	}
}
