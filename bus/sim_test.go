package bus

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var (
	simSteps = flag.Int("sim.steps", 0, "steps of TestRandom; 0: 200,000, or with -short 10,000")
	simSeed  = flag.Uint64("sim.seed", 0, "seed of TestRandom's first world; 0: 1")
)

// A world is nodes on a network that loses, delays, cuts and stops, all by a seed.
type world struct {
	t       testing.TB
	rand    *rand.Rand
	now     time.Time
	limit   Limits
	nodes   []*simNode
	mail    mail
	sent    uint64
	cut     map[[2]NodeID]bool      // packets from one to the other are lost
	last    map[[2]NodeID]time.Time // when the last one arrives: none overtakes another
	loss    float64
	watch   []*watcher
	served  map[string]int // calls, by what they asked
	asked   []*asked
	ordered map[Position]heard  // when, and by whom
	newest  map[uint64]uint64   // the last of those, by epoch
	truth   map[Position][]byte // what was ordered
	taken   map[string]Position // where Publish said that it is
	heard   []heard             // of those, what may be expected to be seen
	sure    map[string]int      // 1: was to be published; 2: said that it was; 3: said perhaps
	total   int
	healed  time.Time // by a test of a world that is to be whole at times
}

// heard is a message of which Publish has said where it is, when, and which node has ordered it.
type heard struct {
	room, text string
	at         time.Time
	by         *simNode
}

type simNode struct {
	w       *world
	m       *machine
	due     time.Time
	paused  time.Time // until then
	stopped time.Time // when it was paused last, by a test that wants to know
	dead    bool
	late    []letter // came while it was paused
}

type letter struct {
	at       time.Time
	n        uint64
	from, to NodeID
	p        []byte
}

type mail []letter

func (q mail) Len() int { return len(q) }
func (q mail) Less(i, j int) bool {
	return cmp.Or(q[i].at.Compare(q[j].at), cmp.Compare(q[i].n, q[j].n)) < 0
}
func (q mail) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *mail) Push(x any)   { *q = append(*q, x.(letter)) }
func (q *mail) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func newWorld(t testing.TB, seed uint64, nodes int, l Limits) *world {
	l, err := l.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, rand: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(1e9, 0), limit: l,
		cut: make(map[[2]NodeID]bool), last: make(map[[2]NodeID]time.Time), truth: make(map[Position][]byte),
		ordered: make(map[Position]heard), newest: make(map[uint64]uint64),
		served: make(map[string]int),
		taken:  make(map[string]Position), sure: make(map[string]int)}
	for range nodes {
		w.boot()
	}
	return w
}

func (w *world) boot() *simNode {
	n := &simNode{w: w, due: w.now}
	id := NodeID(w.rand.Uint64())
	n.m = newMachine(id, fmt.Sprint("node", len(w.nodes)), w.limit, rand.New(rand.NewPCG(uint64(id), 2)), w.now, false)
	w.nodes = append(w.nodes, n)
	n.flush()
	return n
}

// do calls something of the machine, as a user would.
func (n *simNode) do(f func(m *machine)) {
	n.m.now = n.w.now
	f(n.m)
	n.m.settleLocal()
	n.flush()
}

// serve answers calls: with ten parts, the last of which is what was asked.
func (n *simNode) serve() {
	for len(n.m.calls.starts) > 0 {
		s := n.m.calls.starts[0]
		n.m.calls.starts = n.m.calls.starts[1:]
		n.w.served[string(s.data)]++
		for i := range 9 {
			s.answer(n.m, part{data: []byte{byte(i)}})
		}
		s.answer(n.m, part{data: s.data, flags: flagLast})
		n.m.settleLocal()
	}
}

// flush sends what the machine has said, as packets that are parsed again, and has the watchers look.
func (n *simNode) flush() {
	w := n.w
	for _, s := range n.m.seats.all {
		for _, e := range s.epochs() {
			for w.newest[e.id] < e.last {
				w.newest[e.id]++
				w.ordered[Position{e.id, w.newest[e.id]}] = heard{at: w.now, by: n}
			}
		}
	}
	for _, p := range n.m.out {
		for _, o := range w.nodes {
			if o.m.id != n.m.id && !o.dead && (p.to == 0 || p.to == o.m.id) {
				w.post(n.m.id, o.m.id, p.f.append(appendPacket(nil, n.m.id)))
			}
		}
	}
	clear(n.m.out)
	n.m.out = n.m.out[:0]
	n.serve()
	for _, r := range n.m.woken {
		r.woke = false
		for _, c := range r.subs {
			c.wake()
		}
	}
	n.m.woken = n.m.woken[:0]
	n.due = w.now
}

func (w *world) post(from, to NodeID, p []byte) {
	way := [2]NodeID{from, to}
	if w.cut[way] || w.rand.Float64() < w.loss {
		return
	}
	at := w.now.Add(time.Millisecond + time.Duration(w.rand.Int64N(int64(4*time.Millisecond))))
	if last := w.last[way]; at.Before(last) {
		at = last
	}
	w.last[way] = at
	w.sent++
	heap.Push(&w.mail, letter{at, w.sent, from, to, p})
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for {
		var next *simNode
		for _, n := range w.nodes {
			if !n.dead && (next == nil || n.wakes().Before(next.wakes())) {
				next = n
			}
		}
		mailFirst := len(w.mail) > 0 && (next == nil || !next.wakes().Before(w.mail[0].at))
		switch {
		case mailFirst && !w.mail[0].at.After(end):
			l := heap.Pop(&w.mail).(letter)
			w.now = maxTime(w.now, l.at)
			w.deliver(l)
		case !mailFirst && next != nil && !next.wakes().After(end):
			w.now = maxTime(w.now, next.wakes())
			w.total++
			late := next.late
			next.late = nil
			for _, l := range late {
				w.deliver(l)
			}
			due := next.m.tick(w.now, false)
			next.flush()
			next.due = due
		default:
			w.now = end
			return
		}
	}
}

func maxTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func (n *simNode) wakes() time.Time { return maxTime(n.due, n.paused) }

func (w *world) deliver(l letter) {
	w.total++
	i := slices.IndexFunc(w.nodes, func(n *simNode) bool { return n.m.id == l.to })
	if i < 0 || w.nodes[i].dead {
		return
	}
	n := w.nodes[i]
	if w.now.Before(n.paused) {
		n.late = append(n.late, l)
		return
	}
	err := parsePacket(l.p, func(from NodeID, f *frame) { n.m.receive(w.now, from, f) })
	if err != nil {
		w.t.Fatal(err)
	}
	n.flush()
}

// A watcher is a subscriber, and what must be true of what it sees. It moves from node to node as clients do.
type watcher struct {
	w      *world
	room   string
	n      *simNode
	c      *cursor
	last   Position          // message
	hole   bool              // a gap was told since
	begun  bool              // the next message of another epoch was told of
	seen   map[uint64]uint64 // the last number, by epoch
	had    []Position        // likewise, the newest last
	count  int
	gaps   int
	fresh  bool
	static bool            // it stays on its node
	saw    map[string]bool // of one that does
	left   map[uint64]bool // epochs of which it was told that they may go on without it
	told   time.Time       // when it was last told that it missed something
}

func (w *world) watcher(n *simNode, room string) *watcher {
	s := &watcher{w: w, room: room, seen: make(map[uint64]uint64), left: make(map[uint64]bool), fresh: true}
	w.watch = append(w.watch, s)
	s.attach(n)
	return s
}

func (s *watcher) attach(n *simNode) {
	s.n = n
	n.do(func(m *machine) {
		r, err := m.room(s.room)
		if err != nil {
			s.w.t.Fatal(err)
		}
		s.c = r.subscribe(s.had, func() { s.look() })
	})
	s.look()
}

func (s *watcher) detach() {
	if s.c != nil && !s.n.dead {
		s.n.do(func(*machine) { s.c.end() })
	}
	s.c = nil
}

func (s *watcher) look() {
	for s.c != nil {
		e, ok := s.c.next()
		if !ok {
			return
		}
		s.check(e)
	}
}

// check is the contract: within an epoch the numbers rise, one by one but for what a gap told; another epoch is told,
// and its messages before or without which none was; and each message is what was ordered at that position.
func (s *watcher) check(e Event) {
	w := s.w
	switch e.Kind {
	case Gap:
		s.hole = true
		s.gaps++
		s.told = w.now
	case NewEpoch:
		s.begun = true
		if !e.Complete {
			s.told = w.now
			s.left[e.Pos.Epoch] = true
		}
		if e.Complete && !s.fresh && !s.hole && s.last.Epoch == e.Pos.Epoch && s.last.Seq != e.Pos.Seq {
			w.t.Fatalf("%s: complete, with %v, and %v was the last", s.room, e.Pos, s.last)
		}
	case Message:
		s.count++
		if s.static {
			s.saw[string(e.Data)] = true
		}
		switch {
		case e.Pos.Epoch == s.last.Epoch && e.Pos.Seq <= s.last.Seq, e.Pos.Seq <= s.seen[e.Pos.Epoch]:
			w.t.Fatalf("%s on %s: %v behind %v, had %d", s.room, s.n.m.name, e.Pos, s.last, s.seen[e.Pos.Epoch])
		case e.Pos.Epoch == s.last.Epoch && e.Pos.Seq != s.last.Seq+1 && !s.hole:
			w.t.Fatalf("%s on %s: %v behind %v without a gap", s.room, s.n.m.name, e.Pos, s.last)
		case e.Pos.Epoch != s.last.Epoch && !s.fresh && !s.begun && !s.hole:
			w.t.Fatalf("%s on %s: %v behind %v without a new epoch", s.room, s.n.m.name, e.Pos, s.last)
		case e.Pos.Epoch != s.last.Epoch && !s.fresh && !s.hole && e.Pos.Seq != s.seen[e.Pos.Epoch]+1:
			w.t.Fatalf("%s on %s: an epoch begins with %v without a gap", s.room, s.n.m.name, e.Pos)
		}
		if was, ok := w.truth[e.Pos]; ok && string(was) != string(e.Data) {
			w.t.Fatalf("%v is %q, and was %q", e.Pos, e.Data, was)
		}
		w.truth[e.Pos] = e.Data
		s.last, s.hole, s.begun, s.fresh = e.Pos, false, false, false
		s.seen[e.Pos.Epoch] = e.Pos.Seq
		s.had = append(slices.DeleteFunc(s.had, func(p Position) bool { return p.Epoch == e.Pos.Epoch }), e.Pos)
	}
}

// publish publishes something that was never there before.
func (w *world) publish(n *simNode, room string) string {
	id := binary.BigEndian.AppendUint64(nil, uint64(len(w.sure)+1))
	text := fmt.Sprintf("%s-%x", room, id)
	n.do(func(m *machine) {
		r, err := m.room(room)
		if err != nil {
			w.t.Fatal(err)
		}
		err = r.publish([]byte(text), func(at Position, err error) {
			if err != nil {
				w.sure[text] = 3
				return
			}
			w.sure[text] = 2
			if was, ok := w.truth[at]; ok && string(was) != text {
				w.t.Fatalf("%v is said to be %q, and is %q", at, text, was)
			}
			w.truth[at] = []byte(text)
			w.taken[text] = at
			w.heard = append(w.heard, heard{room: room, text: text})
		})
		if err == nil {
			w.sure[text] = 1
		} else if err != ErrFull {
			w.t.Fatal(err)
		}
	})
	return text
}

// An asked is a call, and what came of it.
type asked struct {
	n    *simNode
	c    *call
	text string
	got  int
}

// ask calls whoever answers.
func (w *world) ask(n *simNode) {
	a := &asked{n: n, text: fmt.Sprint("call ", len(w.asked))}
	n.do(func(m *machine) {
		c, err := m.call("echo", []byte(a.text), time.Time{}, func() {})
		if err == nil {
			a.c = c
			w.asked = append(w.asked, a)
		} else if err != ErrNobody {
			w.t.Fatal(err)
		}
	})
}

// hear takes what has been answered, and holds that it is in order, and was done once.
func (w *world) hear(a *asked) {
	a.n.do(func(m *machine) {
		for {
			p, ok := a.c.take(m)
			if !ok {
				return
			}
			if want := string([]byte{byte(a.got)}); a.got < 9 && string(p) != want || a.got == 9 && string(p) != a.text {
				w.t.Fatalf("%s: part %d is %q", a.text, a.got, p)
			}
			a.got++
		}
	})
	if w.served[a.text] > 1 || a.c.over && a.c.err == nil && a.got != 10 {
		w.t.Fatalf("%s: done %d times, %d parts", a.text, w.served[a.text], a.got)
	}
}

// alive are the nodes that live.
func (w *world) alive() (all []*simNode) {
	for _, n := range w.nodes {
		if !n.dead {
			all = append(all, n)
		}
	}
	return all
}

// heal ends all faults.
func (w *world) heal() {
	clear(w.cut)
	w.loss = 0
	for _, n := range w.nodes {
		n.paused = time.Time{}
	}
}
