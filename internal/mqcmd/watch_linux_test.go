package mqcmd_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/mq"
)

// A process that serves says with each SIGUSR1 how many goroutines of it wait for a cluster.
func init() {
	if os.Getenv(serveVariable) == "" {
		return
	}
	asks := make(chan os.Signal, 1)
	signal.Notify(asks, syscall.SIGUSR1)
	go func() {
		buf := make([]byte, 16<<20)
		for range asks {
			stacks := string(buf[:runtime.Stack(buf, true)])
			fmt.Fprintf(os.Stderr, "watchers: %d.\n", strings.Count(stacks, "mqcmd.(*Serve).watch("))
		}
	}()
}

// TestServeWatch: who waits for the cluster ends with the node that was replaced, though the cluster was not complete:
// the third node has ended, the two others agree on queues, and one of them can't write that down, twice.
func TestServeWatch(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("three nodes")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*serving)
	defer cancel()
	addrs, nodes := cluster(ctx, t)
	b, err := mq.Open(ctx, "nats://"+addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	queue := 0
	queues := func(enough func(err error) bool) {
		for next := time.Tick(pause); ; <-next {
			once, cancel := context.WithTimeout(ctx, trying)
			_, err := b.Queue(once, fmt.Sprint("q", queue), mq.QueueOptions{})
			cancel()
			if queue++; enough(err) || ctx.Err() != nil {
				return
			}
		}
	}
	queues(func(err error) bool { return err == nil })
	nodes[2].end(t)
	p := nodes[1]
	p.watchers(t, 0)
	for range 2 {
		p.files(t, 1)
		queues(func(error) bool { return p.said(t, "nothing is stored until it can") })
		p.files(t, 0)
		p.says(t, "the server can write again")
		queues(func(err error) bool { return err == nil })
		p.watchers(t, 1)
	}
	p.end(t)
	nodes[0].end(t)
}

// watchers waits until so many goroutines wait for a cluster: one that was told to end takes a moment.
func (p *served) watchers(t *testing.T, want int) {
	t.Helper()
	for end := time.Now().Add(serving); ; {
		if err := p.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		line := p.says(t, "watchers: ")
		if strings.HasSuffix(line, fmt.Sprintf(" %d.", want)) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s want %d", line, want)
		}
		<-time.After(pause)
	}
}
