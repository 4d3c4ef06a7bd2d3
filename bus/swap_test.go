package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestSwap: a value is replaced by version, and who has an old one is told.
func TestSwap(t *testing.T) {
	t.Parallel()
	b := open(t, Options{Limits: Limits{Message: 100, Entries: 2}})
	k, ctx := b.Bucket("settings"), within(t)
	one, err := k.Create(ctx, "a", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := k.Update(ctx, "a", []byte("two"), one)
	if err != nil || two == one || two == (Version{}) {
		t.Fatal(two, err)
	}
	if v, at, ok := k.Lookup("a"); !ok || string(v) != "two" || at != two {
		t.Errorf("got %q, %v, %v", v, at, ok)
	}
	long, done := make([]byte, 101), func(_ Version, err error) error { return err }
	for name, row := range map[string]struct{ got, want error }{
		"there is one":          {done(k.Create(ctx, "a", nil)), ErrConflict},
		"an old version":        {done(k.Update(ctx, "a", nil, one)), ErrConflict},
		"there is none":         {done(k.Update(ctx, "b", nil, one)), ErrConflict},
		"remove an old version": {k.Remove(ctx, "a", one), ErrConflict},
		"a long value":          {done(k.Create(ctx, "b", long)), ErrTooLong},
		"a long key":            {done(k.Create(ctx, string(make([]byte, 256)), nil)), ErrTooLong},
	} {
		if !errors.Is(row.got, row.want) {
			t.Errorf("%s: %v, want %v", name, row.got, row.want)
		}
	}
	if err := k.Put("a", []byte("three")); err != nil { // which asks nobody
		t.Error(err)
	}
	if _, err := k.Update(ctx, "a", nil, two); err != ErrConflict {
		t.Errorf("behind a Put: %v", err)
	}
	_, at, _ := k.Lookup("a")
	if err := k.Remove(ctx, "a", at); err != nil {
		t.Error(err)
	}
	if _, at, ok := k.Lookup("a"); ok || at != (Version{}) {
		t.Errorf("after Remove: %v, %v", at, ok)
	}
	for _, key := range []string{"a", "b"} { // one that was removed may be created
		if _, err := k.Create(ctx, key, nil); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := k.Create(ctx, "c", nil); err != ErrFull {
		t.Errorf("one too many: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := k.Create(ctx, "d", nil); err != ErrClosed {
		t.Errorf("closed: %v", err)
	}
}

// TestSwapWaits: a node that has just begun does not decide, and the caller's context ends the wait.
func TestSwapWaits(t *testing.T) {
	t.Parallel()
	b := open(t, Options{Transport: deaf{}})
	ctx, cancel := context.WithCancelCause(within(t))
	enough := errors.New("enough")
	cancel(enough)
	if _, err := b.Bucket("x").Create(ctx, "a", nil); err != enough {
		t.Errorf("got %v", err)
	}
	if n := len(b.m.calls.out); n != 0 {
		t.Errorf("%d calls are left", n)
	}
	if _, err := b.Bucket("x").Create(within(t), "a", nil); err != nil { // when it has looked around
		t.Error(err)
	}
}

// deaf is a Transport without others.
type deaf struct{}

func (deaf) Open(NodeID, func([]byte)) error { return nil }
func (deaf) Send(NodeID, []byte) error       { return nil }
func (deaf) Close() error                    { return nil }

// A swapped is a compare-and-set that has succeeded, and the nodes that certainly have it: who decided, and who asked.
type swapped struct {
	has  []*simNode
	now  Version
	text string
	at   time.Time
}

// gone reports whether it may be lost: those nodes are dead, or it was one alone, which was stopped just then.
func (s *swapped) gone() bool {
	for _, n := range s.has {
		if !n.dead && (len(s.has) > 1 || n.stopped.Before(s.at) || n.stopped.After(s.at.Add(deadAfter))) {
			return false
		}
	}
	return true
}

// A swapper makes swaps in a world.
type swapper struct {
	*world
	from map[string]*swapped // by key and the version that was replaced
	open []*trying
	done int
	lost int
}

type trying struct {
	n    *simNode
	c    *call
	text string
}

// try replaces the value that a node knows.
func (w *swapper) try(n *simNode, key string) *trying {
	a := &trying{n: n, text: fmt.Sprint(n.m.name, " ", w.total, " ", len(w.open), " ", w.done)}
	n.do(func(m *machine) {
		was := m.winner("bucket", key).version()
		a.text = fmt.Sprint(key, was, ", ", a.text)
		var err error
		if a.c, err = m.swap("bucket", swap{key: key, was: was}, []byte(a.text), time.Time{}, func() {}); err != nil {
			w.t.Fatal(err)
		}
	})
	w.open = append(w.open, a)
	return a
}

// hear takes what has come of the tries, and holds that no version was replaced twice.
func (w *swapper) hear() {
	left := w.open[:0]
	for _, a := range w.open {
		c := a.c
		switch {
		case a.n.dead:
			continue
		case !c.over:
			left = append(left, a)
			continue
		}
		a.n.do(func(m *machine) { m.forget(c) })
		if c.err != nil {
			if c.err != ErrConflict && c.err != ErrLost {
				w.t.Fatal(c.err)
			}
			w.lost++
			continue
		}
		w.done++
		s := &swapped{has: []*simNode{a.n}, now: c.swap.now, text: a.text, at: w.now}
		for _, n := range w.nodes {
			if n.m.id == c.to && n != a.n {
				s.has = append(s.has, n)
			}
		}
		if w, at, _ := a.n.m.lookup(c.swap.key); at != s.now && at.stamp <= s.now.stamp {
			a.n.w.t.Fatalf("%s has %q at %v after it was told that it is %q at %v", a.n.m.name, w, at, s.text, s.now)
		}
		what := fmt.Sprint(c.swap.key, c.swap.was)
		if o := w.from[what]; o != nil && !o.gone() {
			w.t.Fatalf("%s was replaced twice: by %q at %v, and by %q at %v", what, o.text, o.at, s.text, s.at)
		}
		w.from[what] = s
	}
	w.open = left
	for i := range 3 { // nor is it by a swap of which nobody has heard that it succeeded
		key := fmt.Sprint("key", i)
		for _, n := range w.alive() {
			text, at, ok := n.m.lookup(key)
			what, _, _ := strings.Cut(text, ",")
			if s := w.from[what]; ok && s != nil && s.now.stamp < at.stamp && !s.gone() {
				w.t.Fatalf("%s: %s was replaced twice: by %q at %v, and by %q of %v", n.m.name, what, s.text, s.at, text, at)
			}
		}
	}
}

func (m *machine) lookup(key string) (text string, at Version, ok bool) {
	w := m.winner("bucket", key)
	if w == nil {
		return "", Version{}, false
	}
	return string(w.data), w.version(), true
}

// TestRandomSwap runs worlds with loss, pauses, deaths, new nodes, and cuts that leave a node which hears both sides:
// no version of a value is replaced by two, nor forgotten, and at last, when all is healed, each node replaces some.
func TestRandomSwap(t *testing.T) {
	t.Parallel()
	steps, seed := *simSteps, max(*simSeed, 1)
	switch {
	case steps == 0 && testing.Short():
		steps = 10_000
	case steps == 0:
		steps = 50_000
	}
	done, swaps, lost := 0, 0, 0
	for ; done < steps; seed++ {
		w := &swapper{world: newWorld(t, seed, 3+int(seed%3), Limits{}), from: make(map[string]*swapped)}
		if !t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { w.t = t; w.random(); w.end() }) {
			return
		}
		done, swaps, lost = done+w.total, swaps+w.done, lost+w.lost
	}
	t.Logf("%d steps, up to seed %d: %d swaps, %d conflicts", done, seed-1, swaps, lost)
	if swaps < steps/200 || lost == 0 {
		t.Errorf("only %d swaps, and %d conflicts", swaps, lost)
	}
}

func (w *swapper) random() {
	w.run(2 * time.Second)
	w.loss = w.rand.Float64() * 0.05
	for range 400 {
		all := w.alive()
		n := all[w.rand.IntN(len(all))]
		whole := len(w.cut) == 0 && w.now.After(w.healed)
		switch dice := w.rand.IntN(100); {
		case dice < 80 && w.now.Before(n.paused): // who is stopped asks nobody
		case dice < 80:
			w.try(n, fmt.Sprint("key", w.rand.IntN(3)))
		case dice < 84 && whole:
			n.paused = w.now.Add(time.Duration(w.rand.Int64N(int64(6 * time.Second))))
			n.stopped, w.healed = w.now, n.paused.Add(deadAfter)
		case dice < 88 && whole && len(all) > 2:
			if o := all[w.rand.IntN(len(all))]; o != n {
				w.cut[[2]NodeID{n.m.id, o.m.id}] = true
				if w.rand.IntN(3) > 0 {
					w.cut[[2]NodeID{o.m.id, n.m.id}] = true
				}
			}
		case dice < 93 && len(w.cut) > 0:
			clear(w.cut)
			w.healed = w.now.Add(deadAfter)
		case dice < 95 && whole && len(all) > 2 && len(w.nodes) < 30:
			n.dead, w.healed = true, w.now.Add(2*deadAfter)
		case dice < 97 && whole && len(all) < 6 && len(w.nodes) < 30:
			w.boot()
		}
		w.run(time.Duration(w.rand.Int64N(int64(200 * time.Millisecond))))
		w.hear()
	}
}

// end heals the world. Then nothing is lost, and nothing waits.
func (w *swapper) end() {
	w.heal()
	w.run(10 * time.Second)
	w.hear()
	for i := range 3 {
		key := fmt.Sprint("key", i)
		for _, n := range w.alive() {
			_, at, _ := n.m.lookup(key)
			for what, s := range w.from {
				if what[:len(key)] == key && at.stamp < s.now.stamp && !s.gone() {
					w.t.Errorf("%s: %s has %v, and %q at %v was told to be stored", n.m.name, what, at, s.text, s.now)
				}
			}
		}
		for _, n := range w.alive() {
			a := w.try(n, key)
			w.run(time.Second)
			if !a.c.over || a.c.err != nil {
				w.t.Errorf("%s at rest, on %s: %v, %v", key, n.m.name, a.c.over, a.c.err)
			}
		}
	}
	w.hear()
	if len(w.open) > 0 {
		w.t.Errorf("%d swaps have no end", len(w.open))
	}
}

// TestSwapStopped: a node that was stopped, and that the others have taken for dead, decides nothing of what they have
// decided meanwhile, nor of what it was asked before.
func TestSwapStopped(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1) {
		w := &swapper{world: newWorld(t, seed, 3, Limits{}), from: make(map[string]*swapped)}
		w.run(3 * time.Second)
		for i := range 6 {
			n := w.nodes[i%3]
			for _, key := range []string{"key0", "key1", "key2"} {
				w.try(w.nodes[(i+1)%3], key)
			}
			n.stopped, n.paused = w.now, w.now.Add(3*time.Second)
			for w.run(time.Millisecond); w.now.Before(n.paused); w.run(100 * time.Millisecond) {
				w.try(w.nodes[(i+1)%3], "key0")
				w.try(w.nodes[(i+2)%3], "key1")
				w.hear()
			}
			for range 100 {
				for _, key := range []string{"key0", "key1", "key2"} {
					w.try(n, key)
				}
				w.run(2 * time.Millisecond)
				w.hear()
			}
			w.run(2 * time.Second)
			w.hear()
		}
		if w.done < 100 {
			t.Errorf("seed %d: only %d swaps", seed, w.done)
		}
	}
}

// TestRefusedCopy: copies of calls that were refused are not answered either, for the caller turns to another node.
// They come before it says that it knows of that: none overtakes another frame.
func TestRefusedCopy(t *testing.T) {
	t.Parallel()
	const refused = 300
	w := newWorld(t, 1, 2, Limits{})
	w.run(2 * time.Second)
	a, b := w.nodes[0], w.nodes[1]
	ask := &frame{kind: kindCall, epoch: a.m.peer(b.m.id).gen, room: "echo", data: []byte("x")}
	a.do(func(m *machine) {
		all := func() {
			for i := range refused {
				ask.chn = 1000 + uint64(i)
				m.do(b.m.id, ask)
			}
		}
		all()
		if err := m.set(&entry{sort: sortService, room: "echo"}, false); err != nil {
			t.Error(err)
		}
		all()
	})
	if n := w.served["x"]; n != 0 {
		t.Errorf("%d copies were answered", n)
	}
	ask.chn = 999 // its first frame was lost: so it comes after those that the caller has made later
	a.do(func(m *machine) { m.do(b.m.id, ask) })
	if n := w.served["x"]; n != 1 {
		t.Errorf("another call was answered %d times", n)
	}
	w.run(time.Second)
	if n := len(a.m.calls.refused); n != 0 {
		t.Errorf("%d refused calls are still known, and the caller knows that they are", n)
	}
}

// TestFullCopy: a call that found the node full is not answered when there is room, for its caller was told that it has
// failed; and who finds no room to be refused in is not told of it, and asks again.
func TestFullCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 2, Limits{Calls: 1})
	w.run(2 * time.Second)
	a, b := w.nodes[0], w.nodes[1]
	call := func(m *machine, chn uint64, text string) {
		m.do(b.m.id, &frame{kind: kindCall, epoch: m.peer(b.m.id).gen, chn: chn, room: "echo", data: []byte(text)})
	}
	a.do(func(m *machine) {
		if err := m.set(&entry{sort: sortService, room: "echo"}, false); err != nil {
			t.Error(err)
		}
		call(m, 1000, "first")
		call(m, 1001, "refused")
		before := len(m.out)
		call(m, 1002, "unheard")
		if len(m.out) > before {
			t.Errorf("it is told %+v", m.out[before:])
		}
		m.do(b.m.id, &frame{kind: kindGot, chn: 1000, flags: flagCancel})
		m.calls.starts = nil
		call(m, 1001, "refused")
		call(m, 1002, "unheard")
	})
	if w.served["refused"] > 0 || w.served["unheard"] != 1 {
		t.Errorf("done: %v", w.served)
	}
}
