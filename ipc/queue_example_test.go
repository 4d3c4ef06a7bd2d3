//go:build linux

package ipc_test

import (
	"context"
	"fmt"
	"io"
	"log"

	"github.com/plexor-go/plexor/ipc"
	"github.com/plexor-go/plexor/ipc/shm"
)

// One process would put and others get; here one does both.
func ExampleQueue() {
	ring, err := shm.New(shm.Options{Slots: 100})
	if err != nil {
		log.Fatal(err)
	}
	q := ipc.NewQueue[string](ring, nil)
	ctx := context.Background()
	for _, job := range []string{"wash", "dry"} {
		if err := q.Put(ctx, job); err != nil {
			log.Fatal(err)
		}
	}
	if err := q.End(); err != nil {
		log.Fatal(err)
	}
	for {
		item, err := q.Get(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(item.Value)
		if err := item.Done(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("closed:", q.Close())
	// Output:
	// wash
	// dry
	// closed: <nil>
}
