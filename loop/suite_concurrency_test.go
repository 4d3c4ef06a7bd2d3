//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// Posted functions run once each, those of one goroutine in its order.
func TestPostOrder(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		const posters, n = 4, 5000
		r := run(t, loop.Options{Driver: driver})
		var next [posters]int
		var all sync.WaitGroup
		for p := range posters {
			all.Go(func() {
				for i := range n {
					err := r.Post(func() {
						if next[p] != i {
							t.Errorf("poster %d: %d ran when it was %d's turn", p, i, next[p])
						}
						next[p]++
					})
					if err != nil {
						t.Errorf("Post: %v", err)
					}
				}
			})
		}
		all.Wait()
		r.do(func() {
			for p, got := range next {
				if got != n {
					t.Errorf("poster %d: %d functions ran: want %d", p, got, n)
				}
			}
		})
	})
}

// A wake-up is never lost, however often the loop is woken.
func TestNoWakeUpIsLost(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		const askers = 3
		n := portion.Fewer(4000, 1500)
		r := run(t, loop.Options{Driver: driver})
		var all sync.WaitGroup
		for range askers {
			all.Go(func() {
				for i := range n {
					done := make(chan struct{})
					if err := r.Post(func() { close(done) }); err != nil {
						t.Errorf("Post: %v", err)
						return
					}
					select {
					case <-done:
					case <-time.After(patience):
						t.Errorf("the %dth function has not run", i)
						return
					}
				}
			})
		}
		all.Wait()
	})
}

// The queue of posted functions has its bound, and Post does not wait.
func TestPostQueueBound(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, PostQueue: 10})
		hold, held := make(chan struct{}), make(chan struct{})
		r.Post(func() { close(held); <-hold })
		<-held
		ran := 0
		for i := range 10 {
			if err := r.Post(func() { ran++ }); err != nil {
				t.Errorf("Post %d of 10: %v", i, err)
			}
		}
		if err := r.Post(func() { ran += 100 }); err != loop.ErrPostQueueFull {
			t.Errorf("the 11th Post: %v; want ErrPostQueueFull", err)
		}
		close(hold)
		r.until("they ran", func() bool { return ran == 10 })
	})
}

// A countingClock counts how often it is read: at least once a turn.
type countingClock struct{ reads atomic.Int64 }

func (c *countingClock) Now() time.Time {
	c.reads.Add(1)
	return time.Now()
}

// However many functions are posted while the loop is busy or asleep, it wakes once for them all.
func TestPostsCoalesce(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		clock := &countingClock{}
		r := run(t, loop.Options{Driver: driver, Clock: clock})
		hold, held := make(chan struct{}), make(chan struct{})
		r.turns(2)
		r.Post(func() { close(held); <-hold })
		<-held
		const n = 10_000
		last := make(chan struct{})
		for i := range n {
			r.Post(func() {
				if i == n-1 {
					close(last)
				}
			})
		}
		before := clock.reads.Load()
		close(hold)
		recv(t, "the last one", last)
		if turns := clock.reads.Load() - before; turns > 5 {
			t.Errorf("%d posted functions took %d turns: want one, or a few", n, turns)
		}
		// And with nothing to do it does not turn.
		r.turns(3)
		before = clock.reads.Load()
		cpu(50 * time.Millisecond)
		if turns := clock.reads.Load() - before; turns > 3 {
			t.Errorf("%d turns with nothing to do", turns)
		}
	})
}

// Do tells the truth: nil means that it ran, an error that it did not, also while the loop ends.
func TestDoWhileClosing(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for range 20 {
			r := run(t, loop.Options{Driver: driver})
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for {
						ran := atomic.Bool{}
						err := r.Do(func() { ran.Store(true) })
						if (err == nil) != ran.Load() {
							t.Errorf("Do: %v, and it ran: %v", err, ran.Load())
						}
						if err != nil {
							if !errors.Is(err, net.ErrClosed) {
								t.Errorf("Do: %v; want net.ErrClosed", err)
							}
							return
						}
					}
				})
			}
			r.turns(3)
			r.Close()
			all.Wait()
		}
	})
}

// What Post took runs, also while the loop ends.
func TestPostWhileClosing(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for range 5 {
			r := run(t, loop.Options{Driver: driver})
			var taken, ran atomic.Int64
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for {
						err := r.Post(func() { ran.Add(1) })
						if err == loop.ErrPostQueueFull {
							continue
						}
						if err != nil {
							return
						}
						taken.Add(1)
					}
				})
			}
			r.turns(2)
			r.Close()
			all.Wait()
			if taken.Load() != ran.Load() {
				t.Errorf("%d posted, %d ran", taken.Load(), ran.Load())
			}
		}
	})
}

// Close from many goroutines at once, and from a handler: each returns, Run returns nil, and everything is told.
func TestCloseFromEverywhere(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for name, start := range map[string]func(r *rig){
			"before Run": func(*rig) {},
			"with Run":   func(r *rig) { go r.Run() },
			"during Run": func(r *rig) { r.start(); r.turns(1) },
		} {
			t.Run(name, func(t *testing.T) {
				for range 10 {
					r := unstarted(t, loop.Options{Driver: driver})
					ln := rawListener(t, "tcp")
					closed := make(chan error, 10)
					if _, err := r.Dial(ln.addr, sock.Options{}, 0, &watcher{t: t, closed: func(c *loop.Conn, err error) {
						r.Close()
						r.Close()
						closed <- err
					}}); err != nil {
						t.Fatal(err)
					}
					start(r)
					var all sync.WaitGroup
					for range 8 {
						all.Go(func() {
							if err := r.Close(); err != nil {
								t.Errorf("Close: %v", err)
							}
							if len(closed) != 1 {
								t.Errorf("Close returned before the connection was told")
							}
						})
					}
					all.Wait()
					if err := <-closed; err != loop.ErrLoopClosed {
						t.Errorf("Closed got %v: want ErrLoopClosed", err)
					}
				}
			})
		}
	})
}

// The end of a loop closes all that it has: connections, whatever they were doing, listeners, and datagram sockets.
func TestLoopEnds(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for name, end := range map[string]func(r *rig){
			"Close":                func(r *rig) { r.Close() },
			"Close from a handler": func(r *rig) { r.do(func() { r.Close() }); <-r.ended; r.ended <- nil },
			"Close from a timer": func(r *rig) {
				r.do(func() { r.AfterFunc(0, func() { r.Close() }) })
				r.Close()
			},
		} {
			t.Run(name, func(t *testing.T) {
				r := run(t, loop.Options{Driver: driver})
				unix := r.listen("unix", sock.Options{}, func(*loop.Conn) loop.Handler { return loop.Base{} })
				tcp := r.listen("tcp", sock.Options{}, func(*loop.Conn) loop.Handler { return loop.Base{} })
				packets := r.packets("127.0.0.1", sock.Options{})
				links := map[string]*link{}
				for what, prepare := range map[string]func(c *loop.Conn){
					"idle":    func(*loop.Conn) {},
					"corked":  func(c *loop.Conn) { c.Write([]byte("x")) },
					"full":    func(c *loop.Conn) { c.Write(pattern(large)) },
					"closing": func(c *loop.Conn) { c.Write(pattern(large)); c.Close() },
					"paused":  func(c *loop.Conn) { c.Pause() },
				} {
					k := r.connect("tcp", sock.Options{}, &watcher{})
					k.do(func() { prepare(k.c) })
					links[what] = k
				}
				end(r)
				for what, k := range links {
					if err := recv(t, "Closed", k.closed); err != loop.ErrLoopClosed {
						t.Errorf("%s: Closed got %v: want ErrLoopClosed", what, err)
					}
				}
				if err := recv(t, "the packet socket's Closed", packets.closed); err != loop.ErrLoopClosed {
					t.Errorf("the packet socket's Closed got %v: want ErrLoopClosed", err)
				}
				for _, a := range []sock.Addr{unix, tcp} {
					if c, err := tryDial(a); err == nil {
						c.Close()
						t.Errorf("%s still answers", a)
					}
				}
				if _, err := os.Lstat(unix.Path); !os.IsNotExist(err) {
					t.Errorf("the listener's file is left: %v", err)
				}
				if s := r.Stats(); s.Conns != 0 {
					t.Errorf("%d connections left", s.Conns)
				}
			})
		}
	})
}

// A handler's panic comes out of Run, with all that the loop had given back.
func TestPanicComesOutOfRun(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := unstarted(t, loop.Options{Driver: driver})
		ln := rawListener(t, "tcp")
		closed := make(chan error, 1)
		if _, err := r.Dial(ln.addr, sock.Options{}, 0, &watcher{t: t,
			opened: func(*loop.Conn) { panic("a handler's own") },
			closed: func(_ *loop.Conn, err error) { closed <- err },
		}); err != nil {
			t.Fatal(err)
		}
		got := make(chan string)
		go func() {
			defer func() { got <- fmt.Sprint(recover()) }()
			r.Run()
		}()
		if p := recv(t, "the panic", got); !strings.Contains(p, "a handler's own") {
			t.Errorf("Run's panic is %q", p)
		}
		if err := recv(t, "Closed", closed); err != loop.ErrLoopClosed {
			t.Errorf("Closed got %v: want ErrLoopClosed", err)
		}
		r.Close()
	})
}
