//go:build linux || darwin || freebsd || netbsd || openbsd

package mq_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
	"github.com/plexor-go/plexor/proc"
)

// The variable registers the function, in the workers too. Its argument and result travel between the processes.
var shorten = proc.NewFunc("shorten", func(_ context.Context, text []byte) (int, error) {
	if len(text) == 0 {
		return 0, errors.New("there is no text")
	}
	return len(text) / 2, nil
})

// Jobs are done by processes. One that dies, or is killed since it went on for too long, takes its try with it, and
// nothing else: the job is tried again. The pool itself begins each call once, so that mq counts the tries. (main has
// called proc.Main.)
func Example_processes() {
	ctx, cancel := context.WithCancel(context.Background())
	b, err := mq.Open(ctx, "mem://")
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	pool, err := proc.NewPool(proc.PoolOptions{Workers: 2, Tries: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	if err := b.Publish(ctx, "texts", []byte("a long story")); err != nil {
		log.Fatal(err)
	}
	c := mq.Consumer{InFlight: 2, Limit: time.Minute} // as many as there are workers
	err = b.Consume(ctx, "texts", c, func(ctx context.Context, j *mq.Job) error {
		n, err := shorten.Call(ctx, pool, j.Body)
		if err == nil {
			fmt.Println(n)
			cancel()
		}
		return err
	})
	fmt.Println(err)
	// Output:
	// 6
	// <nil>
}

// An errand is what a process of TestProcesses is to do.
type errand struct {
	Body   string
	Try    int
	Folder string // where it leaves its process's number
}

var run = proc.NewFunc("run", func(ctx context.Context, e errand) (int, error) {
	if e.Try > 1 {
		return os.Getpid(), nil
	}
	switch e.Body {
	case "panics":
		panic("a fault")
	case "killed", "hangs":
		name := filepath.Join(e.Folder, e.Body)
		if err := os.WriteFile(name+".new", []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			return 0, err
		}
		if err := os.Rename(name+".new", name); err != nil {
			return 0, err
		}
		select {} // whatever ctx says
	}
	return os.Getpid(), nil
})

// TestProcesses: a process that is killed (kill -9) while it does a job, one that hangs and one that panics each cost
// their job a try, which its history tells; another process does it then. A job that runs meanwhile is not disturbed.
func TestProcesses(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b, err := mqtest.Options().Open(ctx, "mem://")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	pool, err := proc.NewPool(proc.PoolOptions{Workers: 3, Tries: 1, Grace: time.Millisecond,
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	bodies := map[string]string{"plain": "", "panics": "a fault", "killed": "its worker died", "hangs": "deadline"}
	for body := range bodies {
		if err := b.Publish(ctx, "errands", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	folder := t.TempDir()
	killed := make(chan error, 1)
	go func() { killed <- killWho(ctx, filepath.Join(folder, "killed")) }()
	var mu sync.Mutex
	done := make(map[string]bool)
	c := mq.Consumer{InFlight: 3, Retry: mq.Constant(time.Millisecond)}
	err = b.Consume(ctx, "errands", c, func(ctx context.Context, j *mq.Job) error {
		body := string(j.Body)
		if body == "hangs" && j.Try == 1 { // what Consumer.Limit does to all
			var over context.CancelFunc
			ctx, over = context.WithTimeout(ctx, 50*time.Millisecond)
			defer over()
		}
		pid, err := run.Call(ctx, pool, errand{body, j.Try, folder})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		done[body] = true
		switch why := bodies[body]; {
		case pid == os.Getpid():
			t.Errorf("%s ran in this process", body)
		case why == "" && j.Try != 1:
			t.Errorf("%s: try %d, with %v", body, j.Try, j.Failures)
		case why != "" && (j.Try != 2 || len(j.Failures) != 1 || !strings.Contains(j.Failures[0].Why, why)):
			t.Errorf("%s: try %d, with %+v; want one failure with %q", body, j.Try, j.Failures, why)
		}
		if len(done) == len(bodies) {
			cancel()
		}
		return nil
	})
	if err != nil || len(done) != len(bodies) {
		t.Errorf("done are %v: %v", done, err)
	}
	if err := <-killed; err != nil {
		t.Error(err)
	}
}

// killWho kills the process whose number comes to be in a file.
func killWho(ctx context.Context, file string) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		b, err := os.ReadFile(file)
		if err == nil {
			pid, err := strconv.Atoi(string(b))
			if err != nil || pid <= 1 {
				return fmt.Errorf("%q is no process: %w", b, err)
			}
			return syscall.Kill(pid, syscall.SIGKILL)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}
