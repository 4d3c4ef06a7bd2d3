package bus

import (
	"math/rand/v2"
	"testing"
	"time"
)

// follower is a node, and its side of a room.
func follower(t *testing.T) (*machine, *room) {
	t.Helper()
	limits, err := Limits{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(1, "", limits, rand.New(rand.NewPCG(1, 2)), time.Unix(1e9, 0), true)
	r, err := m.room("r")
	if err != nil {
		t.Fatal(err)
	}
	return m, r
}

// TestCaughtUpByGap: who has joined has caught up, too, when the last of what there was is a gap: Ready waited for the
// next message.
func TestCaughtUpByGap(t *testing.T) {
	for name, last := range map[string]frame{
		"another epoch's messages": {kind: kindMsg, flags: flagApart},
		"gone from the history":    {kind: kindGap},
		"a message":                {kind: kindMsg, data: []byte("x")},
	} {
		t.Run(name, func(t *testing.T) {
			_, r := follower(t)
			const owner = 2
			r.join(owner)
			c := r.subscribe(nil, nil)
			r.told(owner, &frame{kind: kindWelcome, chn: r.joinID, epoch: 9, n: 5})
			if c.known {
				t.Error("a subscriber is there before what there was")
			}
			last.epoch, last.seq = 9, 5
			if last.kind == kindMsg {
				r.told(owner, &frame{kind: kindGap, epoch: 9, seq: 4})
			}
			r.told(owner, &last)
			if want := (Position{9, 5}); !c.known || c.last != want || r.pos != want {
				t.Errorf("the subscriber is there: %v, at %v; the room at %v, want %v", c.known, c.last, r.pos, want)
			}
		})
	}
}

// TestLateWelcome: a welcome that comes late, when the same owner was asked anew, is not answered by a farewell, which
// the owner would take for one behind the newer request.
func TestLateWelcome(t *testing.T) {
	m, r := follower(t)
	const owner, other = 2, 3
	r.join(owner)
	first := r.joinID
	r.join(other)
	r.join(owner)
	m.out = nil
	r.told(owner, &frame{kind: kindWelcome, chn: first, epoch: 9})
	if len(m.out) > 0 || r.state != joining {
		t.Errorf("it said %+v, and is in state %d", m.out, r.state)
	}
	r.told(other, &frame{kind: kindWelcome, chn: first + 1, epoch: 8})
	if len(m.out) != 1 || m.out[0].f.kind != kindLeave || m.out[0].to != other {
		t.Errorf("it said %+v to another one's", m.out)
	}
	r.told(owner, &frame{kind: kindWelcome, chn: r.joinID, epoch: 9})
	if r.state != following || r.pos.Epoch != 9 {
		t.Errorf("it is in state %d, at %v", r.state, r.pos)
	}
}
