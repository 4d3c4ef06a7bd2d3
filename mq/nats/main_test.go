package nats

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/internal/mqkill"
	"github.com/plexor-go/plexor/internal/natsnode"
	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

// patience is how long what has to come may take: only a test that fails waits for that long.
const patience = time.Minute

// childVariable, in the environment, makes a process of this binary one that a test plays with and kills.
const childVariable = "MQ_NATS_CHILD"

// A role is what a child does, until it is killed or its standard input ends.
type role struct {
	Node    *natsnode.Options // a server
	URL     string            // a publisher and worker of the queue "q"; it says "pub ID" and "done ID"
	Name    string            // of its jobs' IDs
	Publish bool
	Every   time.Duration // a publisher waits so long after each publish; 0: it does not
	Within  time.Duration // for a publish; 0: as long as it takes
	Work    bool
	Options mq.QueueOptions
}

func TestMain(m *testing.M) {
	mqkill.Main() // a producer or a worker goes no further
	if text := os.Getenv(childVariable); text != "" {
		var r role
		err := json.Unmarshal([]byte(text), &r)
		if err == nil {
			err = r.run()
		}
		fmt.Println("error", err)
		os.Exit(1)
	}
	os.Exit(leak.Main(m))
}

func (r role) run() error {
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // the test's end is ours
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	defer cancel()
	if r.Node != nil {
		r.Node.Log = mqtest.Options().Log
		n, err := natsnode.Start(ctx, *r.Node)
		if err != nil {
			return err
		}
		fmt.Println("up", n.Addr())
		select {}
	}
	b, err := mqtest.Options().Open(ctx, r.URL)
	if err != nil {
		return err
	}
	q, err := b.Queue(ctx, "q", r.Options)
	if err != nil {
		return err
	}
	fmt.Println("up")
	if r.Work {
		go func() {
			err := q.Consume(ctx, mq.Consumer{Visibility: 2 * time.Second, Retry: mq.Constant(10 * time.Millisecond)},
				func(_ context.Context, j *mq.Job) error {
					fmt.Println("done", j.ID)
					return nil
				})
			fmt.Println("error", err)
		}()
	}
	for w := range publishers {
		go r.publish(ctx, q, w)
	}
	select {}
}

// publishers are those of a process at once: enough for batches.
const publishers = 8

func (r role) publish(ctx context.Context, q *mq.Queue, w int) {
	for n := 0; r.Publish; time.Sleep(r.Every) {
		id := fmt.Sprintf("%s-%d-%d", r.Name, w, n)
		n++
		once, stop := ctx, context.CancelFunc(func() {})
		if r.Within > 0 {
			once, stop = context.WithTimeout(ctx, r.Within)
		}
		begin := time.Now()
		_, err := q.Publish(once, mq.Message{ID: id, Body: []byte(id)})
		stop()
		if err == nil {
			fmt.Println("pub", id)
		} else {
			fmt.Println("not", time.Since(begin).Milliseconds(), mq.StoredBy(err), id, err)
		}
	}
}

// A child is a process of this binary.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{} // when all that it said was read
	up    chan string   // what it says once it runs
}

// An account is what children have said of jobs.
type account struct {
	mu     sync.Mutex
	pub    map[string]bool // Publish returned nil
	done   map[string]int  // how often a handler ran
	not    map[string]int  // Publish failed: how often, by the first word of what is known
	late   time.Duration   // the longest publish that failed
	faults []string
}

func newAccount() *account {
	return &account{pub: make(map[string]bool), done: make(map[string]int), not: make(map[string]int)}
}

func (a *account) note(line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "pub":
		a.pub[rest] = true
	case "done":
		a.done[rest]++
	case "not":
		if f := strings.Fields(rest); len(f) > 1 {
			ms, _ := strconv.Atoi(f[0]) // which is its own
			a.late = max(a.late, time.Duration(ms)*time.Millisecond)
			a.not[f[1]]++
		}
	case "error":
		a.faults = append(a.faults, rest)
	}
}

// missing are jobs that were acknowledged and have not been done.
func (a *account) missing() (ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.pub {
		if a.done[id] == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

func (a *account) counts() (pub, done, twice int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range a.done {
		done++
		twice += n - 1
	}
	return len(a.pub), done, twice
}

// start starts a child. It is killed at the test's end.
func (a *account) start(t *testing.T, r role) *child {
	t.Helper()
	if !all() {
		r.Every = 40 * time.Millisecond // some hundred jobs a second are enough to lose one
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(exe), ended: make(chan struct{}), up: make(chan string, 1)}
	c.cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.ended)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), "up"); ok {
				c.up <- strings.TrimSpace(rest)
			}
			a.note(lines.Text())
		}
	}()
	t.Cleanup(func() {
		_ = in.Close()
		c.kill()
	})
	return c
}

// await waits until the child runs.
func (c *child) await() string {
	c.t.Helper()
	select {
	case s := <-c.up:
		return s
	case <-c.ended:
		c.t.Fatal("a child ended before it ran")
	case <-time.After(patience):
		c.t.Fatal("a child does not run")
	}
	return ""
}

// kill kills it, as kill -9 does, and waits until all that it said was read.
func (c *child) kill() {
	if c.cmd.ProcessState != nil {
		return
	}
	_ = c.cmd.Process.Kill()
	<-c.ended
	_ = c.cmd.Wait() // it says that it was killed
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
