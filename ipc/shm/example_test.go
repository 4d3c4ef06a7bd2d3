//go:build linux

package shm_test

import (
	"context"
	"fmt"
	"log"

	"github.com/plexor-go/plexor/ipc/shm"
)

// Two Rings over one memory, as two processes would have them.
func ExampleRing() {
	r, err := shm.New(shm.Options{})
	if err != nil {
		log.Fatal(err)
	}
	f, err := r.File() // which another process gets, by os/exec's ExtraFiles for one
	if err != nil {
		log.Fatal(err)
	}
	other, err := shm.OpenFile(f)
	if err != nil {
		log.Fatal(err)
	}
	ctx, items := context.Background(), make([]shm.Item, 8)
	if _, err := r.Put(ctx, []byte("one"), []byte("two")); err != nil {
		log.Fatal(err)
	}
	n, err := other.Get(ctx, items, nil)
	fmt.Println(n, string(items[0].Data), string(items[1].Data), err)
	fmt.Println(other.Done(items[0]))
	fmt.Println(other.Close()) // the second goes back
	n, err = r.Get(ctx, items, nil)
	fmt.Println(n, string(items[0].Data), items[0].Deliveries, err)
	fmt.Println(r.Done(items[:n]...), r.Close(), f.Close())
	// Output:
	// 2 one two <nil>
	// <nil>
	// <nil>
	// 1 two 2 <nil>
	// <nil> <nil> <nil>
}
