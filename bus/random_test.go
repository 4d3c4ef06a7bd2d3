package bus

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestRandom runs worlds with partitions, pauses, deaths, loss and clients that move, and holds the contract for each
// subscriber; and at last, when all is healed, that all see all.
func TestRandom(t *testing.T) {
	t.Parallel()
	steps, seed := *simSteps, *simSeed
	switch {
	case steps == 0 && testing.Short():
		steps = 10_000
	case steps == 0:
		steps = 200_000
	}
	if seed == 0 {
		seed = 1
	}
	done, events, gaps := 0, 0, 0
	for ; done < steps; seed++ {
		w := newWorld(t, seed, 2+int(seed%4), Limits{History: 64, Rooms: 100, Linger: 2 * time.Second})
		if !t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { w.t = t; w.random(); w.end() }) {
			return
		}
		done += w.total
		for _, s := range w.watch {
			events, gaps = events+s.count, gaps+s.gaps
		}
	}
	t.Logf("%d steps, up to seed %d: %d messages seen, %d gaps", done, seed-1, events, gaps)
	if events < steps/50 {
		t.Errorf("only %d messages were seen", events)
	}
}

// random does what may happen.
func (w *world) random() {
	w.run(2 * time.Second)
	rooms := []string{"hall", "garden", "attic"}
	for _, room := range rooms {
		for range 2 {
			s := w.watcher(w.nodes[w.rand.IntN(len(w.nodes))], room)
			s.static, s.saw = true, make(map[string]bool)
		}
	}
	w.run(time.Second)
	w.heard = nil
	for range 6 {
		w.watcher(w.nodes[w.rand.IntN(len(w.nodes))], rooms[w.rand.IntN(len(rooms))])
	}
	for range 400 {
		all := w.alive()
		n := all[w.rand.IntN(len(all))]
		w.state(n)
		switch dice := w.rand.IntN(100); {
		case dice < 60:
			for range 1 + w.rand.IntN(6) {
				w.publish(n, rooms[w.rand.IntN(len(rooms))])
			}
		case dice < 62:
			for range 100 + w.rand.IntN(200) { // more than is kept
				w.publish(n, rooms[w.rand.IntN(len(rooms))])
			}
		case dice < 72: // a client goes to another node
			s := w.watch[w.rand.IntN(len(w.watch))]
			if s.static {
				continue
			}
			s.detach()
			if w.rand.IntN(2) == 0 {
				w.run(time.Duration(w.rand.Int64N(int64(3 * time.Second))))
				all = w.alive()
				n = all[w.rand.IntN(len(all))]
			}
			s.attach(n)
		case dice < 78: // one way or both are cut
			o := all[w.rand.IntN(len(all))]
			w.cut[[2]NodeID{n.m.id, o.m.id}] = true
			if w.rand.IntN(3) > 0 {
				w.cut[[2]NodeID{o.m.id, n.m.id}] = true
			}
		case dice < 84:
			clear(w.cut)
		case dice < 88:
			n.paused = w.now.Add(time.Duration(w.rand.Int64N(int64(6 * time.Second))))
		case dice < 91:
			w.loss = w.rand.Float64() * w.rand.Float64() * 0.5
		case dice < 92 && len(w.nodes) < 30:
			w.kill(n)
		case dice < 93 && len(all) < 6 && len(w.nodes) < 30:
			w.boot()
		}
		w.run(time.Duration(w.rand.Int64N(int64(400 * time.Millisecond))))
	}
}

// kill ends a node, and its clients come back on another one.
func (w *world) kill(n *simNode) {
	if len(w.alive()) < 2 {
		w.boot()
	}
	n.dead = true
	all := w.alive()
	for _, s := range w.watch {
		if s.n == n {
			s.static = false
			s.attach(all[w.rand.IntN(len(all))])
		}
	}
}

// end heals the world, and then all is as it should be.
func (w *world) end() {
	w.heal()
	w.run(15 * time.Second)
	for _, n := range w.alive() {
		for _, r := range n.m.rooms.all {
			if len(r.pub.queue) > 0 || r.state == joining {
				w.t.Fatalf("%s: %s is in state %d, and %d messages wait", n.m.name, r.name, r.state, len(r.pub.queue))
			}
		}
	}
	before := make([]int, len(w.watch))
	for i, s := range w.watch {
		before[i] = s.gaps
	}
	w.silence()
	w.agree()
	var texts []string
	for range 20 {
		all := w.alive()
		for _, room := range []string{"hall", "garden", "attic"} {
			texts = append(texts, w.publish(all[w.rand.IntN(len(all))], room))
		}
		w.run(50 * time.Millisecond)
	}
	w.run(time.Second)
	for _, text := range texts {
		if w.sure[text] != 2 {
			w.t.Errorf("%q is published: %d", text, w.sure[text])
		}
	}
	last := make(map[string]Position)
	for i, s := range w.watch {
		if l, ok := last[s.room]; ok && l != s.last || s.last == (Position{}) {
			w.t.Errorf("%s: one is at %v, another at %v", s.room, s.last, l)
		}
		last[s.room] = s.last
		if s.gaps > before[i] {
			w.t.Errorf("%s: a gap at rest", s.room)
		}
	}
	for _, n := range w.alive() {
		if len(n.m.busyRooms)+len(n.m.busySeats) > 0 {
			w.t.Errorf("%s has work at rest: %d rooms, %d seats", n.m.name, len(n.m.busyRooms), len(n.m.busySeats))
			for _, r := range n.m.busyRooms {
				w.t.Logf("%s: state %d, stray %v, %d wait", r.name, r.state, r.strayAt, len(r.pub.queue))
			}
		}
	}
}

// silence is the contract between epochs: who stayed on its node has seen what was published, or was told later that it
// has missed something, even if another part of the nodes had an epoch of its own. But for what a node has ordered that
// died before it could tell.
func (w *world) silence() {
	for _, s := range w.watch {
		if !s.static {
			continue
		}
		for _, h := range w.heard {
			h.at, h.by = w.ordered[w.taken[h.text]].at, w.ordered[w.taken[h.text]].by
			if h.room == s.room && !h.by.dead && !s.saw[h.text] && s.told.Before(h.at) && !s.left[w.taken[h.text].Epoch] {
				w.t.Errorf("%s on %s: %q at %v, ordered by %s, is missing, and nothing told since %v of %v", s.room, s.n.m.name,
					h.text, w.taken[h.text], h.by.m.name, s.told, h.at)
				return
			}
		}
	}
}

// state has a node change what it says of itself, and call.
func (w *world) state(n *simNode) {
	key := fmt.Sprint("key", w.rand.IntN(10))
	n.do(func(m *machine) {
		var err error
		switch w.rand.IntN(6) {
		case 0:
			err = m.set(&entry{sort: sortMember, room: "hall", key: key, data: []byte{1}}, w.rand.IntN(2) == 0)
		case 1:
			err = m.set(&entry{sort: sortService, room: "echo"}, w.rand.IntN(3) == 0)
		case 2:
			err = m.write("bucket", key, fmt.Append(nil, w.total), w.rand.IntN(4) == 0)
		case 3:
			for range 300 { // more than is kept of changes
				err = errors.Join(err, m.write("bucket", key, fmt.Append(nil, w.total), false))
			}
		}
		if err != nil {
			w.t.Fatal(err)
		}
	})
	if w.rand.IntN(3) == 0 {
		w.ask(n)
	}
	for _, a := range w.asked {
		if !a.n.dead {
			w.hear(a)
		}
	}
}

// agree: at rest all nodes have the same members, who are of nodes that live, and the same values; and each call has
// come to its end.
func (w *world) agree() {
	views := make(map[string]string)
	for _, n := range w.alive() {
		var members, values []string
		for _, room := range []string{"hall", "bucket"} {
			n.m.each(sortMember, room, func(node NodeID, _ string, e *entry) {
				members = append(members, fmt.Sprint(node, e.key))
				if !slices.ContainsFunc(w.alive(), func(o *simNode) bool { return o.m.id == node }) {
					w.t.Errorf("%s sees %s on a node that is gone", n.m.name, e.key)
				}
			})
		}
		for i := range 10 {
			if v := n.m.winner("bucket", fmt.Sprint("key", i)); v != nil {
				values = append(values, fmt.Sprint(i, v.gone, string(v.data)))
			}
		}
		slices.Sort(members)
		views[fmt.Sprint(members, values)] = n.m.name
	}
	if len(views) != 1 {
		w.t.Errorf("the nodes do not agree: %q", views)
	}
	for _, a := range w.asked {
		if !a.n.dead && !a.c.over {
			w.t.Errorf("%s of %s: no end, %d parts", a.text, a.n.m.name, a.got)
		}
	}
}
