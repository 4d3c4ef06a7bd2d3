package mqkill

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/mq"
)

// workSlowly does one job at a time, each until it gets a line of standard input.
func workSlowly(url string) error {
	_, q := open(url)
	lines := make(chan struct{})
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- struct{}{}
		}
		os.Exit(1) // it ends with its parent
	}()
	c := mq.Consumer{InFlight: 1, Tries: 1000, Visibility: shortest, Retry: mq.Constant(10 * time.Millisecond)}
	fmt.Println("up")
	return q.Consume(context.Background(), c, func(_ context.Context, j *mq.Job) error {
		fmt.Println("has", string(j.Body))
		<-lines
		fmt.Println("done", string(j.Body))
		return nil
	})
}

// Stopped stops a worker that has a job (SIGSTOP) until another one has it, and lets it go on then: it acknowledges a
// job that is not its own any more, while the other one is at work. That must do no harm: both go on, the next jobs are
// done, and none is left.
func Stopped(t *testing.T, url string) {
	if err := brokers.Thaw(&os.Process{}); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("no process can be stopped here")
	}
	l := newLedger()
	b, q := open(url)
	defer b.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	publish := func(id string) {
		t.Helper()
		if _, err := q.Publish(ctx, mq.Message{ID: id, Body: []byte(id)}); err != nil {
			t.Fatal(err)
		}
	}
	first := l.start(t, "slow worker", url)
	defer first.kill()
	publish("x")
	l.await(t, l.has, "x", 1)
	must(t, brokers.Freeze(first.cmd.Process))
	second := l.start(t, "slow worker", url)
	defer second.kill()
	l.await(t, l.has, "x", 2) // which the visibility limit sees to
	must(t, brokers.Thaw(first.cmd.Process))
	_, err := io.WriteString(first.in, "\n")
	must(t, err)
	l.await(t, l.done, "x", 1)
	_, err = io.WriteString(second.in, "\n")
	must(t, err)
	l.await(t, l.done, "x", 2)
	for _, c := range []*child{first, second} { // for whatever comes
		_, err = io.WriteString(c.in, "\n\n\n")
		must(t, err)
	}
	for _, id := range []string{"y", "z"} {
		publish(id)
		l.await(t, l.done, id, 1)
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		s, err := q.Stats(ctx)
		must(t, err)
		waits := s.Jobs
		if waits < 0 && len(s.Groups) > 0 { // it does not count those in flight
			waits = s.Groups[0].Waiting
		}
		if waits == 0 && s.Dead == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("all is done, and the queue says %+v", s)
		}
	}
	for i, c := range []*child{first, second} {
		select {
		case <-c.read:
			t.Errorf("worker %d of 2 has ended", i+1)
		default:
		}
	}
	first.kill()
	second.kill()
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("jobs were handed out as often: %v, and done: %v", l.has, l.done) // more often if the machine stood still
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await waits until one of the ledger's counts of a job is so high.
func (l *ledger) await(t *testing.T, count map[string]int, id string, n int) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		has := count[id]
		l.mu.Unlock()
		if has >= n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("job %s: it was seen %d times, want %d", id, has, n)
		}
	}
}
