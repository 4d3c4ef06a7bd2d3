package bus

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestVersion: packets of another version are not read, each version is logged once, and what is no packet is told
// apart.
func TestVersion(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	b := open(t, Options{Transport: deaf{}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	hello := frame{kind: kindHello, key: "other"}
	for _, version := range []byte{1, 1, 1, 3, 3, wireVersion} {
		p := hello.append(appendPacket(nil, 0xabc))
		p[0] = version
		b.take(p)
		if n := len(b.m.peers); (n == 1) != (version == wireVersion) {
			t.Errorf("version %d: %d nodes are heard", version, n)
		}
	}
	b.take([]byte{1})
	if s := b.Stats(); s.Foreign != 5 || s.Refused != 1 {
		t.Errorf("%d packets of other versions, and %d that are none", s.Foreign, s.Refused)
	}
	all := log.String()
	if strings.Count(all, "\n") != 2 || strings.Count(all, "node=0000000000000abc version=1 own=2\n") != 1 ||
		strings.Count(all, "version=3") != 1 {
		t.Errorf("the log has:\n%s", all)
	}
}

// FuzzPacket: what comes from the network is parsed within its bounds, and what is emitted is what is parsed.
func FuzzPacket(f *testing.F) {
	p := appendPacket(nil, 7)
	f.Add(p)
	for k := kind(1); k < kindEnd; k++ {
		one := frame{kind: k, chn: 1, epoch: 1 << 63, seq: 300, flags: 3, n: 9, room: "hall", key: "k", data: []byte("data")}
		p = one.append(p)
	}
	f.Add(p)
	f.Add(p[:len(p)-1])
	f.Fuzz(func(t *testing.T, p []byte) {
		var again []byte
		err := parsePacket(p, func(from NodeID, f *frame) {
			if again == nil {
				again = appendPacket(nil, from)
			}
			if len(f.data) > len(p) || len(f.room) > mostName || f.size() < len(f.room)+len(f.key)+len(f.data) {
				t.Fatalf("%+v", f)
			}
			before := len(again)
			if again = f.append(again); len(again)-before > f.size() {
				t.Fatalf("%d bytes, size says %d", len(again)-before, f.size())
			}
		})
		if err != nil || again == nil {
			return
		}
		n, m := 0, 0
		var frames []frame
		_ = parsePacket(p, func(_ NodeID, f *frame) { frames = append(frames, *f); n++ })
		err = parsePacket(again, func(_ NodeID, f *frame) {
			g := &frames[m]
			if f.kind != g.kind || f.chn != g.chn || f.room != g.room || f.key != g.key || !bytes.Equal(f.data, g.data) {
				t.Fatalf("%+v became %+v", g, f)
			}
			m++
		})
		if err != nil || n != m {
			t.Fatalf("%d frames became %d, %v", n, m, err)
		}
	})
}
