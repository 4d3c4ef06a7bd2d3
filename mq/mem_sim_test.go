package mq

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A world runs a memQueue in a time of its own, beside a model of what it must do.
type world struct {
	t       *testing.T
	seed    uint64
	rand    *rand.Rand
	now     time.Time
	q       *memQueue
	sources []*memSource
	out     []simOut
	state   map[string]*simJob // by group and ID
	jobs    []*Message
	order   map[string][]string // by group and key: IDs in the order of publishing that are not settled
	log     []string
}

// A simJob is what is known of a job in a group.
type simJob struct {
	settled bool      // done or dead
	out     time.Time // until when somebody has it; zero: nobody
	ready   time.Time // not before
	times   int       // handed out
}

type simOut struct {
	s *memSource
	d *Delivery
	j *simJob
}

var simGroups = []string{"one", "two"}

func newWorld(t *testing.T, seed uint64, o QueueOptions) *world {
	w := &world{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 0)), now: time.Unix(1e9, 0), q: newMemQueue("q", o),
		state: make(map[string]*simJob), order: make(map[string][]string)}
	for _, name := range simGroups {
		g := w.q.group(name)
		for range 2 {
			w.sources = append(w.sources, w.source(g))
		}
	}
	return w
}

func (w *world) source(g *memGroup) *memSource {
	return &memSource{q: w.q, g: g, o: SubscribeOptions{InFlight: 1 + w.rand.IntN(4),
		Visibility: time.Duration(1+w.rand.IntN(60)) * time.Second}, has: make(map[*memItem]struct{}),
		wake: make(chan struct{}, 1)}
}

func (w *world) note(format string, a ...any) { w.log = append(w.log, fmt.Sprintf(format, a...)) }

func (w *world) fail(format string, a ...any) {
	w.t.Helper()
	last := w.log[max(0, len(w.log)-30):]
	w.t.Fatalf("seed %d, step %d: %s\nthe last steps:\n%q", w.seed, len(w.log), fmt.Sprintf(format, a...), last)
}

func (w *world) step() {
	switch n := w.rand.IntN(100); {
	case n < 25:
		w.publish()
	case n < 55:
		w.take()
	case n < 85:
		w.settle()
	case n < 90:
		w.close()
	case n < 94:
		w.redrive()
	default:
		w.jump()
	}
}

func (w *world) publish() {
	name := fmt.Sprint("m", len(w.jobs)) // of the job, which is told by its body: an ID may be used again
	m := &Message{ID: name, Body: []byte(name), Priority: w.rand.IntN(w.q.o.Priorities)}
	if w.rand.IntN(3) > 0 {
		m.Key = fmt.Sprint("k", w.rand.IntN(4))
	}
	if w.rand.IntN(4) == 0 {
		m.NotBefore = w.now.Add(time.Duration(w.rand.IntN(7*3600)) * time.Second)
	}
	again := len(w.jobs) > 0 && w.rand.IntN(10) == 0
	if again {
		m.ID = w.jobs[w.rand.IntN(len(w.jobs))].ID
	}
	_, known := w.q.ids[m.ID]
	was := w.q.jobs
	dup, err := w.q.publish(w.now, m)
	w.note("publish %s %s: %v %v", m.ID, m.Key, dup, err)
	switch {
	case errors.Is(err, ErrFull):
		if was < w.q.o.MaxJobs && int64(len(w.q.ids)) < memIDsPer*w.q.o.MaxJobs {
			w.fail("full with %d jobs of %d", was, w.q.o.MaxJobs)
		}
		return
	case err != nil:
		w.fail("publish: %v", err)
	case dup:
		if !again || !known {
			w.fail("%s is no duplicate", m.ID)
		}
		return
	}
	w.jobs = append(w.jobs, m)
	for _, g := range simGroups {
		w.state[g+name] = &simJob{ready: m.NotBefore}
		w.order[g+m.Key] = append(w.order[g+m.Key], name)
	}
}

func (w *world) take() {
	s := w.sources[w.rand.IntN(len(w.sources))]
	for _, d := range w.q.take(w.now, s.g, s, 1+w.rand.IntN(5)) {
		w.note("take %s by %p: attempt %d", d.ID, s, d.Attempt)
		name := string(d.Body)
		j := w.state[s.g.name+name]
		w.out = append(w.out, simOut{s, d, j})
		if j == nil {
			w.fail("%s came, which nobody published", d.ID)
		}
		j.times++
		switch {
		case j.settled:
			w.fail("%s came, which is settled", d.ID)
		case j.out.After(w.now):
			w.fail("%s came, which another has until %v", d.ID, j.out)
		case j.ready.After(w.now):
			w.fail("%s came %v before its time", d.ID, j.ready.Sub(w.now))
		case d.Attempt != j.times:
			w.fail("%s came as attempt %d, want %d", d.ID, d.Attempt, j.times)
		}
		if key := s.g.name + d.Key; w.q.o.Ordered && d.Key != "" && w.order[key][0] != name {
			w.fail("%s came before %s, which is the first of key %s", d.ID, w.order[key][0], d.Key)
		}
		j.out = w.now.Add(s.o.Visibility)
	}
	if len(s.has) > s.o.InFlight {
		w.fail("%d in flight, of %d", len(s.has), s.o.InFlight)
	}
}

// settle does something with a delivery, or finds that it is lost.
func (w *world) settle() {
	if len(w.out) == 0 {
		return
	}
	at := w.rand.IntN(len(w.out))
	o := w.out[at]
	j := o.j // a job that was redriven has another
	i, err := w.q.mine(w.now, o.s, o.d)
	mine := !j.settled && j.out.After(w.now) && j.times == o.d.Attempt
	if (err == nil) != mine {
		w.fail("%s, attempt %d: %v, want mine %v", o.d.ID, o.d.Attempt, err, mine)
	}
	if err != nil {
		w.out = slices.Delete(w.out, at, at+1)
		return
	}
	switch n := w.rand.IntN(10); {
	case n < 2:
		w.q.extend(w.now, o.s.g, i)
		j.out = w.now.Add(o.s.o.Visibility)
		return
	case n < 5:
		delay := time.Duration(w.rand.IntN(100)) * time.Second
		w.note("nak %s for %v", o.d.ID, delay)
		w.q.nak(w.now, o.s.g, i, delay, nil)
		j.out, j.ready = time.Time{}, w.now.Add(delay)
	case n < 6:
		err := w.q.bury(w.now, o.s.g, i, nil)
		w.note("bury %s: %v", o.d.ID, err)
		if full := int64(len(w.q.dead)) >= w.q.o.MaxDead; err != nil && !full {
			w.fail("bury: %v", err)
		}
		if err != nil {
			return
		}
		w.settled(o.s.g.name, o.d)
	default:
		w.note("ack %s", o.d.ID)
		w.q.ack(w.now, o.s.g, i)
		w.settled(o.s.g.name, o.d)
	}
	w.out = slices.Delete(w.out, at, at+1)
}

func (w *world) settled(group string, d *Delivery) {
	name := string(d.Body)
	w.state[group+name].settled = true
	key := group + d.Key
	w.order[key] = slices.DeleteFunc(w.order[key], func(other string) bool { return other == name })
}

// close ends a source; another takes its place.
func (w *world) close() {
	at := w.rand.IntN(len(w.sources))
	s := w.sources[at]
	w.note("close %p", s)
	for i := range s.has {
		w.state[s.g.name+string(i.job.Body)].out = time.Time{}
	}
	w.q.close(w.now, s.g, s)
	w.sources[at] = w.source(s.g)
}

func (w *world) redrive() {
	ds := w.q.listDead("", 100)
	if len(ds) == 0 {
		return
	}
	d := ds[w.rand.IntN(len(ds))]
	if w.rand.IntN(2) == 0 {
		if err := w.q.drop(d.Ref); err != nil {
			w.fail("drop: %v", err)
		}
		return
	}
	err := w.q.redrive(w.now, d.Ref)
	w.note("redrive %s: %v", d.ID, err)
	if errors.Is(err, ErrFull) {
		return
	}
	if err != nil {
		w.fail("redrive: %v", err)
	}
	w.state[d.Group+string(d.Body)] = &simJob{}
	w.order[d.Group+d.Key] = append(w.order[d.Group+d.Key], string(d.Body))
}

// jump moves the time, mostly a bit, and sometimes by hours; back as well, as clocks are put.
func (w *world) jump() {
	d := time.Duration(w.rand.IntN(40)) * time.Second
	switch w.rand.IntN(20) {
	case 0:
		d = time.Duration(w.rand.IntN(12*3600)) * time.Second
	case 1:
		if len(w.out) == 0 { // what is out would be so for longer, which the model does not say
			d = -d
			w.q.tick(w.now)
			for _, j := range w.state { // what has been due stays so
				if !j.out.After(w.now) {
					j.out = time.Time{}
				}
				if !j.ready.After(w.now) {
					j.ready = time.Time{}
				}
			}
		}
	}
	w.now = w.now.Add(d)
	w.note("jump %v", d)
	if at := w.q.next(); !at.IsZero() && !at.After(w.now) {
		w.q.tick(w.now)
		if at = w.q.next(); !at.IsZero() && !at.After(w.now) {
			w.fail("after a tick something is due %v ago", w.now.Sub(at))
		}
	}
}

// finish does all that there is, and holds that nothing is left.
func (w *world) finish() {
	for range 10_000 {
		left := 0
		for _, s := range w.sources {
			for _, d := range w.q.take(w.now, s.g, s, 100) {
				i, err := w.q.mine(w.now, s, d)
				if err != nil {
					w.fail("what was just handed out is lost: %v", err)
				}
				w.q.ack(w.now, s.g, i)
				w.state[s.g.name+string(d.Body)].settled = true
			}
			left += len(s.g.ready) + len(s.g.timed) + s.g.held
		}
		if left == 0 {
			break
		}
		if at := w.q.next(); at.After(w.now) {
			w.now = at
		}
	}
	for name, j := range w.state {
		if !j.settled {
			w.fail("%s was published, and never came to an end", name)
		}
	}
	if s := w.q.stats(); s.Jobs != 0 || s.Bytes != 0 || !s.Oldest.IsZero() {
		w.fail("all is done, and the counts are %+v", s)
	}
	for _, name := range simGroups {
		if g := w.q.groups[name]; len(g.keys) != 0 || g.out != 0 || g.held != 0 {
			w.fail("all is done, and group %s has %+v", name, g)
		}
	}
}

// TestMemMachine lets random things happen to a queue in a time that jumps: no job is lost, early, at two places at
// once or out of order.
func TestMemMachine(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		o := QueueOptions{MaxJobs: 50, MaxDead: 5, Priorities: 3, Ordered: seed%2 == 0}
		if seed%3 == 0 {
			o.Dedupe = time.Hour
		}
		w := newWorld(t, seed, o)
		for range 500 {
			w.step()
		}
		w.finish()
	}
}

// TestMemSixHours: a job is put off for six hours, and the clock is put back and forward meanwhile.
func TestMemSixHours(t *testing.T) {
	now := time.Unix(1e9, 0)
	q := newMemQueue("q", QueueOptions{})
	s := &memSource{q: q, g: q.group("g"), o: SubscribeOptions{InFlight: 1, Visibility: time.Minute},
		has: make(map[*memItem]struct{})}
	if _, err := q.publish(now, &Message{ID: "x", NotBefore: now.Add(6 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	came := 0
	for i, at := range []time.Duration{0, time.Hour, -24 * time.Hour, 5 * time.Hour, 6*time.Hour - 1, 6 * time.Hour,
		7 * time.Hour, 2 * time.Hour, 48 * time.Hour} {
		q.tick(now.Add(at))
		for _, d := range q.take(now.Add(at), s.g, s, 10) {
			came++
			if at != 6*time.Hour {
				t.Errorf("step %d: it came at %v", i, at)
			}
			item, err := q.mine(now.Add(at), s, d)
			if err != nil {
				t.Fatal(err)
			}
			q.ack(now.Add(at), s.g, item)
		}
	}
	if came != 1 {
		t.Errorf("it came %d times", came)
	}
}
