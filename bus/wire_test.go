package bus

import (
	"bytes"
	"testing"
)

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
