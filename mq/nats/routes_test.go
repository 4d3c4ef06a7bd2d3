package nats

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/portion"
)

// all reports that tests that take long are to run.
func all() bool { return portion.All() || *kills > 6 }

// A mesh is three nodes whose routes to each other lead through proxies.
type mesh struct {
	clients []string
	routes  [3][3]*brokers.Proxy // from, to
}

// newMesh starts three nodes. They are nats-server itself, which can be told to advertise an address at which nobody
// is: else a node would connect to another one past the proxy, as soon as a third one tells it where that is.
func newMesh(t *testing.T) *mesh {
	t.Helper()
	addrs, err := brokers.FreeAddrs(3)
	if err != nil {
		t.Fatal(err)
	}
	m := &mesh{}
	for from := range 3 {
		for to := range 3 {
			if from == to {
				continue
			}
			p, err := brokers.NewProxy(addrs[to])
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			m.routes[from][to] = p
		}
	}
	for n := range 3 {
		own, err := url.Parse("nats://" + addrs[n])
		if err != nil {
			t.Fatal(err)
		}
		o := &natsserver.Options{ServerName: fmt.Sprint("n", n), Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoLog: true,
			NoSigs: true, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, PingInterval: time.Second, MaxPingsOut: 2,
			JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 30}
		o.Cluster = natsserver.ClusterOpts{Name: "mesh", Host: "127.0.0.1", Advertise: "127.0.0.1:1"}
		if _, err := fmt.Sscanf(own.Port(), "%d", &o.Cluster.Port); err != nil {
			t.Fatal(err)
		}
		o.Routes = []*url.URL{own}
		for to := range 3 {
			if to != n {
				o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: m.routes[n][to].Addr})
			}
		}
		s, err := natsserver.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() {
			s.Shutdown()
			s.WaitForShutdown()
		})
		if !s.ReadyForConnections(patience) {
			t.Fatalf("node %d does not start", n)
		}
		m.clients = append(m.clients, s.Addr().String())
	}
	return m
}

// part does something to all routes of a node.
func (m *mesh) part(n int, f func(p *brokers.Proxy)) {
	for other := range 3 {
		if other != n {
			f(m.routes[n][other])
			f(m.routes[other][n])
		}
	}
}

// TestPartitionNodes: the node that leads the queue is parted from the others, by silence and by resets. Who is
// connected to one of the others goes on; who is connected to that one is told that nothing is stored, or perhaps. When
// it is over both go on, and no acknowledged job is lost.
func TestPartitionNodes(t *testing.T) {
	t.Parallel()
	if *kills <= 6 {
		t.Skip("it takes a minute: -kills 12 has it")
	}
	const query = "/?replicas=3&sync=always"
	m := newMesh(t)
	here, there := newAccount(), newAccount()
	b, q := openCluster(t, "nats://"+m.clients[0]+query)
	parts := []func(p *brokers.Proxy){(*brokers.Proxy).Hold, (*brokers.Proxy).Cut}
	for n := range max(2, *kills/6) {
		whole(t, b)
		at := leader(t, b)
		with := here.start(t, role{URL: "nats://" + m.clients[(at+1)%3] + query, Name: fmt.Sprint("w", n), Publish: true,
			Within: short, Work: true})
		without := there.start(t, role{URL: "nats://" + m.clients[at] + query, Name: fmt.Sprint("o", n), Publish: true,
			Within: short, Work: true})
		with.await()
		without.await()
		here.some(t, 10)
		m.part(at, parts[n%2])
		there.stands(t, 2)
		here.some(t, 10)
		m.part(at, (*brokers.Proxy).Heal)
		here.some(t, 10)
		there.publishes(t, 10)
		with.kill()
		without.kill()
	}
	here.join(there)
	here.settle(t, b, q)
	here.failures(t)
}

// publishes waits until so many more jobs are published, by whomever they are done.
func (a *account) publishes(t *testing.T, n int) {
	t.Helper()
	before, _, _ := a.counts()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if now, _, _ := a.counts(); now >= before+n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it does not go on: of %d jobs some are not published", n)
		}
	}
}

// join takes over what another account has.
func (a *account) join(o *account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	for id := range o.pub {
		a.pub[id] = true
	}
	for id, n := range o.done {
		a.done[id] += n
	}
	for what, n := range o.not {
		a.not[what] += n
	}
	a.late = max(a.late, o.late)
	a.faults = append(a.faults, o.faults...)
}
