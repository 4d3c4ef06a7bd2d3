package mqcmd_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/mqcmd"
	"github.com/plexor-go/plexor/mq"
)

const (
	tight   = 64 << 10 // bytes of a file of a process whose disk is "full"
	bigJob  = 10_000
	trying  = time.Second // of one publish
	serving = time.Minute // of all steps of a test

	pause = 100 * time.Millisecond // between two tries
)

// A served is a process that serves. Each line that it says comes once.
type served struct {
	*exec.Cmd
	lines chan string
}

func serve(ctx context.Context, t *testing.T, s mqcmd.Serve) *served {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	p := &served{exec.CommandContext(ctx, os.Args[0]), make(chan string, 1000)}
	p.Env = append(os.Environ(), serveVariable+"="+string(text))
	p.WaitDelay = serving
	out, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for all := bufio.NewScanner(out); all.Scan(); {
			select {
			case p.lines <- all.Text():
			case <-ctx.Done():
			}
		}
	}()
	return p
}

// says waits for a line with a text.
func (p *served) says(t *testing.T, text string) string {
	t.Helper()
	for line := range p.lines {
		t.Log(line)
		if strings.Contains(line, text) {
			return line
		}
	}
	t.Fatalf("it has ended, or its time is over, and it did not say %q", text)
	return ""
}

// end has it end as by a signal of a shell.
func (p *served) end(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	for line := range p.lines {
		t.Log(line)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// files bounds the length of the files that a process can write. 0 is no bound.
func (p *served) files(t *testing.T, bytes uint64) {
	t.Helper()
	l := unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}
	if bytes == 0 {
		l.Cur = unix.RLIM_INFINITY
	}
	if err := unix.Prlimit(p.Process.Pid, unix.RLIMIT_FSIZE, &l, nil); err != nil {
		t.Fatal(err)
	}
}

// publishing publishes until enough, and counts what was acknowledged.
func publishing(ctx context.Context, t *testing.T, q *mq.Queue, enough func(error) bool) (stored int64) {
	t.Helper()
	for ctx.Err() == nil {
		once, cancel := context.WithTimeout(ctx, trying)
		_, err := q.Publish(once, mq.Message{Body: make([]byte, bigJob)})
		cancel()
		if err == nil {
			stored++
		}
		if enough(err) {
			return stored
		}
	}
	t.Fatal("the time is over")
	return 0
}

// TestServeFull: a server that could not write stores jobs again when it can, at the same port, and has what was there.
func TestServeFull(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), serving)
	defer cancel()
	p := serve(ctx, t, mqcmd.Serve{Dir: t.TempDir(), Listen: "127.0.0.1:0", Store: 8192, Memory: 64})
	at := strings.Fields(p.says(t, "listening mq "))[2]
	b, err := mq.Open(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	q, err := b.Queue(ctx, "q", mq.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.full(ctx, t, q)
	p.end(t)
}

// cluster is three nodes, and the addresses of their clients' ports.
func cluster(ctx context.Context, t *testing.T) (clients []string, nodes []*served) {
	t.Helper()
	addrs, err := brokers.FreeAddrs(6)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		nodes = append(nodes, serve(ctx, t, mqcmd.Serve{Dir: t.TempDir(), Listen: addrs[i], Cluster: addrs[3+i],
			Route: addrs[3:], Store: 8192, Memory: 64}))
	}
	for _, p := range nodes {
		p.says(t, "the cluster is complete")
	}
	return addrs[:3], nodes
}

// TestServeFullCluster: a node of a cluster that could not write is one of it again, at the same ports: one of the two
// others can end then, and jobs are stored by more than half of the nodes all the same.
func TestServeFullCluster(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("three nodes")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*serving)
	defer cancel()
	addrs, nodes := cluster(ctx, t)
	b, err := mq.Open(ctx, "nats://"+strings.Join(addrs, ",")+"/?replicas=3")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	q, err := b.Queue(ctx, "q", mq.QueueOptions{})
	for next := time.Tick(pause); err != nil && ctx.Err() == nil; <-next { // who leads may not have heard of all yet
		q, err = b.Queue(ctx, "q", mq.QueueOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	nodes[2].full(ctx, t, q)
	nodes[2].says(t, "the cluster is complete")
	nodes[0].end(t)
	publishing(ctx, t, q, func(err error) bool { return err == nil })
	nodes[1].end(t)
	nodes[2].end(t)
}

// full has a process be unable to write while jobs are published, and then able again.
func (p *served) full(ctx context.Context, t *testing.T, q *mq.Queue) {
	t.Helper()
	p.files(t, tight)
	broken, again := false, false
	stored := publishing(ctx, t, q, func(error) bool {
		broken = broken || p.said(t, "nothing is stored until it can")
		return broken
	})
	p.files(t, 0)
	stored += publishing(ctx, t, q, func(err error) bool {
		again = again || p.said(t, "the server can write again")
		return again && err == nil
	})
	for { // a node that ends may owe an answer
		once, cancel := context.WithTimeout(ctx, 5*trying)
		s, err := q.Stats(once)
		cancel()
		if err != nil && ctx.Err() == nil {
			t.Log(err)
			continue
		}
		if err != nil || s.Jobs < stored {
			t.Errorf("%d jobs were acknowledged; there are %+v, %v", stored, s, err)
		}
		return
	}
}

// said is whether a line with a text is among those that have come.
func (p *served) said(t *testing.T, text string) bool {
	t.Helper()
	for {
		select {
		case line, more := <-p.lines:
			if !more {
				t.Fatal("it has ended, or its time is over")
			}
			t.Log(line)
			if strings.Contains(line, text) {
				return true
			}
		default:
			return false
		}
	}
}
