package coro_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// run runs f as a task on a loop of its own.
func run(f func(ctx context.Context) error) {
	l, err := loop.New(loop.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error)
	go func() { ended <- l.Run() }()
	_, err = coro.Call(context.Background(), coro.On(l), "example", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f(ctx)
	})
	if err != nil {
		fmt.Println("error:", err)
	}
	l.Close()
	<-ended
}

func ExampleGroup() {
	run(func(ctx context.Context) error {
		return coro.Group(ctx, func(g *coro.Tasks) error {
			g.Go(func(ctx context.Context) error {
				err := coro.Sleep(ctx, time.Hour)
				fmt.Println("the sleeper was woken:", err)
				return err
			})
			text, err := coro.Await(ctx, func() (string, error) { return strings.ToUpper("off the loop"), nil })
			fmt.Println(text)
			if err != nil {
				return err
			}
			return errors.New("enough")
		})
	})
	// Output:
	// OFF THE LOOP
	// the sleeper was woken: enough
	// error: enough
}

func ExampleGo() {
	run(func(ctx context.Context) error {
		return coro.Group(ctx, func(g *coro.Tasks) error {
			answer := coro.Go(g, func(ctx context.Context) (int, error) { return 6 * 7, coro.Yield(ctx) })
			n, err := answer.Get(ctx)
			fmt.Println(n)
			return err
		})
	})
	// Output: 42
}

func ExampleRace() {
	run(func(ctx context.Context) error {
		after := func(d time.Duration, name string) func(ctx context.Context) (string, error) {
			return func(ctx context.Context) (string, error) { return name, coro.Sleep(ctx, d) }
		}
		name, err := coro.Race(ctx, nil, after(time.Hour, "tortoise"), after(time.Millisecond, "hare"))
		fmt.Println(name)
		return err
	})
	// Output: hare
}

func ExampleTimeout() {
	run(func(ctx context.Context) error {
		err := coro.Timeout(ctx, time.Millisecond, func(ctx context.Context) error {
			return coro.Sleep(ctx, time.Hour)
		})
		fmt.Println(errors.Is(err, context.DeadlineExceeded))
		return nil
	})
	// Output: true
}

func ExampleShield() {
	run(func(ctx context.Context) error {
		return coro.Timeout(ctx, time.Millisecond, func(ctx context.Context) error {
			err := coro.Sleep(ctx, time.Hour)
			// It is too late for everything but this:
			return errors.Join(err, coro.Shield(ctx, time.Second, func(ctx context.Context) error {
				fmt.Println("saying goodbye:", coro.Sleep(ctx, time.Millisecond))
				return nil
			}))
		})
	})
	// Output:
	// saying goodbye: <nil>
	// error: context deadline exceeded
}

func ExampleQueue() {
	run(func(ctx context.Context) error {
		return coro.Group(ctx, func(g *coro.Tasks) error {
			jobs := coro.NewQueue[int](2)
			g.Go(func(ctx context.Context) error {
				defer jobs.Close()
				for i := range 3 {
					if err := jobs.Put(ctx, i); err != nil { // waits while there are two
						return err
					}
				}
				return nil
			})
			for i := range jobs.All(ctx) {
				fmt.Println(i)
			}
			return ctx.Err()
		})
	})
	// Output:
	// 0
	// 1
	// 2
}

func ExampleGenerate() {
	run(func(ctx context.Context) error {
		ticks := coro.Generate(ctx, func(ctx context.Context, yield func(string) error) error {
			for _, s := range []string{"tick", "tock", "tick", "tock"} {
				if err := coro.Sleep(ctx, time.Millisecond); err != nil {
					return err
				}
				if err := yield(s); err != nil {
					return err
				}
			}
			return nil
		})
		n := 0
		for s, err := range ticks {
			if err != nil {
				return err
			}
			if fmt.Println(s); n == 1 {
				break
			}
			n++
		}
		return nil
	})
	// Output:
	// tick
	// tock
}

func ExampleTalk() {
	run(func(ctx context.Context) error {
		average := coro.Talk(ctx, func(ctx context.Context, n float64, ask func(float64) (float64, error)) (err error) {
			sum := 0.0
			for count := 1.0; ; count++ {
				sum += n
				if n, err = ask(sum / count); err != nil {
					return err
				}
			}
		})
		defer average.Close()
		for _, n := range []float64{10, 20, 60} {
			a, err := average.Next(ctx, n)
			if err != nil {
				return err
			}
			fmt.Println(a)
		}
		return nil
	})
	// Output:
	// 10
	// 15
	// 30
}

// A handler's call wakes a coroutine, which runs inside that call.
func ExampleWaiter() {
	l, err := loop.New(loop.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var line string
	var reader coro.Waiter
	texts := []string{"hello", "bye"}
	var data func() // as a connection's would be
	data = func() {
		if len(texts) == 0 {
			l.Close()
			return
		}
		line, texts = texts[0], texts[1:]
		reader.Wake()
		l.AfterFunc(time.Millisecond, data)
	}
	coro.On(l).Go(context.Background(), "reader", func(ctx context.Context) error {
		l.AfterFunc(time.Millisecond, data) // no handler runs before the reader waits
		for line != "bye" {
			if err := reader.Wait(ctx, "read", nil); err != nil {
				return err
			}
			fmt.Println("read", line)
		}
		return nil
	})
	if err := l.Run(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// read hello
	// read bye
}
