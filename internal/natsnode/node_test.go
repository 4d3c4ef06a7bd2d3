package natsnode

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

const free = "127.0.0.1:0"

// within is a context for what must come, however slow the machine is.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, o Options) *Node {
	t.Helper()
	n, err := Start(within(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func connect(t *testing.T, n *Node) *nats.Conn {
	t.Helper()
	c, err := n.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestInProcess: a node without a port passes messages, and is not to be reached otherwise.
func TestInProcess(t *testing.T) {
	n := start(t, Options{})
	if n.Addr() != nil || n.ClusterAddr() != nil {
		t.Errorf("it listens on %v and %v", n.Addr(), n.ClusterAddr())
	}
	c := connect(t, n)
	sub, err := c.SubscribeSync("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Publish("a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if m, err := sub.NextMsgWithContext(within(t)); err != nil || string(m.Data) != "x" {
		t.Errorf("got %v, %v", m, err)
	}
	n.Close()
	n.Close()
	if err := n.Await(within(t), 1); err == nil {
		t.Error("a closed node has a peer")
	}
}

// TestPasswords: who says nothing or something else is refused, and Connect says the right thing.
func TestPasswords(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		o      Options
		right  nats.Option
		others []nats.Option
	}{
		{"user", Options{User: "u", Password: "p"}, nats.UserInfo("u", "p"), []nats.Option{nats.UserInfo("u", "q")}},
		{"token", Options{Token: "t"}, nats.Token("t"), []nats.Option{nats.Token("")}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.o.Client = free
			n := start(t, row.o)
			connect(t, n)
			url := "nats://" + n.Addr().String()
			c, err := nats.Connect(url, row.right, nats.Timeout(handshakeTime))
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			for i, o := range append(row.others, nats.Name("says nothing")) {
				if c, err := nats.Connect(url, o, nats.Timeout(handshakeTime)); !errors.Is(err, nats.ErrAuthorization) {
					t.Errorf("%d: got %v, %v", i, c, err)
				}
			}
		})
	}
}

// TestHandshakeTime: clients and nodes have the same time to say who they are, with TLS between the nodes and without.
func TestHandshakeTime(t *testing.T) {
	t.Parallel()
	o, err := Options{Client: free, Cluster: free, User: "u", Password: "p"}.settings()
	if err != nil {
		t.Fatal(err)
	}
	if want := handshakeTime.Seconds(); o.AuthTimeout != want || o.Cluster.AuthTimeout != want {
		t.Errorf("clients have %g s, nodes %g s, want %g", o.AuthTimeout, o.Cluster.AuthTimeout, want)
	}
}

// TestRefusals: what can't be, and why.
func TestRefusals(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", free)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	used := t.TempDir()
	start(t, Options{JetStream: true, Dir: used})
	for _, row := range []struct {
		name string
		o    Options
		want string
	}{
		{"client port taken", Options{Client: taken.Addr().String()}, "address already in use"},
		{"cluster port taken", Options{Cluster: taken.Addr().String()}, "address already in use"},
		{"folder in use", Options{JetStream: true, Dir: used}, ErrInUse.Error()},
		{"folder is a file", Options{JetStream: true, Dir: file}, "not a directory"},
		{"no folder", Options{JetStream: true}, "a folder (Dir) is needed"},
		{"a folder for nothing", Options{Dir: used}, "JetStream alone"},
		{"open to others", Options{Client: "0.0.0.0:0"}, "needs a User and Password or a Token"},
		{"cluster open to others", Options{Cluster: ":0"}, "needs a User and Password or a Token"},
		{"routes without an address", Options{Routes: []string{"127.0.0.1:1"}}, "need a Cluster address"},
		{"a route without a port", Options{Cluster: free, Routes: []string{"there"}}, "missing port"},
		{"no port", Options{Client: "127.0.0.1"}, "missing port"},
		{"no routes in a cluster", Options{Cluster: free, JetStream: true, Dir: t.TempDir(), Name: "n"},
			"Routes of all nodes"},
		{"no name in a cluster", Options{Cluster: free, JetStream: true, Dir: t.TempDir()}, "a Name is needed"},
		{"two passwords", Options{User: "u", Token: "t"}, "both given"},
		{"a password of nobody", Options{Password: "p"}, "needs a User"},
		{"a negative limit", Options{Limits: Limits{Store: -1}}, "negative"},
		{"a message longer than all that may wait", Options{Limits: Limits{Pending: 1000}}, "max_payload"},
		{"a name with a space", Options{Name: "a b"}, "spaces"},
	} {
		t.Run(row.name, func(t *testing.T) {
			n, err := Start(within(t), row.o)
			if err == nil {
				n.Close()
			}
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

// TestCancelled: a start that is called off leaves nothing, nor its folder in use.
func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if n, err := Start(ctx, Options{JetStream: true, Dir: dir}); err == nil {
		n.Close() // it was quicker
	} else if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	start(t, Options{JetStream: true, Dir: dir}).Close()
}

// TestStore: what was stored is there after a restart, and no more is taken than Limits says.
func TestStore(t *testing.T) {
	t.Parallel()
	o := Options{JetStream: true, Dir: t.TempDir(), SyncAlways: true, Limits: Limits{Memory: 1 << 20, Store: 2 << 20}}
	ctx := within(t)
	n := start(t, o)
	js, err := jetstream.New(connect(t, n))
	if err != nil {
		t.Fatal(err)
	}
	for kind, storage := range map[string]jetstream.StorageType{"disk": jetstream.FileStorage,
		"memory": jetstream.MemoryStorage} {
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: kind, Subjects: []string{kind},
			Storage: storage}); err != nil {
			t.Fatal(err)
		}
		taken := 0
		for err = nil; err == nil && taken < 100; taken++ {
			_, err = js.Publish(ctx, kind, make([]byte, 100<<10))
		}
		if err == nil || taken < 5 || taken > 25 {
			t.Errorf("%s took %d messages of 100 KiB, and then: %v", kind, taken, err)
		}
	}
	n.Close()
	n = start(t, o)
	if js, err = jetstream.New(connect(t, n)); err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, "disk")
	if err != nil {
		t.Fatal(err)
	}
	if i := s.CachedInfo(); i.State.Msgs < 5 {
		t.Errorf("after the restart there are %d messages", i.State.Msgs)
	}
}

// TestFound: of three nodes the last were told of the first alone, and all find each other.
func TestFound(t *testing.T) {
	t.Parallel()
	first := start(t, Options{Name: "first", Cluster: free})
	route := []string{first.ClusterAddr().String()}
	second := start(t, Options{Name: "second", Cluster: free, Routes: route})
	third := start(t, Options{Name: "third", Cluster: free, Routes: route})
	for _, n := range []*Node{first, second, third} {
		if err := n.Await(within(t), 2); err != nil {
			t.Error(err)
		}
		if n.Addr() != nil {
			t.Errorf("%s has %v for clients", n.Name(), n.Addr())
		}
		c, err := nats.Connect("nats://"+n.srv.Addr().String(), nats.Timeout(handshakeTime))
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("its port lets in who comes: %v, %v", c, err)
		}
		connect(t, n)
	}
}

// TestCluster: three nodes agree on a stream that outlives one.
func TestCluster(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	var nodes []*Node
	routes, err := brokers.FreeAddrs(3)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range routes {
		nodes = append(nodes, start(t, Options{Name: fmt.Sprint("n", i), JetStream: true, Dir: t.TempDir(), Cluster: a,
			Routes: routes, Token: "secret"}))
	}
	for _, n := range nodes {
		if err := n.Await(ctx, 2); err != nil {
			t.Fatal(err)
		}
	}
	js, err := jetstream.New(connect(t, nodes[0]))
	if err != nil {
		t.Fatal(err)
	}
	three := jetstream.StreamConfig{Name: "s", Subjects: []string{"s"}, Replicas: 3}
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for err = errors.New("none"); err != nil && ctx.Err() == nil; <-pause.C { // who leads may not have heard of all yet
		_, err = js.CreateStream(ctx, three)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, "s", []byte("x")); err != nil {
		t.Fatal(err)
	}
	nodes[1].Close()
	for err = errors.New("none"); err != nil && ctx.Err() == nil; <-pause.C {
		// Who leads the stream may have to be found, and an answer that the dead one owes never comes.
		once, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err = js.Publish(once, "s", []byte("y"), jetstream.WithRetryAttempts(0))
		cancel()
	}
	if err != nil {
		t.Error(err)
	}
}

// TestStranger: a node that does not say the word is not let in.
func TestStranger(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Name: "home", Cluster: free, User: "u", Password: "p"})
	start(t, Options{Name: "stranger", Cluster: free, Routes: []string{n.ClusterAddr().String()}})
	friend := start(t, Options{Name: "friend", Cluster: free, Routes: []string{n.ClusterAddr().String()}, User: "u",
		Password: "p"})
	for _, known := range []*Node{friend, n} {
		if err := known.Await(within(t), 1); err != nil {
			t.Error(err)
		}
	}
	// The stranger may take the node for a peer until it is told that it is not let in.
	if p := n.Peers(); len(p) != 1 || p[0] != friend.Name() {
		t.Errorf("it is connected with %q", p)
	}
}

// TestBroken: that something could not be written is heard from the server's log, as it is written there.
func TestBroken(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"JetStream stream 'a > b' critical write error: %v",
		"JetStream consumer 'a > b > c' critical write error: %v", "JetStream cluster meta group critical write error: %v",
		"RAFT [id - group] Critical write error: %v", "Filestore [a] Critical write error: %v"} {
		n := start(t, Options{})
		n.log.Errorf("JetStream failed to store a msg on stream 'a > b': %v", os.ErrInvalid)
		if err := n.Fault(); err != nil {
			t.Fatal(err)
		}
		n.log.Errorf(format, os.ErrPermission)
		if err := n.Fault(); err != os.ErrPermission {
			t.Errorf("%s: the fault is %v", format, err)
		}
	}
}
