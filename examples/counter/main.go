// Command counter counts in several processes at once. It serves a manager on a unix socket and starts itself anew a
// few times; each of these workers adds to one counter of the manager, and under a lock, which it would lose with its
// life, to a value that it reads and then writes. At the end both are as many as was counted.
//
//	go run ./examples/counter                    # prints 4 workers counted to 1000, and to 1000 under the lock
package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/plexor-go/plexor/ipc"
)

const (
	workers = 4
	each    = 250
	// A worker finds the manager's path and token in its environment: a command line is for everybody to see.
	pathVariable, tokenVariable = "COUNTER_PATH", "COUNTER_TOKEN"
)

// work is a worker.
func work(ctx context.Context, path string) error {
	token, err := hex.DecodeString(os.Getenv(tokenVariable))
	if err != nil {
		return err
	}
	c, err := ipc.DialManager(ctx, path, token)
	if err != nil {
		return err
	}
	defer c.Close()
	counter, value, lock := ipc.OpenCounter(c, "counter"), ipc.OpenValue[int](c, "value"), ipc.OpenLock(c, "lock")
	for range each {
		if _, err := counter.Add(ctx, 1); err != nil {
			return err
		}
		held, err := lock.Lock(ctx)
		if err != nil {
			return err
		}
		n, _, err := value.Get(ctx)
		if err != nil {
			return err
		}
		// The token makes sure of it: one that had lost the lock meanwhile would change nothing.
		if ok, err := c.Do(ctx, lock.Holds(held), value.Setting(n+1)); err != nil || !ok {
			return fmt.Errorf("the lock was lost: %w", err)
		}
		if err := lock.Unlock(ctx, held); err != nil {
			return err
		}
	}
	return nil
}

func manage(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "counter")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m, err := ipc.ServeManager(filepath.Join(dir, "manager"), ipc.ManagerOptions{})
	if err != nil {
		return err
	}
	defer m.Close()
	cmds := make([]*exec.Cmd, workers)
	for i := range cmds {
		cmds[i] = exec.Command(os.Args[0])
		cmds[i].Env = append(os.Environ(), pathVariable+"="+m.Path(), tokenVariable+"="+hex.EncodeToString(m.Token()))
		cmds[i].Stderr = os.Stderr
		if err := cmds[i].Start(); err != nil {
			return err
		}
	}
	for _, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			return err
		}
	}
	c, err := ipc.DialManager(ctx, m.Path(), m.Token())
	if err != nil {
		return err
	}
	defer c.Close()
	n, err := ipc.OpenCounter(c, "counter").Get(ctx)
	if err != nil {
		return err
	}
	v, _, err := ipc.OpenValue[int](c, "value").Get(ctx)
	fmt.Printf("%d workers counted to %d, and to %d under the lock\n", workers, n, v)
	return err
}

func main() {
	run := manage
	if path := os.Getenv(pathVariable); path != "" {
		run = func(ctx context.Context) error { return work(ctx, path) }
	}
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
