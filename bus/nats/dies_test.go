package nats

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor/bus"
	"github.com/plexor-go/plexor/internal/leak"
)

// routeTo, in the environment, makes this program a node that leads there, with a member and a service, until it is
// killed.
const routeTo = "PLEXOR_TEST_BUS_ROUTE"

func TestMain(m *testing.M) {
	if route := os.Getenv(routeTo); route != "" {
		fmt.Println(live(route))
		os.Exit(1)
	}
	os.Exit(leak.Main(m))
}

func live(route string) error {
	node, err := Embedded(context.Background(), "127.0.0.1:0", []string{route}, Options{Token: "secret"})
	if err != nil {
		return err
	}
	b, err := bus.Open(bus.Options{Name: "dies", Transport: node})
	if err != nil {
		return err
	}
	if _, err := b.Room("hall").Enter("dies", nil); err != nil {
		return err
	}
	_, err = b.Answer("wait", func(ctx context.Context, q *bus.Request) ([]byte, error) {
		if string(q.Data) == "pid" {
			return fmt.Append(nil, os.Getpid()), nil
		}
		err := q.Send(ctx, nil)
		<-ctx.Done()
		return nil, err
	})
	if err != nil {
		return err
	}
	if err := b.Bucket("settings").Put("theirs", []byte("x")); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = bufio.NewReader(os.Stdin).ReadByte() // it ends with its parent
	return err
}

// lateness looks, until stop, how late this process is at most, for want of processors.
func lateness() (stop func() time.Duration) {
	var worst atomic.Int64
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		const every = 10 * time.Millisecond
		t := time.NewTimer(every)
		for due := time.Now().Add(every); ; due = time.Now().Add(every) {
			select {
			case <-t.C:
				worst.Store(max(worst.Load(), int64(time.Since(due))))
				t.Reset(every)
			case <-over:
				return
			}
		}
	}()
	return func() time.Duration {
		close(over)
		<-ended
		return time.Duration(worst.Load())
	}
}

// TestDies: a process that is killed is gone for the others within three seconds: its members, its services, and the
// calls that it was to answer. Its values stay.
func TestDies(t *testing.T) {
	t.Parallel()
	b := embedded(t, 1, bus.Limits{})[0]
	w, err := b.Room("hall").WatchMembers()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	route, ok := routes.Load(b)
	if !ok {
		t.Fatal("no route leads to the bus")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), routeTo+"="+route.(string))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill() // it may be dead
		_ = cmd.Wait()         // as it was killed
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatal(line, err)
	}
	if p, err := w.Next(within(t)); err != nil || p.ID != "dies" || len(p.In) != 1 || p.In[0].On != "dies" {
		t.Fatalf("got %+v, %v", p, err)
	}
	until(t, "its value and its service are known", func() bool {
		_, ok := b.Bucket("settings").Get("theirs")
		return ok && b.Answers("wait")
	})
	if pid, err := b.Call(within(t), "wait", []byte("pid")); err != nil || string(pid) != fmt.Sprint(cmd.Process.Pid) {
		slow(t, []*bus.Bus{b})
		t.Errorf("%q answers, %v", pid, err)
	}
	slow(t, []*bus.Bus{b})
	var killed time.Time
	for _, err := range b.Stream(within(t), "wait", nil) {
		if err == nil { // the first part: it is at work
			killed = time.Now()
			late := lateness()
			defer func() { holds(t, time.Since(killed), late()) }()
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		} else if killed.IsZero() {
			slow(t, []*bus.Bus{b})
			t.Fatal(err)
		} else if !errors.Is(err, bus.ErrLost) {
			t.Errorf("the call ends with %v", err)
		}
	}
	for here := 1; here > 0; {
		p, err := w.Next(within(t))
		if here = len(p.In); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Call(within(t), "wait", nil); err != bus.ErrNobody {
		t.Errorf("a call of a dead one: %v", err)
	}
	if v, ok := b.Bucket("settings").Get("theirs"); !ok || string(v) != "x" {
		t.Errorf("the value of the dead is %q, %v", v, ok)
	}
}

// holds compares with what is promised, but for what this machine was late.
func holds(t *testing.T, after, late time.Duration) {
	t.Logf("all is gone after %v; this process was late by %v", after, late)
	if after > 3*time.Second+2*late {
		t.Errorf("all is gone after %v, want 3 s; this process was late by %v", after, late)
	}
}
