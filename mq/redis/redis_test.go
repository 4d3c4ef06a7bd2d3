package redis_test

import (
	"os"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/internal/mqkill"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
	_ "github.com/plexor-go/plexor/mq/redis"
)

func TestMain(m *testing.M) {
	mqkill.Main() // a producer or a worker goes no further
	os.Exit(leak.Main(m))
}

// TestSuite holds the backend to the contract of package mq, on a real server.
func TestSuite(t *testing.T) {
	s := brokers.Need(t, brokers.Redis)
	mqtest.Run(t, func(t *testing.T) *mq.Broker { return mqtest.Broker(t, "redis://"+s.Addr) })
}

// TestKill: no job is lost when producers, workers and the server are killed.
func TestKill(t *testing.T) {
	t.Parallel()
	s := brokers.Need(t, brokers.Redis)
	mqkill.Run(t, "redis://"+s.Addr, s)
}

// TestPartition: no job is lost when producers and workers are parted from the server.
func TestPartition(t *testing.T) {
	t.Parallel()
	s := brokers.Need(t, brokers.Redis)
	p := proxy(t, s.Addr)
	mqkill.Partition(t, "redis://"+p.Addr, p, s.Log)
}

// TestStoppedWorker: a worker that was stopped does no harm when it goes on.
func TestStoppedWorker(t *testing.T) {
	t.Parallel()
	mqkill.Stopped(t, "redis://"+brokers.Need(t, brokers.Redis).Addr)
}

func proxy(t *testing.T, to string) *brokers.Proxy {
	t.Helper()
	p, err := brokers.NewProxy(to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// TestSilent: publishes to a server that is silent end after the time of one answer, also those that wait for their
// turn.
func TestSilent(t *testing.T) {
	t.Parallel()
	if !portion.All() {
		t.Skip("an answer is waited for 10 s: PLEXOR_TESTS=all has it")
	}
	p := proxy(t, brokers.Need(t, brokers.Redis).Addr)
	b := mqtest.Broker(t, "redis://"+p.Addr)
	defer b.Close()
	if err := b.Publish(t.Context(), "q", nil); err != nil {
		t.Fatal(err)
	}
	p.Hold()
	defer p.Heal()
	const publishers = 40
	ended := make(chan error, publishers)
	for range publishers {
		go func() { ended <- b.Publish(t.Context(), "q", nil) }()
	}
	late := time.After(17 * time.Second) // before a second answer could be late
	for range publishers {
		select {
		case err := <-ended:
			if err == nil || mq.StoredBy(err) == mq.IsStored {
				t.Errorf("a server that is silent has stored a job: %v", err)
			}
		case <-late:
			t.Fatal("a publish waits for more than one answer")
		}
	}
}

// TestBacklog has no test beside it: it looks at the memory of the process.
func TestBacklog(t *testing.T) {
	mqtest.Backlog(t, "redis://"+brokers.Need(t, brokers.Redis).Addr, 4<<20)
}
