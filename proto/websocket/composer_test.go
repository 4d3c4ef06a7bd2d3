package websocket

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestComposer holds that an Assembler reads what a Composer writes, for each agreement.
func TestComposer(t *testing.T) {
	agreements := []*Compression{nil, kept, {SendBits: 9, ReceiveBits: 9}}
	r := rand.New(rand.NewPCG(1, 1))
	for side := range Client + 1 {
		for i, c := range agreements {
			w, a := NewComposer(side, c, nil), NewAssembler(Client-side, c, Limits{})
			for _, msg := range messages(r, 12) {
				frame, err := w.AppendMessage(nil, Text, msg)
				if err != nil {
					t.Fatal(err)
				}
				if compressed := frame[0]&0x40 != 0; compressed != (c != nil && len(msg) >= defaultThreshold) {
					t.Errorf("agreement %d: a message of %d bytes is compressed: %v", i, len(msg), compressed)
				}
				got, err := whole(a, frame, 1+r.IntN(len(frame)))
				if err != nil || len(got) != 1 || got[0] != string(msg) {
					t.Fatalf("agreement %d: %d messages, %v", i, len(got), err)
				}
			}
			n, e, err := a.Next(nil)
			if n != 0 || e.Kind != None || err != nil || !a.Idle() || a.buf != nil || a.packed != nil {
				t.Errorf("behind a message the Assembler holds a buffer, or tells %v, %v", e.Kind, err)
			}
		}
	}
}

// TestFreshKeys holds that a client's frames have different keys, and a server's none.
func TestFreshKeys(t *testing.T) {
	seen := map[string]bool{}
	w := NewComposer(Client, nil, nil)
	for range 100 {
		b, _ := w.AppendMessage(nil, Binary, nil)
		if b[1] != 0x80 || len(b) != 6 || seen[string(b[2:])] {
			t.Fatalf("%q, %d keys before", b, len(seen))
		}
		seen[string(b[2:])] = true
	}
	if b, _ := NewComposer(Server, nil, nil).AppendMessage(nil, Binary, nil); b[1] != 0 {
		t.Errorf("a server's frame is %q", b)
	}
}

func TestComposerRefuses(t *testing.T) {
	w := NewComposer(Server, kept, nil)
	bad := []byte(strings.Repeat("a", 300) + "\xff")
	if b, err := w.AppendMessage([]byte("x"), Text, bad); err != ErrText || string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := w.AppendMessage(nil, Binary, []byte("\xff")); err != nil {
		t.Error(err)
	}
}
