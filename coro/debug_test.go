//go:build unix

package coro

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// TestList: each live task with what it does, waits for, since when, and its stack.
func TestList(t *testing.T) {
	b := newBed(t, Options{})
	q := NewQueue[int](2)
	b.do(func() {
		b.s.Start(context.Background(), "sleeper", func(ctx context.Context) error { return Sleep(ctx, time.Hour) })
		b.s.Start(context.Background(), "", takerOf(q))
		b.s.Start(context.Background(), "reader", func(ctx context.Context) error {
			return new(Waiter).Wait(ctx, "read", "127.0.0.1:7")
		})
		b.s.Start(context.Background(), "blocker", func(ctx context.Context) error {
			_, err := Await(ctx, blockFor)
			return err
		})
		b.s.Start(context.Background(), "member", func(ctx context.Context) error {
			return Group(ctx, func(g *Tasks) error {
				g.GoNamed("child", new(Event).Wait)
				return nil
			})
		})
	})
	b.pass(time.Minute)
	defer close(unblock)
	for _, stacks := range []bool{false, true, true} { // to have looked changes nothing
		infos, stuck := List(stacks)
		var got []string
		for _, i := range infos {
			if i.Loop != b.loop {
				continue
			}
			stack := i.Stack
			i.Stack = ""
			got = append(got, i.String())
			if stacks != (stack != "") || stacks && (!strings.Contains(stack, "coro.(*worker).runTask") ||
				strings.Contains(stack, "writeDown")) {
				t.Errorf("%s: its stack:\n%s", i.Name, stack)
			}
			if i.Name == "sleeper" && stacks && !strings.HasPrefix(stack, "github.com") {
				t.Errorf("the stack starts with\n%s", stack)
			}
		}
		want := []string{
			"coroutine 1 [waiting: sleep 1h0m0s, 1m0s] sleeper",
			"coroutine 2 [waiting: a value of a queue of 0 of 2, 1 get, 0 put, 1m0s] " +
				"github.com/plexor-go/plexor/coro.takerOf.func1",
			"coroutine 3 [waiting: read 127.0.0.1:7, 1m0s] reader",
			"coroutine 4 [waiting: await github.com/plexor-go/plexor/coro.blockFor, 1m0s] blocker",
			"coroutine 5 [waiting: a group's tasks, 1m0s] member",
			"coroutine 6 [waiting: an event, 1m0s] child",
		}
		if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w || len(stuck) > 0 {
			t.Errorf("List:\n%s\nwant\n%s\nstuck: %v", g, w, stuck)
		}
	}
	b.must(func(ctx context.Context) error {
		for _, i := range b.s.List(true) {
			if i.State == Running && !strings.Contains(i.Stack, "TestList") {
				t.Errorf("the caller's own stack:\n%s", i.Stack)
			}
		}
		return Yield(ctx) // and goes on
	})
	b.do(func() { _ = q.TryPut(1) })
	b.do(func() {
		if got := len(b.s.List(false)); got != 5 {
			t.Errorf("%d live tasks after one has ended, want 5", got)
		}
	})
}

//go:noinline
func takerOf(q *Queue[int]) func(ctx context.Context) error {
	return func(ctx context.Context) error { _, err := q.Get(ctx); return err }
}

var unblock = make(chan struct{})

func blockFor() (int, error) { <-unblock; return 0, nil }

// TestRunning: what blocks a loop is found by its stack, and named in a dump.
func TestRunning(t *testing.T) {
	release, stalls := make(chan struct{}), make(chan loop.Stall, 1)
	l, err := loop.New(loop.Options{Stall: 10 * time.Millisecond, OnStall: func(s loop.Stall) { stalls <- s }})
	if err != nil {
		t.Fatal(err)
	}
	s := On(l)
	ended := make(chan error)
	go func() { ended <- l.Run() }()
	done := make(chan error)
	go func() {
		_, err := Call(context.Background(), s, "culprit", func(ctx context.Context) (int, error) {
			holdLoop(release)
			return 0, nil
		})
		done <- err
	}()
	stall := <-stalls
	i, ok := On(stall.Loop).Running()
	if !ok || i.Name != "culprit" || !strings.Contains(i.Stack, "coro.holdLoop") {
		t.Errorf("Running = %v, %v", i, ok)
	}
	var dump strings.Builder
	if err := Dump(&dump); err != nil || !strings.Contains(dump.String(), "does not answer") ||
		!strings.Contains(dump.String(), "coro.holdLoop") {
		t.Errorf("Dump: %v\n%s", err, &dump)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := l.Do(func() {}); err != nil {
		t.Error(err)
	}
	if i, ok := s.Running(); ok {
		t.Errorf("Running = %v, but none does", i)
	}
	l.Close()
	<-ended
}

//go:noinline
func holdLoop(release chan struct{}) { <-release }

// TestQuit: on SIGQUIT a process prints its coroutines, and its goroutines, and ends as it does without.
func TestQuit(t *testing.T) {
	if os.Getenv("PLEXOR_CORO_QUIT") != "" {
		quitting()
	}
	stop := DumpOnQuit()
	stop()
	stop()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestQuit$")
	cmd.Env = append(os.Environ(), "PLEXOR_CORO_QUIT=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 6)
	if _, err := io.ReadFull(stdout, line); err != nil || string(line) != "ready\n" {
		t.Errorf("the child wrote %q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(stderr)
	err = cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 2 {
		t.Errorf("the child ended with %v, want status 2", err)
	}
	for _, want := range []string{"[waiting: sleep 1h0m0s", "] patient\n", "coro.Sleep(", "SIGQUIT: quit",
		"\ngoroutine 1 "} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in what the child printed:\n%s", want, text)
		}
	}
}

// quitting is the child of TestQuit.
func quitting() {
	DumpOnQuit()
	l, err := loop.New(loop.Options{})
	if err != nil {
		panic(err)
	}
	On(l).Go(context.Background(), "patient", func(ctx context.Context) error {
		fmt.Println("ready")
		return Sleep(ctx, time.Hour)
	})
	panic(l.Run())
}
