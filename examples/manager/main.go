// Command manager lets processes share what one process alone can't: a map, a semaphore and an event, which a manager
// holds. Four workers wait for the event, then do their work, two at a time, and write
// into the map what they have done.
//
//	go run ./examples/manager
package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/plexor-go/plexor/ipc"
)

const (
	workers = 4
	places  = 2 // so many work at once
	working = 50 * time.Millisecond
	// The token stands in the environment: a command line is for everybody to see.
	pathVariable, tokenVariable = "MANAGER_PATH", "MANAGER_TOKEN"
)

// A table is what the processes share, each value by its name.
type table struct {
	start *ipc.Event
	room  *ipc.Semaphore
	ready *ipc.Barrier
	busy  *ipc.Counter            // how many work now
	most  *ipc.Map[string, int64] // what each worker has seen of busy
}

func open(c *ipc.Client) table {
	return table{
		start: ipc.OpenEvent(c, "start"),
		room:  ipc.OpenSemaphore(c, "room", places),
		ready: ipc.OpenBarrier(c, "ready", workers+1),
		busy:  ipc.OpenCounter(c, "busy"),
		most:  ipc.OpenMap[string, int64](c, "most"),
	}
}

// work is a worker.
func work(ctx context.Context, name string) error {
	token, err := hex.DecodeString(os.Getenv(tokenVariable))
	if err != nil {
		return err
	}
	c, err := ipc.DialManager(ctx, os.Getenv(pathVariable), token)
	if err != nil {
		return err
	}
	defer c.Close()
	t := open(c)
	if _, err := t.ready.Wait(ctx); err != nil { // all are here
		return err
	}
	if err := t.start.Wait(ctx); err != nil {
		return err
	}
	place, err := t.room.Acquire(ctx, 1) // a worker that is killed gives it back by dying
	if err != nil {
		return err
	}
	n, err := t.busy.Add(ctx, 1)
	if err != nil {
		return err
	}
	time.Sleep(working)
	if _, err := t.busy.Add(ctx, -1); err != nil {
		return err
	}
	if err := t.most.Set(ctx, name, n); err != nil {
		return err
	}
	return t.room.Release(ctx, place)
}

func manage(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "manager")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m, err := ipc.ServeManager(filepath.Join(dir, "socket"), ipc.ManagerOptions{})
	if err != nil {
		return err
	}
	defer m.Close()
	crew := make([]*exec.Cmd, workers)
	for i := range crew {
		crew[i] = exec.Command(os.Args[0], "work", fmt.Sprint("worker ", i))
		crew[i].Env = append(os.Environ(), pathVariable+"="+m.Path(), tokenVariable+"="+hex.EncodeToString(m.Token()))
		crew[i].Stderr = os.Stderr
		if err := crew[i].Start(); err != nil {
			return err
		}
	}
	c, err := ipc.DialManager(ctx, m.Path(), m.Token())
	if err != nil {
		return err
	}
	t := open(c)
	if _, err := t.ready.Wait(ctx); err != nil {
		return err
	}
	fmt.Println(workers, "workers wait for the event")
	if err := t.start.Set(ctx); err != nil {
		return err
	}
	for _, cmd := range crew {
		if err := cmd.Wait(); err != nil {
			return err
		}
	}
	all, err := t.most.All(ctx)
	if err != nil {
		return err
	}
	var most int64
	for _, n := range all {
		most = max(most, n)
	}
	fmt.Printf("%d workers have written into the map; at most %d worked at once\n", len(all), most)
	return c.Close()
}

func main() {
	var err error
	if len(os.Args) > 2 && os.Args[1] == "work" {
		err = work(context.Background(), os.Args[2])
	} else {
		err = manage(context.Background())
	}
	if err != nil {
		log.Fatal(err)
	}
}
