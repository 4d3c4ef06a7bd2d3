package mq_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

func queue(t *testing.T, b *mq.Broker, o mq.QueueOptions) *mq.Queue {
	t.Helper()
	q, err := b.Queue(t.Context(), "q", o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestBuildsNoBroker: who imports plexor or mq builds neither a broker nor a client of one.
func TestBuildsNoBroker(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command here to list the packages with")
	}
	out, err := exec.Command("go", "list", "-deps", "github.com/plexor-go/plexor", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "github.com/plexor-go/plexor/mq\n") {
		t.Fatalf("go list says %q", out)
	}
	for _, p := range strings.Fields(string(out)) {
		first, _, _ := strings.Cut(p, "/")
		ours := strings.HasPrefix(p, "github.com/plexor-go/plexor")
		if strings.Contains(first, ".") && !ours && !strings.HasPrefix(p, "golang.org/x/sys/") ||
			ours && strings.Contains(p, "/mq/") {
			t.Errorf("it builds %s", p)
		}
	}
}

// TestURLs: what can't be opened says what to do, and no password.
func TestURLs(t *testing.T) {
	for url, want := range map[string]string{
		"":                                 "unknown scheme",
		"kafka://x":                        `unknown scheme "kafka": this program has mem`,
		"nats://u:secret@x":                `import _ "github.com/plexor-go/plexor/mq/nats"`,
		"nats+embedded:///x":               `import _ "github.com/plexor-go/plexor/mq/nats"`,
		"redis://:secret@x":                `import _ "github.com/plexor-go/plexor/mq/redis"`,
		"amqp://u:secret@x":                `import _ "github.com/plexor-go/plexor/mq/rabbit"`,
		"nats://u:secret@[x":               "the URL is wrong",
		"mem://a b":                        "the URL is wrong",
		"mem://ä":                          "is no name",
		"mem://a?size=3":                   "takes a name and nothing else",
		"mem://u:secret@a":                 "takes a name and nothing else",
		"mem://" + strings.Repeat("x", 65): "is no name",
	} {
		_, err := mq.Open(t.Context(), url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q): %v, want %q", url, err, want)
		}
		if _, _, err := mq.OpenKV(t.Context(), url, "kv"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("OpenKV(%q): %v", url, err)
		}
	}
}

// TestNames: names that would be something else on some broker are refused on all.
func TestNames(t *testing.T) {
	b := mqtest.Broker(t, "mem://")
	for _, bad := range []string{"", "a.b", "a b", "a*", "a>", "a/b", "..", "ä", "a\n", strings.Repeat("x", 65)} {
		if err := b.Publish(t.Context(), bad, nil); err == nil {
			t.Errorf("a queue %q was made", bad)
		}
		if err := b.Delete(t.Context(), bad); err == nil || errors.Is(err, mq.ErrNoQueue) {
			t.Errorf("delete of a queue %q: %v", bad, err)
		}
		if _, err := b.KV(t.Context(), bad); err == nil {
			t.Errorf("a store %q was made", bad)
		}
		h := func(context.Context, *mq.Job) error { return nil }
		if err := b.Consume(t.Context(), "q", mq.Consumer{Group: bad + "."}, h); err == nil {
			t.Errorf("a group %q was made", bad+".")
		}
	}
}

// TestMessagesRefused: each limit, and headers that could be another's.
func TestMessagesRefused(t *testing.T) {
	b, err := (mq.Options{Limits: mq.Limits{Body: 10, Headers: 2, Header: 20, Key: 3, ID: 4}}).Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	q := queue(t, b, mq.QueueOptions{Priorities: 2})
	good := mq.Message{Body: []byte("0123456789"), Header: map[string]string{"a": "1", "b": "2"}, Key: "k k", ID: "1234",
		Priority: 1}
	if _, err := q.Publish(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	header := func(name, value string) mq.Message { return mq.Message{Header: map[string]string{name: value}} }
	bad := []mq.Message{
		{Body: []byte("0123456789a")}, {Key: "keys"}, {ID: "12345"}, {Priority: 2}, {Priority: -1},
		{Key: "\n"}, {ID: "ä"}, {Header: map[string]string{"a": "", "b": "", "c": ""}},
		header("a", strings.Repeat("x", 20)), header("", "x"), header("a b", "x"), header("a:", "x"), header("a\r", "x"),
		header("Plexor-Id", "x"), header("PLEXOR-Id", "x"), header("plexor-", "x"), header("a", "x\r\ny"),
		header("a", "\x00"),
	}
	for _, m := range bad {
		if _, err := q.Publish(t.Context(), m); err == nil || mq.StoredBy(err) != mq.NotStored {
			t.Errorf("%+v: %v", m, err)
		}
	}
	rs, err := q.PublishBatch(t.Context(), []mq.Message{good, bad[0], good})
	if err == nil || rs[0].Err != nil || rs[1].Err == nil || rs[2].Err != nil {
		t.Errorf("a batch with a bad one: %+v, %v", rs, err)
	}
	if s := b.Stats(); s.Refused != int64(len(bad))+1 || s.Published != 3 {
		t.Errorf("the counts are %+v", s)
	}
}

// TestCoroutines: what a coroutine calls parks it, and its Consume runs handlers as coroutines of its loop.
func TestCoroutines(t *testing.T) {
	t.Parallel()
	l, err := loop.New(loop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { _ = l.Run() }()
	s, err := coro.New(l, coro.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := mqtest.Broker(t, "mem://")
	const n = 100
	done := 0 // the loop's own: handlers need no lock
	_, err = coro.Call(t.Context(), s, "test", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, coro.Group(ctx, func(g *coro.Tasks) error {
			ctx, cancel := coro.WithTimeout(ctx, time.Minute)
			defer cancel()
			work, stop := context.WithCancel(ctx)
			defer stop()
			var over coro.Event
			g.Go(func(context.Context) error {
				return b.Consume(work, "q", mq.Consumer{InFlight: 10}, func(ctx context.Context, j *mq.Job) error {
					if err := coro.Sleep(ctx, time.Millisecond); err != nil {
						return err
					}
					if done++; done == n {
						stop()
						over.Set()
					}
					return nil
				})
			})
			for i := range n {
				if err := b.Publish(ctx, "q", fmt.Append(nil, i)); err != nil {
					return err
				}
			}
			return over.Wait(ctx)
		})
	})
	if err != nil || done != n {
		t.Errorf("%d jobs done, %v", done, err)
	}
	if s := b.Stats(); s.Done != n {
		t.Errorf("the counts are %+v", s)
	}
}

// TestLimit: a handler that takes too long is told, and when it goes on all the same, the job is another's.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mqtest.Broker(t, "mem://")
		ctx, cancel := context.WithCancel(t.Context())
		var tries atomic.Int64
		stuck := make(chan struct{})
		done := make(chan error)
		if err := b.Publish(ctx, "q", nil); err != nil {
			t.Fatal(err)
		}
		go func() {
			c := mq.Consumer{Limit: time.Minute, Visibility: 10 * time.Second}
			done <- b.Consume(ctx, "q", c, func(ctx context.Context, j *mq.Job) error {
				if tries.Add(1) > 1 {
					return nil
				}
				<-ctx.Done()
				if !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
					t.Errorf("the cause is %v", context.Cause(ctx))
				}
				<-stuck // whatever its context says
				return nil
			})
		}()
		begin := time.Now()
		for b.Stats().Done == 0 {
			time.Sleep(time.Second)
		}
		if took := time.Since(begin); took < time.Minute || took > time.Minute+15*time.Second {
			t.Errorf("another had the job after %v", took)
		}
		close(stuck)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if s := b.Stats(); s.Done != 1 || s.Lost != 1 || s.Started != 2 {
			t.Errorf("the counts are %+v", s)
		}
	})
}

// A deaf backend's sources lose signs of life.
type deaf struct {
	mq.Backend
	ends time.Time
}

type deafQueue struct {
	mq.BackendQueue
	d *deaf
}

type deafSource struct {
	mq.Source
	d *deaf
}

func (d *deaf) OpenQueue(ctx context.Context, name string, o mq.QueueOptions) (mq.BackendQueue, error) {
	q, err := d.Backend.OpenQueue(ctx, name, o)
	return deafQueue{q, d}, err
}

func (q deafQueue) Subscribe(ctx context.Context, group string, o mq.SubscribeOptions) (mq.Source, error) {
	s, err := q.BackendQueue.Subscribe(ctx, group, o)
	return deafSource{s, q.d}, err
}

func (s deafSource) Extend(ctx context.Context, d *mq.Delivery) error {
	if time.Now().Before(s.d.ends) {
		return errors.New("no connection")
	}
	return s.Source.Extend(ctx, d)
}

// TestSilenceIsLoss: a worker that has not reached its broker for Visibility takes the job for lost, and one that
// reaches it in time goes on.
func TestSilenceIsLoss(t *testing.T) {
	for _, deafFor := range []time.Duration{15 * time.Second, 45 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			inner := mqtest.Broker(t, "mem://").Backend()
			d := &deaf{Backend: inner, ends: time.Now().Add(deafFor)}
			b, err := mqtest.Options().Use(d)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			if err := b.Publish(ctx, "q", nil); err != nil {
				t.Fatal(err)
			}
			lost := make(chan error, 1)
			go func() {
				c := mq.Consumer{Visibility: 30 * time.Second}
				err := b.Consume(ctx, "q", c, func(ctx context.Context, j *mq.Job) error {
					if j.Try > 1 {
						return nil
					}
					select {
					case <-ctx.Done():
						lost <- context.Cause(ctx)
					case <-time.After(time.Minute):
						lost <- nil
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}()
			if err := <-lost; errors.Is(err, mq.ErrLost) != (deafFor > 30*time.Second) {
				t.Errorf("deaf for %v: the handler's context ended by %v", deafFor, err)
			}
			time.Sleep(time.Minute)
			cancel()
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestManyWait: 100,000 jobs wait for a consumer that stands still: who publishes more is told, or waits, and a job
// takes no more memory than it is charged for.
func TestManyWait(t *testing.T) {
	const n = 100_000
	b := mqtest.Broker(t, "mem://")
	q := queue(t, b, mq.QueueOptions{MaxJobs: n})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stands := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- q.Consume(ctx, mq.Consumer{InFlight: 1}, func(context.Context, *mq.Job) error { <-stands; return nil })
	}()
	before := heap()
	ms := make([]mq.Message, 1000)
	for i := range ms {
		ms[i].Body = make([]byte, 100)
	}
	for range n / len(ms) {
		if _, err := q.PublishBatch(ctx, ms); err != nil {
			t.Fatal(err)
		}
	}
	full := heap()
	for range 100 {
		if rs, err := q.PublishBatch(ctx, ms); !errors.Is(err, mq.ErrFull) || !errors.Is(rs[len(ms)-1].Err, mq.ErrFull) {
			t.Fatalf("a full queue took jobs: %v", err)
		}
	}
	after := heap()
	s, err := q.Stats(ctx)
	if err != nil || s.Jobs != n {
		t.Errorf("the queue has %+v, %v", s, err)
	}
	if grown := full - before; grown > s.Bytes {
		t.Errorf("the jobs take %d bytes of memory, and are charged %d", grown, s.Bytes)
	}
	if grown := after - full; grown > s.Bytes/10 {
		t.Errorf("what was refused takes %d bytes of memory", grown)
	}
	q = queue(t, b, mq.QueueOptions{Wait: true})
	waited := make(chan error, 1)
	go func() {
		_, err := q.Publish(ctx, mq.Message{})
		waited <- err
	}()
	close(stands)
	if err := <-waited; err != nil {
		t.Errorf("a Publish that waits for room: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
