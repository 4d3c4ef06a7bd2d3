package rabbit_test

import (
	"context"
	"errors"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/internal/mqkill"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
	"github.com/plexor-go/plexor/mq/rabbit"
)

func TestMain(m *testing.M) {
	mqkill.Main() // a producer or a worker goes no further
	os.Exit(leak.Main(m))
}

// TestSuite holds the backend to the contract of package mq, on a real server.
func TestSuite(t *testing.T) {
	s := brokers.Need(t, brokers.Rabbit)
	url := "amqp://guest:guest@" + s.Addr
	// Beside no other test.
	t.Run("Backlog", func(t *testing.T) { mqtest.Backlog(t, url+"?prefix=backlog", 4<<20) })
	t.Run("Together", func(t *testing.T) { // they wait, for most of their time
		for name, f := range map[string]func(t *testing.T){
			"Suite": func(t *testing.T) {
				mqtest.Run(t, func(t *testing.T) *mq.Broker { return mqtest.Broker(t, url) })
			},
			"Refused":    func(t *testing.T) { refused(t, s.Addr) },
			"Partition":  func(t *testing.T) { partition(t, s) },
			"Held":       func(t *testing.T) { held(t, s.Addr) },
			"BrowseEnds": func(t *testing.T) { rabbit.BrowseEnds(t, url+"?prefix=browse") },
			"StoppedWorker": func(t *testing.T) {
				if !portion.All() {
					t.Skip("RabbitMQ takes 15 s to see it: PLEXOR_TESTS=all has it")
				}
				mqkill.Stopped(t, url+"?prefix=stopped")
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f(t)
			})
		}
	})
	t.Run("Bound", func(t *testing.T) { bound(t, s.Addr) })              // it counts what the whole process does
	t.Run("Kill", func(t *testing.T) { kill(t, url+"?prefix=kill", s) }) // last: it is another process then
}

// partition: no job is lost when clients are parted from the broker.
func partition(t *testing.T, s *brokers.Broker) {
	p, err := brokers.NewProxy(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	mqkill.Partition(t, "amqp://guest:guest@"+p.Addr+"?prefix=parted", p, s.Log)
}

// kill: no job is lost when producers, workers and the broker are killed. RabbitMQ 3.10 forgets the directory entry of
// a queue that was made just before it is killed, and that queue never has a leader again; so it is stopped in its own
// way once, with the queue there.
func kill(t *testing.T, url string, s *brokers.Broker) {
	if !portion.All() && *mqkill.Long == 0 {
		t.Skip("two more starts of RabbitMQ take 15 s: PLEXOR_TESTS=all has them")
	}
	b := mqtest.Broker(t, url)
	q, err := b.Queue(t.Context(), mqkill.Queue, mq.QueueOptions{})
	if err == nil {
		err = q.Consume(cancelled(t), mq.Consumer{}, func(context.Context, *mq.Job) error { return nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	mqkill.Run(t, url, s)
}

// held: a publish that needs a new channel of a broker that is silent ends with its context, and says that nothing is
// stored.
func held(t *testing.T, addr string) {
	p, err := brokers.NewProxy(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	b := mqtest.Broker(t, "amqp://guest:guest@"+p.Addr+"?prefix=held")
	other := mqtest.Broker(t, "amqp://guest:guest@"+addr+"?prefix=held")
	defer b.Close()
	defer other.Close()
	if err := b.Publish(t.Context(), "q", nil); err != nil {
		t.Fatal(err)
	}
	if err := other.Delete(t.Context(), "q"); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), "q", nil); err == nil { // which ends the channel
		t.Fatal("a queue that was deleted takes jobs")
	}
	p.Hold()
	defer p.Heal()
	ended := make(chan error, 2)
	for range cap(ended) {
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			ended <- b.Publish(ctx, "q", nil)
		}()
	}
	for range cap(ended) {
		select {
		case err := <-ended:
			if !errors.Is(err, context.DeadlineExceeded) || mq.StoredBy(err) != mq.NotStored {
				t.Errorf("%v, want the context's end, and not stored", err)
			}
		case <-time.After(8 * time.Second): // before the heartbeats tell
			t.Fatal("a publish hangs when its context has ended")
		}
	}
}

// mostCalls is how many calls of a broker may be under way, and callers how many there are.
const (
	mostCalls = 1024
	callers   = mostCalls + 200
)

// bound: a broker that is silent keeps a bounded number of goroutines, and callers beyond them, as all, wait within
// their context: nothing of theirs is stored. Other connections go on, and so does this one when the broker is back.
func bound(t *testing.T, addr string) {
	p, err := brokers.NewProxy(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	b := mqtest.Broker(t, "amqp://guest:guest@"+p.Addr+"?prefix=bound")
	other := mqtest.Broker(t, "amqp://guest:guest@"+addr+"?prefix=bound")
	defer b.Close()
	defer other.Close()
	if err := b.Publish(t.Context(), "q", nil); err != nil {
		t.Fatal(err)
	}
	p.Hold()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, callers)
	for range callers {
		go func() { ended <- b.Publish(ctx, "q", nil) }()
	}
	await(t, func() bool { return calls(t)+inStacks(t, "rabbit.(*link).begin") >= callers })
	if n := calls(t); n > mostCalls {
		t.Errorf("%d calls are under way, want %d at most", n, mostCalls)
	}
	if err := other.Publish(t.Context(), "q", nil); err != nil {
		t.Errorf("another connection meanwhile: %v", err)
	}
	cancel()
	beyond := 0
	for range callers {
		select {
		case err := <-ended:
			if err == nil {
				t.Error("a publish to a silent broker succeeds")
			}
			if mq.StoredBy(err) == mq.NotStored {
				beyond++
			}
		case <-time.After(patience):
			t.Fatal("a publish hangs when its context has ended")
		}
	}
	if beyond < callers-mostCalls {
		t.Errorf("%d jobs were not stored for sure, want those beyond %d of %d", beyond, mostCalls, callers)
	}
	p.Heal()
	await(t, func() bool { return calls(t) == 0 })
	if err := b.Publish(t.Context(), "q", nil); err != nil {
		t.Errorf("when the broker is back: %v", err)
	}
}

// patience is how long a test waits for what should come.
const patience = time.Minute

// await waits until something is so.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for next := time.Tick(10 * time.Millisecond); !ok(); <-next {
		if time.Now().After(end) {
			t.Fatalf("it does not come to it: %d calls are under way", calls(t))
		}
	}
}

// calls is how many publishes are under way.
func calls(t *testing.T) int { return inStacks(t, "rabbit.(*link).publish.func") }

// inStacks counts the goroutines with a function in their stacks.
func inStacks(t *testing.T, function string) (n int) {
	t.Helper()
	var b strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		t.Fatal(err)
	}
	for group := range strings.SplitSeq(b.String(), "\n\n") { // "12 @ 0x...", and the stack that twelve have
		count, stack, _ := strings.Cut(group, " @ ")
		if strings.Contains(stack, function) {
			k, err := strconv.Atoi(count[strings.LastIndex(count, "\n")+1:])
			if err != nil {
				t.Fatalf("%v in %q", err, group)
			}
			n += k
		}
	}
	return n
}

// cancelled is a context of a Consume that makes its group, and ends soon.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

// refused: what is wrong is said, with what to do, and no password is in an error.
func refused(t *testing.T, addr string) {
	for url, want := range map[string]string{
		"amqp://guest:wrong99@" + addr:               "refuses this user or password",
		"amqp://guest:guest@" + addr + "/none":       "no such virtual host",
		"amqp://guest:guest@" + addr + "?x=1":        `unknown option "x"`,
		"amqp://guest:guest@" + addr + "?nodes=":     "option nodes",
		"amqp://guest:guest@" + addr + "?prefix=a.b": "option prefix",
		"amqp://":            "no host",
		"amqp://127.0.0.1:1": "open 127.0.0.1:1: nobody listens there: is rabbitmq-server started",
	} {
		_, err := mq.Open(t.Context(), url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "wrong99") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	b := mqtest.Broker(t, "amqp://guest:guest@"+addr)
	defer b.Close()
	asks := map[mq.QueueOptions]string{{Dedupe: 1}: "dedupe", {Ordered: true}: "order", {MaxJobs: 1}: "bound"}
	for o, lack := range asks {
		if _, err := b.Queue(t.Context(), "q", o); err == nil || !strings.Contains(err.Error(), lack) {
			t.Errorf("a queue with %+v: %v", o, err)
		}
	}
}
