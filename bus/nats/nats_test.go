package nats

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/bus"
	"github.com/plexor-go/plexor/internal/natsnode"
)

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// routes are where the servers of embedded buses are found, by bus.
var routes sync.Map

// embedded are buses with a server each.
func embedded(t testing.TB, n int, l bus.Limits) (all []*bus.Bus) {
	t.Helper()
	var others []string
	for i := range n {
		node, err := Embedded(within(t), "127.0.0.1:0", others, Options{Token: "secret"})
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, node.Addr().String())
		all = append(all, open(t, node, fmt.Sprint("n", i), l))
		routes.Store(all[i], others[i])
	}
	know(t, all)
	return all
}

func open(t testing.TB, tr bus.Transport, name string, l bus.Limits) *bus.Bus {
	t.Helper()
	b, err := bus.Open(bus.Options{Name: name, Transport: tr, Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	watchLate(t, b)
	return b
}

// know waits until all know all.
func know(t testing.TB, all []*bus.Bus) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	for _, b := range all {
		for ; b.Stats().Nodes < len(all); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%v knows %d of %d nodes", b.ID(), b.Stats().Nodes, len(all))
			}
		}
	}
}

// agree waits until all take the same node for the room's owner. They may know each other, and one not yet that another
// has looked around; then each has an epoch of its own for a moment.
func agree(t *testing.T, all []*bus.Bus, room string) {
	t.Helper()
	until(t, "all agree on the owner", func() bool {
		epochs := make(map[uint64]bool)
		for _, b := range all {
			at, err := b.Room(room).Publish(within(t), nil)
			if err == bus.ErrPerhaps {
				return false
			} else if err != nil {
				t.Fatal(err)
			}
			epochs[at.Epoch] = true
		}
		return len(epochs) == 1
	})
}

// passes has a message of each node reach a subscriber of each, in the same order.
func passes(t *testing.T, all []*bus.Bus) {
	t.Helper()
	ctx := within(t)
	for _, room := range []string{"hall", "garden", "attic"} {
		agree(t, all, room)
		var subs []*bus.Subscription
		for _, b := range all {
			s, err := b.Room(room).Subscribe()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Ready(ctx); err != nil {
				t.Fatal(err)
			}
			subs = append(subs, s)
		}
		published := make(chan error, len(all))
		for i, b := range all {
			go func() {
				var err error
				for j := 0; j < 100 && err == nil; j++ {
					_, err = b.Room(room).Publish(ctx, fmt.Appendf(nil, "%d %d", i, j))
				}
				published <- err
			}()
		}
		for range all {
			if err := <-published; err != nil {
				slow(t, all)
				t.Fatal(err)
			}
		}
		if _, err := all[0].Room(room).Publish(ctx, []byte("end")); err != nil {
			t.Fatal(err)
		}
		said := make(map[bus.Position]string)
		for i, s := range subs {
			n, whole := 0, true
			for end := false; !end; {
				e, err := s.Next(ctx)
				switch {
				case err != nil:
					slow(t, all)
					t.Fatalf("subscriber %d, after %d messages: %v", i, n, err)
				case e.Kind != bus.Message:
					if whole = whole && e.Complete; whole {
						continue
					}
					end = true // what it has missed may be the last message
					continue
				}
				if was, ok := said[e.Pos]; ok && was != string(e.Data) {
					t.Fatalf("%v is %q, and was %q", e.Pos, e.Data, was)
				}
				said[e.Pos] = string(e.Data)
				n++
				end = string(e.Data) == "end"
			}
			// A node that has just found itself to be the owner has an epoch of its own until the others know: then they tell.
			for whole && n != 100*len(all)+1 {
				e, err := s.Next(within(t))
				if err != nil {
					slow(t, all)
					t.Fatalf("subscriber %d has %d messages, and was told of no gap: %v", i, n, err)
				}
				if e.Kind == bus.Message {
					n++
				}
				whole = e.Kind == bus.Message || e.Complete
			}
		}
	}
}

// TestEmbedded: three processes' worth of nodes, with a server in each.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	all := embedded(t, 3, bus.Limits{History: 1000})
	passes(t, all)
}

// TestConnected: nodes on a server that is there.
func TestConnected(t *testing.T) {
	t.Parallel()
	server, err := natsnode.Start(within(t), natsnode.Options{Client: "127.0.0.1:0", User: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	var all []*bus.Bus
	for i := range 2 {
		tr, err := Connect("nats://"+server.Addr().String(), Options{User: "u", Password: "p"})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, open(t, tr, fmt.Sprint("n", i), bus.Limits{History: 1000}))
	}
	other, err := Connect("nats://"+server.Addr().String(), Options{Bus: "other", User: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	alone := open(t, other, "alone", bus.Limits{})
	know(t, all)
	passes(t, all)
	if n := alone.Stats().Nodes; n != 1 {
		t.Errorf("a node of another bus sees %d", n)
	}
}
