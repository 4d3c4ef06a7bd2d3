// Command coroutines runs coroutines on one event loop: two that take turns where they wait, a thousand that sleep at
// the same time, and two that count, between which a wait loses what a lock keeps.
//
//	go run ./examples/coroutines
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// turns shows who runs when: a coroutine goes on until it waits, and only then the other one does.
func turns(ctx context.Context) error {
	return coro.Group(ctx, func(g *coro.Tasks) error {
		for _, name := range []string{"a", "b"} {
			g.Go(func(ctx context.Context) error {
				for i := range 2 {
					fmt.Printf("   %s begins step %d\n", name, i+1)
					fmt.Printf("   %s ends step %d\n", name, i+1)
					if err := coro.Yield(ctx); err != nil { // gives way
						return err
					}
				}
				return nil
			})
		}
		return nil
	})
}

// sleepers sleep at the same time, on one thread.
func sleepers(ctx context.Context) error {
	const n, nap = 1000, 500 * time.Millisecond
	began, woken := time.Now(), 0
	err := coro.Group(ctx, func(g *coro.Tasks) error {
		for range n {
			g.Go(func(ctx context.Context) error {
				if err := coro.Sleep(ctx, nap); err != nil {
					return err
				}
				woken++ // no lock: two coroutines of a loop never run at once
				return nil
			})
		}
		return nil
	})
	took := time.Since(began).Round(time.Millisecond)
	fmt.Printf("   %d coroutines slept %v each; it took %v in all\n", woken, nap, took)
	return err
}

// count reads, waits and writes. What the other one wrote during the wait is overwritten, unless a lock keeps it out.
func count(ctx context.Context, lock *coro.Mutex) (n int, err error) {
	err = coro.Group(ctx, func(g *coro.Tasks) error {
		for range 2 {
			g.Go(func(ctx context.Context) error {
				for range 100 {
					if lock != nil {
						if err := lock.Lock(ctx); err != nil {
							return err
						}
					}
					was := n
					if err := coro.Yield(ctx); err != nil { // a query to a database, say
						return err
					}
					n = was + 1
					if lock != nil {
						lock.Unlock()
					}
				}
				return nil
			})
		}
		return nil
	})
	return n, err
}

func show(ctx context.Context) error {
	fmt.Println("1. Two coroutines: the one goes on where the other one waits.")
	if err := turns(ctx); err != nil {
		return err
	}
	fmt.Println("2. Many coroutines: all waits pass at the same time.")
	if err := sleepers(ctx); err != nil {
		return err
	}
	fmt.Println("3. Two coroutines count to 100 each, with a wait between reading and writing.")
	bare, err := count(ctx, nil)
	if err != nil {
		return err
	}
	locked, err := count(ctx, new(coro.Mutex))
	fmt.Printf("   without a lock: %d; with one: %d\n", bare, locked)
	return err
}

func main() {
	if err := plexor.RunOn(context.Background(), loop.Options{Stall: -1}, show); err != nil {
		log.Fatal(err)
	}
}
