package powercut_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/mq"
	_ "github.com/plexor-go/plexor/mq/redis"
	"github.com/plexor-go/plexor/nettests/powercut"
)

// tight is how many bytes a disk has that is to be full soon.
const tight = 3 << 20

// TestBrokerFull: when the disk of a broker is full, publishes are refused, by the embedded one with a word of the
// disk, and by Redis, which ends itself then, since nobody is there. When there is room it goes on (Redis after a new
// start), and what was acknowledged is there.
func TestBrokerFull(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		d := powercut.NewDisk()
		dir, _ := mount(t, d)
		fill(t, d, "nats+embedded://"+dir, func(err error) bool {
			return errors.Is(err, mq.ErrFull) && strings.Contains(err.Error(), "the disk of "+dir+" is full")
		}, true, func() {})
	})
	t.Run("redis", func(t *testing.T) {
		d := powercut.NewDisk()
		dir, _ := mount(t, d)
		b, err := brokers.Start(t.Context(), brokers.Redis, dir)
		if errors.Is(err, brokers.ErrAbsent) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		fill(t, d, "redis://"+b.Addr, func(err error) bool { return strings.Contains(err.Error(), "connection refused") },
			false, func() {
				if !strings.Contains(b.Log(), "AOF write error") {
					t.Errorf("it does not say why it has ended: %s", b.Log())
				}
				b.Kill()
				if err := b.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
	})
}

// fill publishes until it is refused for good, makes room, and looks for what was acknowledged. A broker that lives
// hands out jobs before there is room.
func fill(t *testing.T, d *powercut.Disk, url string, final func(err error) bool, lives bool, again func()) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	b, err := mq.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	stored := make(map[string]bool)
	serial := 0
	publish := func() error {
		serial++
		body := fmt.Sprint(serial)
		err := b.Publish(ctx, "jobs", []byte(body+strings.Repeat(" ", 100_000)))
		if err == nil {
			stored[body] = true
		}
		return err
	}
	if err := publish(); err != nil { // the queue is made
		t.Fatal(err)
	}
	d.SetFull(tight)
	refused := 0
	for refused < 3 { // for a disk may have room for something short once more
		err := publish()
		switch {
		case err == nil && serial > 10*tight/100_000:
			t.Fatalf("%d jobs are stored in %d bytes", len(stored), tight)
		case err == nil || mq.StoredBy(err) == mq.PerhapsStored: // one that was under way
		case mq.StoredBy(err) == mq.NotStored && final(err):
			refused++
		default:
			t.Fatalf("publish %d on a full disk: %v", serial, err)
		}
	}
	got := make(map[string]bool)
	if lives {
		consume(ctx, t, b, got, func() bool { return len(got) > 0 })
	}
	d.SetFull(0)
	again()
	for err := publish(); err != nil; err = publish() {
		if ctx.Err() != nil {
			t.Fatalf("there is room, and publish says %v", err)
		}
		<-time.After(50 * time.Millisecond)
	}
	consume(ctx, t, b, got, func() bool {
		for id := range stored {
			if !got[id] {
				return false
			}
		}
		return true
	})
	t.Logf("%d jobs were acknowledged, %d came", len(stored), len(got))
}

// consume notes jobs that come, until enough.
func consume(ctx context.Context, t *testing.T, b *mq.Broker, got map[string]bool, enough func() bool) {
	t.Helper()
	var mu sync.Mutex
	once, stop := context.WithCancel(ctx)
	defer stop()
	c := mq.Consumer{Visibility: 2 * time.Second} // a job that can't be given back on a full disk comes then
	err := b.Consume(once, "jobs", c, func(_ context.Context, j *mq.Job) error {
		mu.Lock()
		defer mu.Unlock()
		if got[strings.TrimSpace(string(j.Body))] = true; enough() {
			stop()
		}
		return nil
	})
	if err != nil || ctx.Err() != nil {
		t.Errorf("%d jobs came, and then: %v", len(got), err)
	}
}

// slowSync is how long the slow disk takes for a sync.
const slowSync = 10 * time.Millisecond

// TestBrokerSlow: on a disk that is slow publishes wait, and what waits takes no more memory the longer it goes on.
func TestBrokerSlow(t *testing.T) {
	d := powercut.NewDisk()
	d.SetSlow(slowSync)
	dir, _ := mount(t, d)
	var text bytes.Buffer
	c := half(t, "slow jobs/write", dir)
	c.Stdout = &text
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	var heaps []int
	for line := range strings.Lines(text.String()) {
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("it said %q", line)
		}
		heaps = append(heaps, n)
	}
	if len(heaps) != 2 || heaps[1] > heaps[0]+32 {
		t.Errorf("the heap had %v MiB at most, in the first half and the second", heaps)
	}
	t.Logf("the heap had %v MiB at most, in the first half and the second", heaps)
}

// publishSlowly has 32 publishers store two halves of jobs, and prints the highest heap of each half, in MiB.
func publishSlowly(dir string, print func(string)) error {
	ctx := context.Background()
	b, err := mq.Open(ctx, "nats+embedded://"+dir)
	if err != nil {
		return err
	}
	const publishers, each = 32, 4
	body := make([]byte, 100_000)
	for range 2 {
		var all sync.WaitGroup
		failed := make(chan error, publishers)
		begin := time.Now()
		for range publishers {
			all.Go(func() {
				for range each {
					if err := b.Publish(ctx, "jobs", body); err != nil {
						failed <- err
						return
					}
				}
			})
		}
		over := make(chan struct{})
		go func() {
			all.Wait()
			close(over)
		}()
		highest := highestHeap(over)
		if len(failed) > 0 {
			return <-failed
		}
		if took := time.Since(begin); took < each*slowSync {
			return fmt.Errorf("%d jobs, one after the other, took %v: nobody waited", each, took)
		}
		print(strconv.Itoa(highest))
	}
	return b.Close()
}

// highestHeap is the highest until over, in MiB.
func highestHeap(over <-chan struct{}) (most int) {
	looks := time.NewTicker(20 * time.Millisecond)
	defer looks.Stop()
	for {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, int(m.HeapInuse>>20))
		select {
		case <-over:
			return most
		case <-looks.C:
		}
	}
}
