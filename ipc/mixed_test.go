package ipc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/leak"
)

// everywhere runs f by goroutines, and by coroutines of two loops, at once, n each, and returns the first error of each
// place.
func everywhere(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	errs := make([]error, 3)
	var all sync.WaitGroup
	for place := range errs {
		all.Go(func() {
			if place == 0 {
				one := make([]error, n)
				var mine sync.WaitGroup
				for i := range n {
					mine.Go(func() { one[i] = f(ctx, i) })
				}
				mine.Wait()
				errs[place] = errors.Join(one...)
				return
			}
			errs[place] = plexor.Run(ctx, func(ctx context.Context) error {
				return coro.Group(ctx, func(g *coro.Tasks) error {
					for i := range n {
						g.Go(func(ctx context.Context) error { return f(ctx, place*n+i) })
					}
					return nil
				})
			})
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// TestPipeMixed: goroutines and coroutines of two loops use the two ends at once, many of their receives are cancelled,
// and some messages have files. Each message comes once, whole, with its own file.
func TestPipeMixed(t *testing.T) {
	leak.Check(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	ctx := limited(t)
	a, b := twoEnds(t, Options{})
	const each, count = 2, 150 // for each of three places
	var mu sync.Mutex
	seen := make(map[uint32]int)
	received := 0
	var cancelled atomic.Int64
	senders := make(chan error, 1)
	go func() {
		senders <- everywhere(ctx, each, func(ctx context.Context, i int) error {
			rnd := rand.New(rand.NewPCG(seed, uint64(i)))
			for n := range count {
				id := uint32(i*count + n)
				msg := binary.BigEndian.AppendUint32(nil, id)
				for range rnd.IntN(3 * smallMessage) {
					msg = append(msg, byte(id))
				}
				if id%5 != 0 {
					if err := a.Send(ctx, msg); err != nil {
						return err
					}
					continue
				}
				r, w, err := os.Pipe()
				if err != nil {
					return err
				}
				fmt.Fprint(w, id)
				w.Close()
				err = a.Send(ctx, msg, r)
				r.Close()
				if err != nil {
					return err
				}
			}
			return nil
		})
	}()
	err := everywhere(ctx, each, func(ctx context.Context, i int) error {
		rnd := rand.New(rand.NewPCG(seed, uint64(1000+i)))
		for {
			mu.Lock()
			done := received == 3*each*count
			mu.Unlock()
			if done {
				return nil
			}
			short, cancel := context.WithTimeout(ctx, time.Duration(rnd.IntN(200))*time.Microsecond)
			msg, files, err := b.RecvFiles(short)
			cancel()
			if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
				cancelled.Add(1)
				continue
			}
			if err != nil {
				return err
			}
			id := binary.BigEndian.Uint32(msg)
			for _, c := range msg[4:] {
				if c != byte(id) {
					return fmt.Errorf("message %d has a byte of another", id)
				}
			}
			if (id%5 == 0) != (len(files) == 1) {
				return fmt.Errorf("message %d came with %d files", id, len(files))
			}
			for _, f := range files {
				text, err := io.ReadAll(f)
				f.Close()
				if err != nil || string(text) != fmt.Sprint(id) {
					return fmt.Errorf("message %d came with the file of %q, %v", id, text, err)
				}
			}
			mu.Lock()
			seen[id]++
			received++
			mu.Unlock()
		}
	})
	if err != nil {
		t.Error(err)
		a.Close() // ends the senders
	}
	if err := receive(t, senders, "the senders"); err != nil {
		t.Error(err)
	}
	for id := range uint32(3 * each * count) {
		if seen[id] != 1 {
			t.Errorf("message %d came %d times", id, seen[id])
		}
	}
	t.Logf("%d receives were cancelled", cancelled.Load())
}

// TestPipeCloseCoroutines: those who wait are told, coroutines too, in a receive, behind it, and in a send; and the
// peer knows.
func TestPipeCloseCoroutines(t *testing.T) {
	for _, closer := range []string{"a goroutine", "a coroutine of the loop"} {
		t.Run(closer, func(t *testing.T) {
			leak.Check(t)
			a, b := twoEnds(t, Options{})
			err := plexor.Run(limited(t), func(ctx context.Context) error {
				return coro.Group(ctx, func(g *coro.Tasks) error {
					for i := range 4 {
						g.Go(func(ctx context.Context) error {
							var err error
							if i < 2 {
								_, err = a.Recv(ctx)
							}
							for i >= 2 && err == nil {
								err = a.Send(ctx, make([]byte, 1<<20))
							}
							if !errors.Is(err, net.ErrClosed) {
								t.Errorf("wait %d ended with %v, want net.ErrClosed", i, err)
							}
							return nil
						})
					}
					if _, err := b.Recv(ctx); err != nil {
						return err
					}
					for range 10 {
						coro.Yield(ctx)
					}
					if closer == "a goroutine" {
						_, err := coro.Await(ctx, func() (any, error) { return nil, a.Close() })
						return err
					}
					return a.Close()
				})
			})
			if err != nil {
				t.Error(err)
			}
			for err == nil { // what was sent before; the last one was cut off
				_, err = b.Recv(limited(t))
			}
			if err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("the peer got %v, want the end", err)
			}
		})
	}
}

// TestPipePeerHearsOfClose: the loop's own descriptor does not keep the connection open.
func TestPipePeerHearsOfClose(t *testing.T) {
	leak.Check(t)
	err := plexor.Run(limited(t), func(ctx context.Context) error {
		a, b := twoEnds(t, Options{})
		defer b.Close()
		if err := coro.Timeout(ctx, time.Millisecond, func(ctx context.Context) error {
			_, err := a.Recv(ctx)
			return err
		}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Recv: %v, want context.DeadlineExceeded", err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if _, err := b.Recv(ctx); err != io.EOF {
			t.Errorf("the peer got %v, want io.EOF", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestPipeOutlivesLoop: a loop that ends takes with it what it had of a pipe, and the pipe goes on elsewhere.
func TestPipeOutlivesLoop(t *testing.T) {
	leak.Check(t)
	ctx := limited(t)
	a, b := twoEnds(t, Options{})
	for range 3 {
		before := leak.Files()
		err := plexor.Run(ctx, func(ctx context.Context) error {
			go b.Send(context.Background(), []byte("x"))
			_, err := a.Recv(ctx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if after := leak.Files(); after > before {
			t.Errorf("%d descriptors before the loop, %d after", before, after)
		}
		if n := len(a.s.lookouts); n != 0 {
			t.Errorf("%d lookouts are left", n)
		}
		if err := b.Send(ctx, []byte("y")); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Recv(ctx); err != nil || string(got) != "y" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

// TestClientMixed: goroutines and coroutines of two loops share a client; some give up, and none misses its reply.
func TestClientMixed(t *testing.T) {
	leak.Check(t)
	ctx := limited(t)
	c := client(t, ctx, manage(t, ManagerOptions{}))
	const each, count = 3, 100
	err := everywhere(ctx, each, func(ctx context.Context, i int) error {
		rnd := rand.New(rand.NewPCG(1, uint64(i)))
		mine, all, lock := OpenCounter(c, fmt.Sprint("counter ", i)), OpenCounter(c, "all"), OpenLock(c, "lock")
		for n := range count {
			if got, err := mine.Add(ctx, 1); err != nil || got != int64(n+1) {
				return fmt.Errorf("the counter is %d, %v, want %d", got, err, n+1)
			}
			short, cancel := context.WithTimeout(ctx, time.Duration(rnd.IntN(500))*time.Microsecond)
			token, err := lock.Lock(short)
			cancel()
			switch {
			case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
				continue
			case err != nil:
				return err
			}
			if _, err := all.Add(ctx, 1); err != nil {
				return err
			}
			if err := lock.Unlock(ctx, token); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestPipeFlood: a coroutine that always finds something to receive lets its loop go on all the same.
func TestPipeFlood(t *testing.T) {
	leak.Check(t)
	a, b := twoEnds(t, Options{})
	var over atomic.Bool
	sender := make(chan error, 1)
	go func() {
		for !over.Load() {
			if err := a.Send(context.Background(), make([]byte, recvBuffer)); err != nil {
				sender <- err
				return
			}
		}
		sender <- a.Close()
	}()
	err := plexor.Run(limited(t), func(ctx context.Context) error {
		return coro.Group(ctx, func(g *coro.Tasks) error {
			g.Go(func(ctx context.Context) error {
				for {
					if _, err := b.Recv(ctx); err == io.EOF {
						return nil
					} else if err != nil {
						return err
					}
				}
			})
			for range 5 {
				if err := coro.Sleep(ctx, time.Millisecond); err != nil {
					return err
				}
			}
			over.Store(true)
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
	if err := receive(t, sender, "the sender"); err != nil {
		t.Error(err)
	}
}
