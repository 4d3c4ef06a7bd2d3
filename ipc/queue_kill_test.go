//go:build linux

package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/ipc/shm"
)

// queueChildEnv names the part that TestQueueChild plays: this program, started anew. The ring is descriptor 3.
const queueChildEnv = "PLEXOR_IPC_QUEUE_CHILD"

var queueChildren = map[string]func(r *shm.Ring) error{}

// TestQueueChild is no test, but the children of the others.
func TestQueueChild(t *testing.T) {
	part := os.Getenv(queueChildEnv)
	if part == "" {
		t.Skip("it plays its part when other tests start it")
	}
	r, err := shm.OpenFile(os.NewFile(3, "ring"))
	if err == nil {
		err = queueChildren[part](r)
	}
	if err == nil {
		err = r.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, part+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func queueStart(t testing.TB, r *shm.Ring, part string, env ...string) *exec.Cmd {
	t.Helper()
	f, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // the child has it
	cmd := exec.Command(os.Args[0], "-test.run=^TestQueueChild$")
	cmd.Env = append(append(os.Environ(), queueChildEnv+"="+part), env...)
	cmd.ExtraFiles = []*os.File{f}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func init() {
	// A worker says what it got, and waits to be killed if that is what the item says.
	queueChildren["work"] = func(r *shm.Ring) error {
		q := NewQueue[queueJob](r, nil)
		for {
			item, err := q.Get(context.Background())
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			fmt.Println(item.Value.Name)
			if strings.HasPrefix(item.Value.Name, "die") && item.Deliveries == 1 {
				select {}
			}
			if err := item.Done(); err != nil {
				return err
			}
		}
	}
	queueChildren["create"] = func(*shm.Ring) error {
		r, err := shm.Create(os.Getenv("PLEXOR_IPC_QUEUE_NAME"), shm.Options{Slots: 4})
		if err != nil {
			return err
		}
		q := NewQueue[queueJob](r, nil)
		for i := 0; ; i++ {
			if err := q.Put(context.Background(), queueJob{Name: strconv.Itoa(i)}); err != nil {
				return err
			}
			fmt.Println(i)
		}
	}
}

// TestQueueKilledWorker has a worker killed with an item in hand: another gets it.
func TestQueueKilledWorker(t *testing.T) {
	ctx := queueContext(t)
	q := NewQueue[queueJob](queueRing(t, shm.Options{}), nil)
	first, second := queueStart(t, q.Ring(), "work"), (*exec.Cmd)(nil)
	for i := range 3 {
		if err := q.Put(ctx, queueJob{Name: []string{"a", "die b", "c"}[i]}); err != nil {
			t.Fatal(err)
		}
	}
	for taken := false; !taken; { // a is done, b taken, c waits
		s, err := q.Ring().Stats()
		if err != nil || ctx.Err() != nil {
			t.Fatal(s, err, ctx.Err())
		}
		taken = s.Ready == 1 && s.Taken == 1
	}
	second = queueStart(t, q.Ring(), "work")
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // killed
	if err := q.Join(ctx); err != nil {
		t.Error(err)
	}
	if err := q.End(); err != nil {
		t.Error(err)
	}
	if err := second.Wait(); err != nil {
		t.Errorf("the second worker: %v", err)
	}
}

// TestQueueKilledCreator has who made the queue killed, and its items stay.
func TestQueueKilledCreator(t *testing.T) {
	ctx := queueContext(t)
	name := fmt.Sprintf("plexor-test-queue-%d", os.Getpid())
	r := queueRing(t, shm.Options{})
	f, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only for the child
	cmd := exec.Command(os.Args[0], "-test.run=^TestQueueChild$")
	cmd.Env = append(os.Environ(), queueChildEnv+"=create", "PLEXOR_IPC_QUEUE_NAME="+name)
	cmd.ExtraFiles = []*os.File{f}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("0\n1\n2\n3\n"))); err != nil { // now it waits for room
		t.Fatal(err)
	}
	defer func() {
		if err := shm.Remove(name); err != nil {
			t.Error(err)
		}
	}()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	ring, err := shm.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	q := NewQueue[queueJob](ring, nil)
	for i := range 4 {
		item, err := q.Get(ctx)
		if err != nil || item.Value.Name != strconv.Itoa(i) {
			t.Fatalf("got %+v, %v, want %d", item, err, i)
		}
		if err := item.Done(); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(q.Join(ctx), q.Close()); err != nil {
		t.Error(err)
	}
}
