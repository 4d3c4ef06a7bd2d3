package nats

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor/bus"
)

var (
	nodesFor  = flag.Duration("nodes.for", 6*time.Second, "how long TestKills kills nodes")
	lastOfAll = flag.Bool("last", false, "TestMany fails if the last of 10,000 subscribers has a message after 250 ms")
)

// A seen is what one subscriber has seen, and what is wrong with it.
type seen struct {
	mu    *sync.Mutex
	truth map[bus.Position]string // shared
	last  bus.Position
	told  bool // of a gap, or of a new epoch
	count int
	gaps  int
}

func (s *seen) event(e bus.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Kind != bus.Message {
		s.told = true
		if !e.Complete {
			s.gaps++
		}
		return nil
	}
	was, ok := s.truth[e.Pos]
	switch {
	case ok && was != string(e.Data):
		return fmt.Errorf("%v is %q, and was %q", e.Pos, e.Data, was)
	case e.Pos.Epoch == s.last.Epoch && e.Pos.Seq <= s.last.Seq:
		return fmt.Errorf("%v behind %v", e.Pos, s.last)
	case e.Pos.Epoch == s.last.Epoch && e.Pos.Seq != s.last.Seq+1 && !s.told:
		return fmt.Errorf("%v behind %v, and no gap was told", e.Pos, s.last)
	case e.Pos.Epoch != s.last.Epoch && s.count > 0 && !s.told:
		return fmt.Errorf("%v behind %v, and no new epoch was told", e.Pos, s.last)
	}
	s.truth[e.Pos] = string(e.Data)
	s.last, s.told = e.Pos, false
	s.count++
	return nil
}

// TestKills: three nodes with a server each, of which two are killed and come back again and again, while all publish.
// The subscribers on the one that stays see no message out of order, and none is missing in silence. A kill is the end
// of the node's server with all its connections, without a goodbye of the bus's.
func TestKills(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), *nodesFor)
	defer cancel()
	var mu sync.Mutex
	truth := make(map[bus.Position]string)
	rooms := []string{"hall", "garden", "attic"}
	stays, err := Embedded(within(t), "127.0.0.1:0", nil, Options{Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	route := []string{stays.Addr().String()}
	b := open(t, stays, "stays", bus.Limits{})
	var ends sync.WaitGroup
	var all []*seen
	for _, room := range rooms {
		for range 3 {
			s := &seen{mu: &mu, truth: truth}
			all = append(all, s)
			sub, err := b.Room(room).Subscribe()
			if err != nil {
				t.Fatal(err)
			}
			ends.Go(func() {
				defer sub.Close()
				for {
					e, err := sub.Next(ctx)
					if err != nil {
						return
					}
					if err := s.event(e); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	ends.Go(func() { talk(ctx, b, "stays", rooms) })
	for i := range 2 {
		ends.Go(func() { rise(ctx, t, fmt.Sprint("dies", i), route, rooms) })
	}
	ends.Wait()
	count, gaps := 0, 0
	for _, s := range all {
		count, gaps = count+s.count, gaps+s.gaps
	}
	t.Logf("%d messages, %d gaps, %+v", count, gaps, b.Stats())
	if count == 0 {
		t.Error("nothing was seen")
	}
}

// talk publishes, and does not mind when that fails.
func talk(ctx context.Context, b *bus.Bus, name string, rooms []string) {
	for i := 0; ctx.Err() == nil; i++ {
		text := fmt.Appendf(nil, "%s %v %d", name, b.ID(), i)
		if _, err := b.Room(rooms[i%len(rooms)]).Publish(ctx, text); err == bus.ErrClosed {
			return
		}
	}
}

// rise starts a node again and again, and kills it.
func rise(ctx context.Context, t *testing.T, name string, route, rooms []string) {
	for ctx.Err() == nil {
		n, err := Embedded(ctx, "127.0.0.1:0", route, Options{Token: "secret"})
		if err != nil {
			if ctx.Err() == nil {
				t.Error(err)
			}
			return
		}
		b, err := bus.Open(bus.Options{Name: name, Transport: n})
		if err != nil {
			t.Error(err)
			return
		}
		life, end := context.WithTimeout(ctx, time.Second+rand.N(2*time.Second))
		talk(life, b, name, rooms)
		end()
		n.server.Close()
		_ = b.Close() // it can't say goodbye any more
	}
}

// TestMany: a message to a room of 10,000 subscribers on two nodes. Its figures are in docs/rooms.md.
func TestMany(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 goroutines, for a figure")
	}
	const subscribers, rounds = 10_000, 20
	all := embedded(t, 2, bus.Limits{})
	agree(t, all, "hall")
	ctx := within(t)
	heard := make(chan time.Time, subscribers)
	var gaps atomic.Bool // some were told that they have missed something
	runs, stop := context.WithCancel(ctx)
	var ends sync.WaitGroup
	defer ends.Wait()
	defer stop()
	for i := range subscribers {
		s, err := all[i%2].Room("hall").Subscribe()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		ends.Go(func() {
			defer s.Close()
			for {
				e, err := s.Next(runs)
				if err != nil {
					return
				}
				switch {
				case e.Kind == bus.Message:
					heard <- time.Now()
				case !e.Complete:
					gaps.Store(true)
				}
			}
		})
	}
	plain := wakes(runs, &ends, subscribers, heard)
	var took [2][]time.Duration // of the bus, and of a plain loop
	before := memory()
	for i := range 2 * rounds {
		begin := time.Now()
		if i%2 == 1 {
			plain()
		} else if err := all[i/2%2].Room("hall").Post([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		last := begin
		for range subscribers {
			select {
			case at := <-heard:
				if at.After(last) {
					last = at
				}
			case <-ctx.Done():
				slow(t, all)
				if gaps.Load() { // as when each node has an epoch of its own for a moment, on a busy machine
					t.Skip("not all have heard it, and were told so")
				}
				t.Fatal("not all have heard it")
			}
		}
		took[i%2] = append(took[i%2], last.Sub(begin))
	}
	for i, name := range []string{"the bus", "a loop that wakes as many"} {
		slices.Sort(took[i])
		t.Logf("the last after: %s: median %v, worst %v", name, took[i][rounds/2], took[i][rounds-1])
	}
	worst := took[0][rounds-1]
	if after := memory(); after > before+8<<20 {
		t.Errorf("the heap has grown from %d to %d KiB", before>>10, after>>10)
	}
	if *lastOfAll && worst > 250*time.Millisecond {
		t.Errorf("the last one had it after %v", worst)
	}
}

// wakes are as many goroutines that wait as there are subscribers, and what wakes each.
func wakes(ctx context.Context, ends *sync.WaitGroup, n int, heard chan<- time.Time) (all func()) {
	waiting := make([]chan []byte, n)
	for i := range waiting {
		waiting[i] = make(chan []byte, 1)
		ends.Go(func() {
			for {
				select {
				case <-waiting[i]:
					heard <- time.Now()
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return func() {
		for _, c := range waiting {
			c <- nil
		}
	}
}

func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
