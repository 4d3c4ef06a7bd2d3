package nats

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/natsnode"
	"github.com/plexor-go/plexor/mq"
)

// cluster starts three servers, each a process.
func cluster(t *testing.T, a *account) (url string, nodes []*child, begin func(n int) *child) {
	t.Helper()
	addrs, err := brokers.FreeAddrs(6)
	if err != nil {
		t.Fatal(err)
	}
	clients, routes := addrs[:3], addrs[3:]
	var dirs [3]string
	for i := range dirs {
		dirs[i] = t.TempDir()
	}
	begin = func(n int) *child {
		return a.start(t, role{Node: &natsnode.Options{Name: fmt.Sprint("n", n), JetStream: true, Dir: dirs[n],
			SyncAlways: true, Client: clients[n], Cluster: routes[n], Routes: routes}})
	}
	for n := range 3 {
		nodes = append(nodes, begin(n))
	}
	for _, n := range nodes {
		n.await()
	}
	return fmt.Sprintf("nats://%s,%s,%s/?replicas=3&sync=always", clients[0], clients[1], clients[2]), nodes, begin
}

// whole waits until all nodes have what the queue's stream has. A node that is still catching up has no vote worth
// having: if another one of three is killed meanwhile, the stream stands still until that is back.
func whole(t *testing.T, b *mq.Broker) {
	t.Helper()
	js := b.Backend().(*backend).js
	var last string
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		s, err := js.Stream(within(t), jobsPrefix+"q")
		if err == nil {
			c := s.CachedInfo().Cluster
			behind := slices.ContainsFunc(c.Replicas, func(p *jetstream.PeerInfo) bool { return !p.Current || p.Offline })
			if c.Leader != "" && len(c.Replicas) == 2 && !behind {
				return
			}
			last = fmt.Sprintf("leader %q", c.Leader)
			for _, p := range c.Replicas {
				last += fmt.Sprintf(", replica %+v", *p)
			}
		} else {
			last = err.Error()
		}
		if time.Now().After(end) {
			t.Fatalf("the cluster is not whole again: %s", last)
		}
	}
}

// openCluster opens a queue of a cluster that has just begun.
func openCluster(t *testing.T, url string) (b *mq.Broker, q *mq.Queue) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) { // until the cluster has a leader
		var err error
		if b == nil {
			if b, err = mq.Open(within(t), url); err == nil {
				t.Cleanup(func() { _ = b.Close() })
			}
		}
		if b != nil {
			if q, err = b.Queue(within(t), "q", mq.QueueOptions{}); err == nil {
				return b, q
			}
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// short is how long a publish of the tests below may take, and slack how much later it may be known on a machine that
// has other things to do.
const (
	short = 2 * time.Second
	slack = 20 * time.Second
)

// stands waits until so many publishes more have failed.
func (a *account) stands(t *testing.T, n int) {
	t.Helper()
	count := func() (all int) {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, n := range a.not {
			all += n
		}
		return all
	}
	before := count()
	for end := time.Now().Add(patience); count() < before+n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d publishes failed within %v: they hang", count()-before, n, patience)
		}
	}
}

// failures tells what was known of publishes that failed, and holds that none took longer than it might.
func (a *account) failures(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	t.Logf("publishes that failed, by what was known: %v; the longest took %v", a.not, a.late)
	if a.late > short+slack {
		t.Errorf("a publish that was to take %v took %v", short, a.late)
	}
}

// TestFaults: the node that leads the queue is stopped (SIGSTOP) until others have taken over, and goes on then, taking
// itself for the leader still, and the worker is connected to it; two of three nodes are killed at once, and one after
// the other. While one node is left nothing is stored, and publishes say so in their time. It goes on after each, and
// no acknowledged job is lost.
func TestFaults(t *testing.T) {
	t.Parallel()
	if !all() {
		t.Skip("it waits for elections, half a minute: PLEXOR_TESTS=all has it")
	}
	a := newAccount()
	url, nodes, begin := cluster(t, a)
	b, q := openCluster(t, url)
	worker := func(url string) *child {
		w := a.start(t, role{URL: url, Name: rand.Text()[:4], Publish: true, Within: short, Work: true})
		w.await()
		return w
	}
	w := worker(url)
	two := func(one, other int, between int) {
		nodes[one].kill()
		a.some(t, between)
		nodes[other].kill()
		a.stands(t, 1)
		for _, at := range []int{one, other} {
			nodes[at] = begin(at)
		}
		nodes[one].await()
		nodes[other].await()
	}
	for n := range max(2, *kills/3) {
		a.some(t, 20)
		whole(t, b)
		switch n % 3 {
		case 1:
			at := leader(t, b)
			stopped := nodes[at].cmd.Process
			w.kill()
			hosts, query, _ := strings.Cut(strings.TrimPrefix(url, "nats://"), "/")
			w = worker("nats://" + strings.Split(hosts, ",")[at] + "/" + query) // it finds the others by itself
			a.some(t, 5)
			if err := brokers.Freeze(stopped); errors.Is(err, errors.ErrUnsupported) {
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			a.some(t, 20) // with another leader
			if err := brokers.Thaw(stopped); err != nil {
				t.Fatal(err)
			}
		case 0:
			two((n+1)%len(nodes), (n+2)%len(nodes), 0)
		case 2:
			two((n+1)%len(nodes), (n+2)%len(nodes), 5)
		}
	}
	a.some(t, 20)
	w.kill()
	a.settle(t, b, q)
	a.failures(t)
}

// leader is the number of the node that leads the queue.
func leader(t *testing.T, b *mq.Broker) int {
	t.Helper()
	s, err := b.Backend().(*backend).js.Stream(within(t), jobsPrefix+"q")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(s.CachedInfo().Cluster.Leader[1:])
	if err != nil {
		t.Fatalf("the leader is %q", s.CachedInfo().Cluster.Leader)
	}
	return n
}
