package powercut_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/mq"
	_ "github.com/plexor-go/plexor/mq/rabbit"
	"github.com/plexor-go/plexor/nettests/powercut"
)

// Bytes of a disk under RabbitMQ, which has an alarm when less than least are free. It looks the more often the less
// there is above that: with roomy every 100 ms.
const (
	least = "50MB"
	roomy = 60 << 20
	low   = 40 << 20
)

// url is that of a RabbitMQ.
func url(b *brokers.Broker) string { return "amqp://guest:guest@" + b.Addr }

// eventually publishes with a time until enough says so of the error.
func eventually(t *testing.T, a *account, q *mq.Queue, enough func(err error) bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := a.publish(ctx, q, 1000)
		cancel()
		switch {
		case enough(err):
			return
		case time.Now().After(end):
			t.Fatalf("after %v publish says %v", patience, err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// TestRabbitAlarm: when RabbitMQ is low on disk, publishes are refused with a word of that, or wait if the queue is
// told to, and no job is lost. Counts are there meanwhile, jobs are handed out, and one whose try has failed is tried
// again with pauses. All goes on when there is room.
func TestRabbitAlarm(t *testing.T) {
	t.Parallel()
	d := powercut.NewDisk()
	d.SetFull(roomy)
	dir, _ := mount(t, d)
	b := start(t, brokers.Rabbit, dir, "disk_free_limit.absolute = "+least)
	q, patient := open(t, url(b), mq.QueueOptions{}), open(t, url(b), mq.QueueOptions{Wait: true})
	a := newAccount()
	for range 20 {
		if err := a.publish(t.Context(), q, 1000); err != nil {
			t.Fatal(err)
		}
	}
	group(t, q)
	var all sync.WaitGroup // these are told, or wait for the broker's word on what was under way
	var over atomic.Bool
	ctx, stop := context.WithTimeout(t.Context(), 2*patience) // for a test that fails; nobody's publish is so long
	for range writers {
		all.Go(func() {
			for err := error(nil); err == nil && !over.Load(); err = a.publish(ctx, q, 1000) {
				<-time.After(time.Millisecond)
			}
		})
	}
	defer func() {
		over.Store(true)
		stop()
		all.Wait()
	}()
	d.SetFull(low)
	eventually(t, a, q, func(err error) bool {
		return errors.Is(err, mq.ErrFull) && mq.StoredBy(err) == mq.NotStored && strings.Contains(err.Error(), "low on disk")
	})
	if err := a.publish(t.Context(), q, 1000); !errors.Is(err, mq.ErrFull) {
		t.Errorf("a publish without a time, while the broker is low on disk: %v", err)
	}
	// The broker says it once more, to another connection.
	eventually(t, a, patient, func(err error) bool { return errors.Is(err, mq.ErrFull) })
	waits := make(chan error, 1)
	go func() { waits <- a.publish(ctx, patient, 1000) }()
	works(t, a, q)
	select {
	case err := <-waits:
		t.Errorf("a publish that is to wait for room has not: %v", err)
	default:
	}
	d.SetFull(roomy)
	if err := <-waits; err != nil {
		t.Errorf("there is room, and the publish that waited for it says %v", err)
	}
	eventually(t, a, q, func(err error) bool { return err == nil })
	over.Store(true)
	all.Wait() // what was under way has its answer
	a.settle(t, q)
}

// group makes the group of consumers, which can't be made while publishes are refused.
func group(t *testing.T, q *mq.Queue) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	err := q.Consume(ctx, mq.Consumer{}, func(context.Context, *mq.Job) error {
		stop()
		return mq.Later(0, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// works looks whether the rest goes on while publishes are refused.
func works(t *testing.T, a *account, q *mq.Queue) {
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if _, err := q.Stats(ctx); err != nil {
		t.Errorf("count, while the broker is low on disk: %v", err)
	}
	const visibility = time.Second
	var mu sync.Mutex
	var tries []time.Time // of the job that fails
	c := mq.Consumer{Visibility: visibility, Retry: mq.Constant(0)}
	err := q.Consume(ctx, c, func(ctx context.Context, j *mq.Job) error {
		mu.Lock()
		defer mu.Unlock()
		if j.ID == "job-1" && len(tries) < 2 {
			tries = append(tries, time.Now())
			return errors.New("not this time")
		}
		err := a.do(ctx, j)
		if len(tries) == 2 && len(a.missing()) == 0 {
			stop()
		}
		return err
	})
	if err != nil || len(tries) < 2 {
		t.Fatalf("consume, while the broker is low on disk: %v; %d tries of the job that fails, and %v are missing", err,
			len(tries), a.missing())
	}
	if pause := tries[1].Sub(tries[0]); pause < visibility/2 {
		t.Errorf("a job whose failure could not be stored was tried again after %v", pause)
	}
}

// noted waits until RabbitMQ has written where the queue lies, which it does within seconds, and is of no use after a
// kill before it.
func noted(t *testing.T, dir string) {
	t.Helper()
	looks := time.NewTicker(100 * time.Millisecond)
	defer looks.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-looks.C {
		files, err := filepath.Glob(filepath.Join(dir, "mnesia", "*", "quorum", "*", "names.dets"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if b, err := os.ReadFile(f); err == nil && bytes.Contains(b, []byte("plexor.q.jobs")) {
				return
			}
		}
	}
	t.Fatal("the queue is in no file")
}

// TestRabbitFull: RabbitMQ whose disk is full in truth, since its alarm is too low or too late, confirms nothing any
// more, also when there is room, until it is started anew. So publishes end with their contexts, and the jobs are
// perhaps stored. What was acknowledged is there.
//
// The disk is a tmpfs, which fills to its last byte. On one of this package's, which refuses as a whole a write that
// has no room, RabbitMQ 3.10.8 began a new log, and after its next start the queue's was corrupt, with a gap, and its
// jobs were lost.
func TestRabbitFull(t *testing.T) {
	if os.Getenv("PLEXOR_TESTS") != "all" {
		t.Skip("two starts of RabbitMQ take 15 s: PLEXOR_TESTS=all has them")
	}
	t.Parallel()
	dir, room := tmpfs(t)
	b := start(t, brokers.Rabbit, dir, "disk_free_limit.absolute = 0")
	q := open(t, url(b), mq.QueueOptions{})
	a := newAccount()
	if err := a.publish(t.Context(), q, 100_000); err != nil {
		t.Fatal(err)
	}
	noted(t, dir)
	room(tight)
	for silent := 0; silent < 3; {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := a.publish(ctx, q, 100_000)
		cancel()
		switch {
		case err == nil && a.serial > 10*tight/100_000:
			t.Fatalf("%d jobs are stored in %d bytes", len(a.stored), tight)
		case err == nil:
			silent = 0
		case mq.StoredBy(err) == mq.PerhapsStored && errors.Is(err, context.DeadlineExceeded):
			silent++
		default:
			t.Fatalf("publish on a full disk: %v", err)
		}
	}
	if !strings.Contains(b.Log(), "enospc") {
		t.Errorf("its log has no word of the disk: %s", b.Log())
	}
	room(1 << 30)
	b.Kill()
	if err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, a, q, func(err error) bool { return err == nil })
	a.settle(t, q)
}

// tmpfs is a folder in memory whose room can be set.
func tmpfs(t *testing.T) (dir string, room func(bytes int)) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a tmpfs is mounted by root")
	}
	dir = t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "")
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir, func(bytes int) {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", bytes)); err != nil {
			t.Fatal(err)
		}
	}
}
