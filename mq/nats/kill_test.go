package nats

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/mqkill"
	"github.com/plexor-go/plexor/internal/natsnode"
	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

var kills = flag.Int("kills", 6, "how many kills the tests of kills make")

// settle does what is left, and holds that no job is missing. The end is told by a queue that is empty.
func (a *account) settle(t *testing.T, b *mq.Broker, q *mq.Queue) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		c := mq.Consumer{Visibility: 2 * time.Second, InFlight: 64}
		done <- q.Consume(ctx, c, func(_ context.Context, j *mq.Job) error {
			a.note("done " + j.ID)
			return nil
		})
	}()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		s, err := q.Stats(ctx)
		if err == nil && s.Jobs == 0 {
			break
		}
		if time.Now().After(end) {
			c, cerr := b.Backend().(*backend).js.Consumer(ctx, jobsPrefix+"q", "default")
			if cerr == nil {
				cerr = fmt.Errorf("%+v", *c.CachedInfo())
			}
			t.Fatalf("the queue is not empty: %+v, %v; not done are %q; its consumer: %v", s, err, a.missing(), cerr)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if ids := a.missing(); len(ids) > 0 {
		t.Errorf("%d jobs that were acknowledged are lost: %q", len(ids), ids[:min(len(ids), 20)])
	}
	if len(a.faults) > 0 {
		t.Errorf("children said: %q", a.faults)
	}
	pub, all, twice := a.counts()
	t.Logf("%d jobs were acknowledged, %d done, %d times more than once", pub, all, twice)
	if pub == 0 {
		t.Error("no job was published: nothing was tried")
	}
}

// some waits until so many more jobs were published and done.
func (a *account) some(t *testing.T, n int) {
	t.Helper()
	pub, done, _ := a.counts()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		p, d, _ := a.counts()
		if p >= pub+n && d >= done+n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it does not go on: %d of %d more jobs published, %d done; children said %q", p-pub, n, d-done, a.faults)
		}
	}
}

// TestKillEmbedded: three processes have the same folder, one of which runs the server; each publishes and works. They
// are killed at random, that one too: the others go on, and no acknowledged job is lost.
func TestKillEmbedded(t *testing.T) {
	t.Parallel()
	url := "nats+embedded://" + t.TempDir()
	a := newAccount()
	var children []*child
	serial := 0
	begin := func() *child {
		serial++
		return a.start(t, role{URL: url, Name: fmt.Sprint("p", serial), Publish: true, Work: true})
	}
	for range 3 {
		children = append(children, begin())
	}
	for _, c := range children {
		c.await()
	}
	for n := range *kills {
		a.some(t, 20)
		at := rand.IntN(len(children))
		if n == 0 {
			at = 0 // which most likely runs the server
		}
		children[at].kill()
		children[at] = begin()
		children[at].await()
	}
	a.some(t, 20)
	for _, c := range children {
		c.kill()
	}
	b := mqtest.Broker(t, url)
	q, err := b.Queue(within(t), "q", mq.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a.settle(t, b, q)
}

// TestKillCluster: of three nodes one after the other is killed and comes back, workers are killed, too, and no
// acknowledged job is lost.
func TestKillCluster(t *testing.T) {
	t.Parallel()
	a := newAccount()
	url, nodes, begin := cluster(t, a)
	b, q := openCluster(t, url)
	serial := 0
	worker := func() *child {
		serial++
		return a.start(t, role{URL: url, Name: fmt.Sprint("p", serial), Publish: true, Work: true})
	}
	w := worker()
	other := worker()
	w.await()
	other.await()
	rounds := 2 // a node and a worker
	if all() {
		rounds = max(rounds, (*kills+1)/2)
	}
	at := -1
	for n := range rounds {
		a.some(t, 20)
		if n%3 == 1 {
			w.kill()
			w = worker()
			w.await()
			continue
		}
		at = (at + 1) % len(nodes)
		whole(t, b)
		nodes[at].kill()
		a.some(t, 5) // two of three go on
		nodes[at] = begin(at)
		nodes[at].await()
	}
	a.some(t, 20)
	w.kill()
	other.kill()
	a.settle(t, b, q)
}

// TestPartition: no job is lost when producers and workers are parted from the server.
func TestPartition(t *testing.T) {
	t.Parallel()
	n := server(t, natsnode.Options{JetStream: true, Dir: t.TempDir(), SyncAlways: true})
	p, err := brokers.NewProxy(n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	mqkill.Partition(t, "nats://"+p.Addr, p, func() string { return "nothing" })
}

// TestStoppedWorker: a worker that was stopped does no harm when it goes on.
func TestStoppedWorker(t *testing.T) {
	t.Parallel()
	n := server(t, natsnode.Options{JetStream: true, Dir: t.TempDir()})
	mqkill.Stopped(t, "nats://"+n.Addr().String())
}
