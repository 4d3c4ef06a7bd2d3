package mqtest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/mq"
)

func testRoundTrip(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	binary := make([]byte, 256)
	for i := range binary {
		binary[i] = byte(i)
	}
	ms := []mq.Message{
		{Body: []byte("plain")},
		{},
		{Body: binary, ID: "id-1", Key: "a key/with:all*sorts.of>things~",
			Header: map[string]string{"X-One": "1", "x-one": "other case", "Empty": "", "Edges": "  both ", "Öl": "no"}},
		{Body: []byte("\r\n.\r\n"), Header: map[string]string{"Text": "größer, 大きい, 100% \\ \" = ;", "Nats-Msg-Id": "mine",
			"Content-Type": "text/plain"}, Deadline: time.Now().Add(time.Hour)},
	}
	if _, err := q.Publish(r.ctx(), ms[2]); err == nil || mq.StoredBy(err) != mq.NotStored {
		t.Errorf("a header's name that is not ASCII: %v, want an error", err)
	}
	delete(ms[2].Header, "Öl")
	before := time.Now()
	rs, err := q.PublishBatch(r.ctx(), ms)
	if err != nil {
		t.Fatal(err)
	}
	y := newTally()
	r.consume(q, mq.Consumer{InFlight: 1}, func(_ context.Context, j *mq.Job) error {
		y.note(j)
		return nil
	})
	jobs := y.wait(r, len(ms))
	for i, m := range ms {
		at := slices.IndexFunc(jobs, func(j *mq.Job) bool { return j.ID == rs[i].ID })
		if at < 0 {
			t.Errorf("job %d, %s, did not come", i, rs[i].ID)
			continue
		}
		j := jobs[at]
		if !bytes.Equal(j.Body, m.Body) || j.Key != m.Key || !maps.Equal(j.Header, m.Header) || m.ID != "" && j.ID != m.ID {
			t.Errorf("job %d: got %q, key %q, header %q; want %q, %q, %q", i, j.Body, j.Key, j.Header, m.Body, m.Key, m.Header)
		}
		if d := j.Deadline.Sub(m.Deadline).Abs(); d > time.Microsecond {
			t.Errorf("job %d: Deadline %v, want %v", i, j.Deadline, m.Deadline)
		}
		if j.Try != 1 || len(j.Failures) != 0 || j.Queue != r.name || j.Group != "default" {
			t.Errorf("job %d: %+v", i, j)
		}
		if d := j.Published.Sub(before); d < -time.Minute || d > patience {
			t.Errorf("job %d: published %v, want about %v", i, j.Published, before)
		}
	}
	r.empty(q)
	r.counts(func(s mq.Stats) bool {
		return s.Published == int64(len(ms)) && s.Done == s.Published && s.Started == s.Done && s.Refused == 1
	})
}

func testBigBody(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	body := bytes.Repeat([]byte("0123456789abcdef"), 60<<10) // the whole of Limits.Body
	header := map[string]string{"Long": strings.Repeat("h", 4<<10)}
	r.publish(q, mq.Message{Body: body, Header: header})
	if _, err := q.Publish(r.ctx(), mq.Message{Body: append(body, 'x')}); err == nil || mq.StoredBy(err) != mq.NotStored {
		t.Errorf("a body beyond Limits.Body: %v, want an error that it is not stored", err)
	}
	y := newTally()
	r.consume(q, mq.Consumer{}, func(_ context.Context, j *mq.Job) error { y.note(j); return nil })
	if j := y.wait(r, 1)[0]; !bytes.Equal(j.Body, body) || !maps.Equal(j.Header, header) {
		t.Errorf("a body of %d bytes came, want %d", len(j.Body), len(body))
	}
}

// testBatch: three workers share jobs, each of which is done once.
func testBatch(t *testing.T, r *rig) {
	const n = 1000
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts(numbers("b", n)...)...)
	y := newTally()
	for range 3 {
		r.consume(r.again(r.broker()), mq.Consumer{InFlight: 20}, func(_ context.Context, j *mq.Job) error {
			y.note(j)
			return nil
		})
	}
	y.wait(r, n)
	r.empty(q)
	got := y.bodies()
	slices.Sort(got)
	want := numbers("b", n)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d jobs came, %d of them different; want %d once each", len(got), len(slices.Compact(got)), n)
	}
}

// testGroups: the first group has what was there before it, a later one what comes after it, and both have that.
func testGroups(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts("early")...)
	one, two := newTally(), newTally()
	w := r.consume(q, mq.Consumer{Group: "one"}, func(_ context.Context, j *mq.Job) error { one.note(j); return nil })
	one.wait(r, 1)
	r.empty(q)
	w.end()
	other, err := r.broker().Backend().OpenQueue(r.ctx(), r.name, mq.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is there
		if err := other.Group(r.ctx(), "two"); err != nil {
			t.Fatal(err)
		}
	}
	r.publish(q, texts("late")...) // nobody consumes: it is kept for both
	r.consume(q, mq.Consumer{Group: "two"}, func(_ context.Context, j *mq.Job) error { two.note(j); return nil })
	two.wait(r, 1)
	if s, err := q.Stats(r.ctx()); err != nil || s.Jobs == 0 {
		t.Errorf("a job of which one group is not done is gone: %+v, %v", s, err)
	}
	r.consume(q, mq.Consumer{Group: "one"}, func(_ context.Context, j *mq.Job) error { one.note(j); return nil })
	one.wait(r, 2)
	r.empty(q)
	a, b := one.bodies(), two.bodies()
	if !slices.Equal(a, []string{"early", "late"}) || !slices.Equal(b, []string{"late"}) {
		t.Errorf("group one had %q, group two %q", a, b)
	}
}

// testDelay: a job that waits for its time is not handed out before, and holds up no other.
func testDelay(t *testing.T, r *rig) {
	r.needs(r.b.Capabilities().Delay > 0, "delay")
	for delay := 4 * time.Second; !delayed(t, r, delay); delay *= 2 {
		t.Logf("the others did not come within %v: the machine is busy", delay)
	}
}

// delayed is testDelay. It reports false where the others came too late to tell.
func delayed(t *testing.T, r *rig, delay time.Duration) bool {
	q := r.queue(mq.QueueOptions{Delay: time.Hour})
	at := time.Now().Add(delay)
	y := newTally()
	when := make(chan time.Time, 10)
	w := r.consume(q, mq.Consumer{}, func(_ context.Context, j *mq.Job) error {
		when <- time.Now()
		y.note(j)
		return nil
	})
	r.publish(q, mq.Message{Body: []byte("late"), NotBefore: at}, mq.Message{Body: []byte("now")},
		mq.Message{Body: []byte("past"), NotBefore: time.Now().Add(-time.Hour)})
	jobs := y.wait(r, 3)
	for _, j := range jobs {
		came := <-when
		if early := at.Sub(came); string(j.Body) == "late" && early > 10*time.Millisecond {
			t.Errorf("a job was handed out %v before its time", early)
		}
		if j.Try != 1 {
			t.Errorf("job %s: try %d, want 1", j.Body, j.Try)
		}
	}
	if string(jobs[2].Body) != "late" {
		if delay < time.Minute {
			w.end()
			return false
		}
		t.Errorf("jobs came in the order %q: the delayed one did not come last", y.bodies())
	}
	r.empty(q)
	return true
}

func testDeadline(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, mq.Message{Body: []byte("over"), Deadline: time.Now().Add(-time.Second)})
	y := newTally()
	cause := make(chan error, 1)
	r.consume(q, mq.Consumer{}, func(ctx context.Context, j *mq.Job) error {
		y.note(j)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return ctx.Err()
	})
	expired := int64(1)
	for d := 4 * time.Second; !r.bounded(q, time.Now().Add(d), cause, expired); d *= 2 {
		expired++ // it was too late for a handler: the machine is busy
	}
	r.empty(q)
	if got := y.bodies(); !slices.Equal(got, []string{"bounded"}) {
		t.Errorf("handled were %q: a job is of no use after its Deadline", got)
	}
	r.counts(func(s mq.Stats) bool { return s.Expired == expired+1 })
}

// bounded publishes a job, and holds that the handler's context ends at its Deadline; false: it was one more that
// expired before a handler had it.
func (r *rig) bounded(q *mq.Queue, soon time.Time, cause <-chan error, expired int64) (handled bool) {
	r.Helper()
	r.publish(q, mq.Message{Body: []byte("bounded"), Deadline: soon})
	look := func() bool {
		select {
		case err := <-cause:
			if !errors.Is(err, context.DeadlineExceeded) || time.Now().Before(soon) {
				r.Errorf("the handler's context ended %v before the Deadline: %v", time.Until(soon), err)
			}
			handled = true
		default:
		}
		return handled
	}
	r.until("the handler's context ends at the Deadline", func() bool { return look() || r.b.Stats().Expired > expired })
	return handled || look() // a job is counted behind its handler's end
}

func testDedupe(t *testing.T, r *rig) {
	r.needs(r.b.Capabilities().Dedupe > 0, "dedupe window")
	q := r.queue(mq.QueueOptions{Dedupe: time.Minute})
	for i, want := range []bool{false, true} {
		rec, err := q.Publish(r.ctx(), mq.Message{ID: "same", Body: []byte{byte('0' + i)}})
		if err != nil || rec.Duplicate != want || rec.ID != "same" {
			t.Errorf("publish %d: %+v, %v; want Duplicate %v", i, rec, err, want)
		}
	}
	y := newTally()
	r.consume(q, mq.Consumer{}, func(_ context.Context, j *mq.Job) error { y.note(j); return nil })
	y.wait(r, 1)
	r.empty(q)
	rs, err := r.again(r.broker()).PublishBatch(r.ctx(), []mq.Message{ // done, and still known, to others too
		{ID: "same"}, {ID: "other", Body: []byte("other")}, {ID: "other", Body: []byte("again")}})
	if err != nil || !rs[0].Duplicate || rs[1].Duplicate || !rs[2].Duplicate {
		t.Errorf("publish of a done job, a new one, and that again: %+v, %v", rs, err)
	}
	y.wait(r, 2)
	r.empty(q)
	if got := y.bodies(); !slices.Equal(got, []string{"0", "other"}) {
		t.Errorf("came: %q", got)
	}
	if s := r.b.Stats(); s.Published != 1 || s.Duplicates != 1 {
		t.Errorf("the counts are %+v", s)
	}
}

func testPriorities(t *testing.T, r *rig) {
	n := r.b.Capabilities().Priorities
	r.needs(n > 1, "priorities")
	q := r.queue(mq.QueueOptions{Priorities: n})
	for range 3 {
		for p := range n {
			r.publish(q, mq.Message{Priority: p, Body: []byte{byte(p)}})
		}
	}
	if _, err := q.Publish(r.ctx(), mq.Message{Priority: n}); err == nil {
		t.Errorf("a priority of %d was taken, of %d", n, n)
	}
	_, src := r.source(r.b, mq.SubscribeOptions{InFlight: 1})
	var got []int
	for range 3 * n {
		d := r.next(src, 1)[0]
		got = append(got, int(d.Body[0]))
		if d.Priority != int(d.Body[0]) {
			t.Errorf("Priority %d, want %d", d.Priority, d.Body[0])
		}
		if err := src.Ack(r.ctx(), d); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.IsSortedFunc(got, func(a, b int) int { return b - a }) {
		t.Errorf("the priorities came as %v", got)
	}
}
