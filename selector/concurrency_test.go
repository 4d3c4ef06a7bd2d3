//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The contract's lines on what happens to a Select from outside.

// selecting starts a Select without end, and returns when it is waiting in the kernel, or about to be.
func selecting(s *Selector, timeout time.Duration) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		ready, err := s.Select(timeout, nil)
		done <- outcome{ready, err}
	}()
	for !s.waiting.Load() {
		runtime.Gosched()
	}
	return done
}

type outcome struct {
	ready []Ready
	err   error
}

// wait gives the outcome, and fails the test when there is none.
func wait(t *testing.T, done <-chan outcome) outcome {
	t.Helper()
	select {
	case o := <-done:
		return o
	case <-time.After(time.Minute):
		t.Fatal("Select is still waiting after a minute")
		panic("unreachable")
	}
}

func stillWaiting(t *testing.T, done <-chan outcome) {
	t.Helper()
	select {
	case o := <-done:
		t.Fatalf("Select ended: %v, %v; it should wait", o.ready, o.err)
	case <-time.After(20 * time.Millisecond):
	}
}

func TestWake(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := newPipe(t)
		ok(t, s.Register(r, Read, nil))
		for range 3 { // again and again
			done := selecting(s, -1)
			stillWaiting(t, done)
			ok(t, s.Wake())
			if o := wait(t, done); o.err != nil || len(o.ready) != 0 {
				t.Errorf("woken Select: %v, %v; want neither result nor error", o.ready, o.err)
			}
		}
		// Before a Select: the next one ends. Many are one.
		for range 100 {
			ok(t, s.Wake())
		}
		wantFound(t, s, -1, map[int]Events{})
		stillWaiting(t, func() <-chan outcome {
			done := selecting(s, -1)
			t.Cleanup(func() { s.Wake(); <-done })
			return done
		}())
		ok(t, s.Wake())
		for s.waiting.Load() {
			runtime.Gosched()
		}
		// With something ready there are results, and the wake-up is used up.
		write(t, w, "x")
		for {
			ok(t, s.Wake())
			ready, err := s.Select(-1, nil)
			if errors.Is(err, ErrBusy) { // the Select above is on its way out
				continue
			}
			if err != nil || len(ready) != 1 {
				t.Errorf("woken Select with one ready: %v, %v", ready, err)
			}
			break
		}
		empty(t, r)
		start := time.Now()
		wantFound(t, s, 20*time.Millisecond, map[int]Events{})
		if took := time.Since(start); took < 20*time.Millisecond {
			t.Errorf("a used wake-up ended another Select, after %v", took)
		}
	})
}

// What was written before a Wake is seen after the Select, whoever came first.
func TestWakeIsNeverLost(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		var posted atomic.Int64
		const n = 20000
		go func() {
			for range n {
				posted.Add(1)
				s.Wake()
			}
		}()
		for deadline := time.Now().Add(20 * time.Second); posted.Load() < n; {
			if _, err := s.Select(10*time.Second, nil); err != nil || time.Now().After(deadline) {
				t.Fatalf("%d of %d posted, %v", posted.Load(), n, err)
			}
		}
		// In lock-step: each side waits for the other.
		turn := make(chan int)
		go func() {
			defer close(turn)
			for i := range 2000 {
				posted.Store(int64(-i))
				s.Wake()
				turn <- i
			}
		}()
		for i := range 2000 {
			for posted.Load() != int64(-i) {
				if _, err := s.Select(10*time.Second, nil); err != nil {
					t.Fatal(err)
				}
			}
			<-turn
		}
		<-turn
	})
}

func TestChangesDuringSelect(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := newPipe(t)
		write(t, w, "x")
		t.Run("Register", func(t *testing.T) {
			done := selecting(s, -1)
			stillWaiting(t, done)
			ok(t, s.Register(w, Write, 1))
			if o := wait(t, done); o.err != nil || len(o.ready) != 1 || o.ready[0] != (Ready{Key{w, Write, 1}, Write}) {
				t.Errorf("got %v, %v; want %d", o.ready, o.err, w)
			}
			ok(t, s.Unregister(w))
		})
		t.Run("Modify", func(t *testing.T) {
			a, b := newPair(t)
			write(t, a.fd, "x")
			fill(t, b.fd)
			ok(t, s.Register(b.fd, Write, 1))
			done := selecting(s, -1)
			stillWaiting(t, done)
			ok(t, s.Modify(b.fd, Read, 2))
			if o := wait(t, done); o.err != nil || len(o.ready) != 1 || o.ready[0] != (Ready{Key{b.fd, Read, 2}, Read}) {
				t.Errorf("got %v, %v; want %d", o.ready, o.err, b.fd)
			}
			ok(t, s.Modify(b.fd, Write, 3))
			done = selecting(s, -1)
			ok(t, s.Modify(b.fd, Write, 4)) // the data alone
			empty(t, a.fd)
			if o := wait(t, done); o.err != nil || len(o.ready) != 1 || o.ready[0] != (Ready{Key{b.fd, Write, 4}, Write}) {
				t.Errorf("got %v, %v; want %d with data 4", o.ready, o.err, b.fd)
			}
			ok(t, s.Unregister(b.fd))
		})
		t.Run("Unregister", func(t *testing.T) {
			a, b := newPair(t)
			ok(t, s.Register(a.fd, Read, 1))
			done := selecting(s, -1)
			stillWaiting(t, done)
			ok(t, s.Unregister(a.fd))
			write(t, b.fd, "x")
			stillWaiting(t, done)
			ok(t, s.Register(r, Read, 2))
			if o := wait(t, done); o.err != nil || len(o.ready) != 1 || o.ready[0].FD != r {
				t.Errorf("got %v, %v; want %d", o.ready, o.err, r)
			}
			ok(t, s.Unregister(r))
		})
		t.Run("Unregister, close, and another of the same number", func(t *testing.T) {
			a, _ := newPair(t)
			ok(t, s.Register(a.fd, Read, "old"))
			done := selecting(s, -1)
			ok(t, s.Unregister(a.fd))
			ok(t, unix.Dup2(r, a.fd)) // readable
			ok(t, s.Register(a.fd, Read, "new"))
			if o := wait(t, done); o.err != nil || len(o.ready) != 1 || o.ready[0] != (Ready{Key{a.fd, Read, "new"}, Read}) {
				t.Errorf("got %v, %v; want %d with new data", o.ready, o.err, a.fd)
			}
			ok(t, s.Unregister(a.fd))
		})
		t.Run("Close", func(t *testing.T) {
			done := selecting(s, -1)
			stillWaiting(t, done)
			ok(t, s.Close())
			select {
			case o := <-done:
				if !errors.Is(o.err, ErrClosed) || len(o.ready) != 0 {
					t.Errorf("got %v, %v; want ErrClosed", o.ready, o.err)
				}
			case <-time.After(time.Minute):
				t.Error("Select is still waiting after Close")
			}
		})
	})
}

func TestSecondSelectIsRefused(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		done := selecting(s, -1)
		if ready, err := s.Select(-1, nil); !errors.Is(err, ErrBusy) || len(ready) != 0 {
			t.Errorf("a second Select: %v, %v; want ErrBusy", ready, err)
		}
		ok(t, s.Wake())
		wait(t, done)
		wantFound(t, s, 0, map[int]Events{})
	})
}

// A signal ends the system call, and the wait goes on with what is left.
func TestSignal(t *testing.T) {
	sig := make(chan os.Signal, 1000)
	signal.Notify(sig, unix.SIGUSR1)
	defer signal.Stop(sig)
	each(t, func(t *testing.T, s *Selector) {
		r, w := newPipe(t)
		ok(t, s.Register(r, Read, nil))
		for _, timeout := range []time.Duration{100 * time.Millisecond, -1} {
			thread := make(chan func() error, 1)
			took := make(chan time.Duration, 1)
			done, hold := make(chan outcome, 1), make(chan struct{})
			go func() {
				runtime.LockOSThread()
				thread <- interrupter()
				start := time.Now()
				ready, err := s.Select(timeout, nil)
				took <- time.Since(start)
				done <- outcome{ready, err}
				<-hold // the thread has to live for the last signal
			}()
			interrupt := <-thread
			for !s.waiting.Load() && len(done) == 0 {
				runtime.Gosched()
			}
			for range 40 {
				ok(t, interrupt())
				time.Sleep(time.Millisecond) // apart: each its own interruption
				if timeout < 0 && len(done) > 0 {
					t.Fatalf("Select(%v) ended by a signal", timeout)
				}
			}
			close(hold)
			if timeout < 0 {
				write(t, w, "x")
			}
			o := wait(t, done)
			if d := <-took; o.err != nil || d < timeout || (len(o.ready) != 0) != (timeout < 0) {
				t.Errorf("Select(%v) under signals: %v, %v after %v", timeout, o.ready, o.err, d)
			}
		}
	})
}

// Everything from everywhere at once; the race detector watches.
func TestStress(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	each(t, func(t *testing.T, s *Selector) {
		t.Logf("seed %d", seed)
		const workers, rounds = 4, 1500
		var stop atomic.Bool
		var group sync.WaitGroup
		group.Go(func() {
			into := make([]Ready, 0, 5)
			for !stop.Load() {
				var err error
				if into, err = s.Select(time.Duration(len(into))*time.Millisecond-1, into); err != nil {
					t.Errorf("seed %d: Select: %v", seed, err)
					return
				}
				for _, r := range into {
					if want := fmt.Sprint(r.FD); r.Data.(string) != want || r.Ready&^r.Events != 0 {
						t.Errorf("seed %d: %v has data of %v", seed, r, r.Data)
					}
				}
			}
		})
		var churn sync.WaitGroup
		for worker := range workers {
			churn.Go(func() {
				rnd := rand.New(rand.NewPCG(seed, uint64(worker)))
				var mine [2]int
				fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
				if err != nil {
					t.Error(err)
					return
				}
				mine = fds
				held := [2]bool{}
				check := func(what string, err error) {
					if err != nil {
						t.Errorf("seed %d: %s: %v", seed, what, err)
					}
				}
				for range rounds {
					i := rnd.IntN(2)
					fd, events := mine[i], Events(1+rnd.IntN(3))
					switch rnd.IntN(8) {
					case 0, 1:
						if held[i] {
							check("Unregister", s.Unregister(fd))
						} else {
							check("Register", s.Register(fd, events, fmt.Sprint(fd)))
						}
						held[i] = !held[i]
					case 2, 3:
						if held[i] {
							check("Modify", s.Modify(fd, events, fmt.Sprint(fd)))
						}
					case 4:
						check("Wake", s.Wake())
					case 5:
						if k, has := s.Key(fd); has != held[i] || has && k.FD != fd {
							t.Errorf("seed %d: Key(%d) = %v, %v; want %v", seed, fd, k, has, held[i])
						}
						_ = s.Len()
						for range s.Keys() {
							break
						}
					case 6:
						unix.Write(mine[1-i], []byte("x"))
					case 7: // closed, and opened anew
						for i := range mine {
							if held[i] {
								check("Unregister", s.Unregister(mine[i]))
							}
							unix.Close(mine[i])
						}
						held = [2]bool{}
						fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
						if err != nil {
							t.Error(err)
							return
						}
						mine = fds
					}
				}
				for i := range mine {
					if held[i] {
						check("Unregister", s.Unregister(mine[i]))
					}
					unix.Close(mine[i])
				}
			})
		}
		churn.Wait()
		stop.Store(true)
		s.Wake()
		group.Wait()
		if s.Len() != 0 {
			t.Errorf("seed %d: %d keys are left", seed, s.Len())
		}
		// Close against everything.
		r, _ := newPipe(t)
		for range 3 {
			group.Go(func() {
				for {
					err := errors.Join(s.Wake(), s.Register(r, Read, nil), s.Unregister(r))
					_, serr := s.Select(-1, nil)
					if errors.Is(err, ErrClosed) && errors.Is(serr, ErrClosed) {
						return
					}
				}
			})
		}
		for range 100 {
			runtime.Gosched()
		}
		ok(t, s.Close())
		group.Wait()
	})
}
