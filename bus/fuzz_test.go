package bus

import (
	"math/rand/v2"
	"testing"
	"time"
)

// FuzzMachine: whatever another node says, a node goes on, within its limits.
func FuzzMachine(f *testing.F) {
	e := &entry{sort: sortValue, room: "bucket", key: "key", stamp: 5, data: []byte("x")}
	all := []frame{{kind: kindHello}}
	for k := kind(1); k < kindEnd; k++ {
		for _, flags := range []uint64{0, flagFresh, flagSwap, flagHole | flagLast} {
			all = append(all, frame{kind: k, chn: 1, epoch: 2, n: 1, flags: flags, room: "hall", data: e.encode(nil, false)})
		}
	}
	p := appendPacket(nil, 7)
	for i := range all {
		f.Add(all[i].append(appendPacket(nil, 7)))
		p = all[i].append(p)
	}
	f.Add(p)
	whole := frame{kind: kindOps, flags: flagWhole, n: 9, data: e.encode(e.encode(nil, false), false)}
	f.Add(whole.append(appendPacket(nil, 7)))
	answer := frame{kind: kindAnswer, chn: 3, seq: 1, flags: flagLast, data: []byte{0, 1, 1, 1}}
	f.Add(answer.append(appendPacket(nil, 7)))
	f.Fuzz(func(t *testing.T, p []byte) {
		l, err := Limits{Rooms: 8, History: 8, Entries: 8, Calls: 8, Pending: 8, Message: 1 << 10}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		m := busy(t, l)
		err = parsePacket(p, func(_ NodeID, f *frame) {
			f.data = append([]byte(nil), f.data...)
			m.receive(m.now.Add(time.Millisecond), 7, f)
			m.calls.starts = nil
		})
		if err != nil {
			m.stats.Refused++
		}
		for range 3 {
			m.tick(m.now.Add(100*time.Millisecond), false)
		}
		if len(m.rooms.all) > l.Rooms || len(m.seats.all) > l.Rooms || len(m.mine.all.all) > 3*l.Entries ||
			len(m.calls.in) > l.Calls || len(m.calls.refused) > l.Calls || len(m.peers) > 1 {
			t.Fatalf("%d rooms, %d seats, %d entries, %d calls, %d peers", len(m.rooms.all), len(m.seats.all),
				len(m.mine.all.all), len(m.calls.in)+len(m.calls.refused), len(m.peers))
		}
		for i := range m.out { // what it says can be said
			q := m.out[i].f.append(appendPacket(nil, m.id))
			if err := parsePacket(q, func(NodeID, *frame) {}); err != nil {
				t.Fatalf("it says %+v: %v", m.out[i].f, err)
			}
		}
	})
}

// busy is a node that is connected with node 7, and has something of everything.
func busy(t *testing.T, l Limits) *machine {
	m := newMachine(6, "six", l, rand.New(rand.NewPCG(1, 2)), time.Unix(1e9, 0), false)
	hears := func() []byte {
		g := m.greeting(0)
		gen, _, _ := listed(g.data, 7)
		return append([]byte{0, 0, 0, 0, 0, 0, 0, 6, 1}, byte(gen)&0x7f)
	}
	m.tick(m.now.Add(2*settle), false)
	for range 2 {
		m.receive(m.now, 7, &frame{kind: kindHello, key: "seven", flags: flagReady, data: hears()})
	}
	if !m.connected(7) {
		t.Fatal("it does not know node 7")
	}
	for _, name := range []string{"hall", "garden", "attic"} {
		r, err := m.room(name)
		if err != nil {
			t.Fatal(err)
		}
		r.subscribe(nil, func() {})
		if err := r.publish([]byte("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []sort{sortMember, sortService, sortValue} {
		if err := m.set(&entry{sort: s, room: "hall", stamp: 1}, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"a", "b", "c"} {
		if _, err := m.swap("bucket", swap{key: key}, nil, time.Time{}, func() {}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.call("hall", nil, time.Time{}, func() {}); err != nil {
		t.Fatal(err)
	}
	m.settleLocal()
	m.calls.starts = nil
	return m
}

// FuzzChange: a change is read within its bounds, and written as it was read.
func FuzzChange(f *testing.F) {
	e := &entry{sort: sortValue, room: "bucket", key: "key", stamp: 1 << 63, gone: true, data: []byte("data")}
	f.Add(e.encode(nil, false))
	f.Add(e.encode(e.encode(nil, true), false))
	f.Fuzz(func(t *testing.T, p []byte) {
		e, removed, rest, ok := decode(p)
		if !ok {
			return
		}
		if len(e.room) > mostName || len(e.key) > mostName || len(e.data)+len(rest) > len(p) {
			t.Fatalf("%+v of %d bytes, and %d are left", e, len(p), len(rest))
		}
		again, was, left, ok := decode(e.encode(nil, removed))
		if !ok || was != removed || len(left) > 0 || again.name() != e.name() || again.version() != e.version() ||
			again.stamp != e.stamp || again.gone != e.gone {
			t.Fatalf("%+v became %+v", e, again)
		}
	})
}

// FuzzPosition: a client's position is one, or is refused; and one that is told is read.
func FuzzPosition(f *testing.F) {
	f.Add("")
	f.Add(Position{1, 2}.String())
	f.Add(Position{1 << 63, 1 << 63}.String())
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePosition(s)
		if err != nil {
			return
		}
		if again, err := ParsePosition(p.String()); err != nil || again != p {
			t.Fatalf("%q is %v, which is %v, %v", s, p, again, err)
		}
	})
}
