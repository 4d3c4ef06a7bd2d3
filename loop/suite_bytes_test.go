//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// inARow is how often a test that is about a race runs.
func inARow() int { return portion.Fewer(10, 3) }

// An 8 MiB echo to a slow reader that has closed its half arrives whole.
func TestEchoToSlowHalfClosedReader(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			want := pattern(large)
			r := run(t, loop.Options{Driver: driver})
			ended := make(chan error, 1)
			a := r.serve(network, func() loop.Handler {
				return &watcher{t: t,
					data:   func(c *loop.Conn, p []byte) { write(t, c, p) },
					closed: func(_ *loop.Conn, err error) { ended <- err },
				}
			})
			for range inARow() {
				p := dial(t, a)
				closed := make(chan struct{})
				go func() {
					defer close(closed)
					p.send(want)
					p.closeWrite()
				}()
				readSlowly(t, p, want)
				<-closed
				p.Close()
				if err := recv(t, "Closed", ended); err != nil {
					t.Fatalf("Closed got %v: want nil", err)
				}
			}
		})
	})
}

// 8 MiB written just before Close arrives whole, whether as one Write or as many.
func TestWriteThenClose(t *testing.T) {
	for name, piece := range map[string]int{"one write": large, "pieces": 10_000} {
		t.Run(name, func(t *testing.T) {
			eachBeside(t, func(t *testing.T, driver string) {
				streams(t, func(t *testing.T, network string) {
					want := pattern(large)
					r := run(t, loop.Options{Driver: driver, HighWater: large})
					ended := make(chan error, 1)
					a := r.serve(network, func() loop.Handler {
						return &watcher{t: t,
							opened: func(c *loop.Conn) {
								for at := 0; at < large; at += piece {
									write(t, c, want[at:min(at+piece, large)])
								}
								c.Close()
							},
							closed: func(_ *loop.Conn, err error) { ended <- err },
						}
					})
					for range inARow() {
						p := dial(t, a)
						readSlowly(t, p, want)
						p.Close()
						if err := recv(t, "Closed", ended); err != nil {
							t.Fatalf("Closed got %v: want nil", err)
						}
					}
				})
			})
		})
	}
}

// A reply that was written before Close arrives although the peer goes on sending: no reset overtakes it.
func TestCloseWhileThePeerSends(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			reply := pattern(1 << 20)
			r := run(t, loop.Options{Driver: driver, Linger: patience}) // for as long as the peer only sends
			a := r.serve(network, func() loop.Handler {
				return &watcher{t: t, data: func(c *loop.Conn, p []byte) {
					write(t, c, reply)
					c.Close()
				}}
			})
			for range inARow() {
				p := dial(t, a)
				p.send(pattern(4 << 20)) // all of it, before the first byte is read
				p.expectAll(reply)
				p.Close()
			}
		})
	})
}

// What the peer sent before it closed fully is delivered, although our writes to it fail.
func TestInputSurvivesBrokenOutput(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			want := pattern(100_000)
			var got []byte
			eofs := 0
			r := run(t, loop.Options{Driver: driver})
			k := r.connect(network, sock.Options{}, &watcher{
				opened: func(c *loop.Conn) { c.Pause() },
				data:   func(_ *loop.Conn, p []byte) { got = append(got, p...) },
				eof:    func(*loop.Conn) { eofs++ },
			})
			k.peer.send(want)
			k.peer.Close()
			// The first write makes the peer's system answer with a reset, and then writes fail.
			k.until("Write fails", func() bool { _, err := k.c.Write([]byte("x")); return err != nil })
			k.do(func() {
				if _, err := k.c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("Write to a peer that is gone: %v; want EPIPE or ECONNRESET", err)
				}
				k.c.Resume()
			})
			err := recv(t, "Closed", k.closed)
			if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("Closed got %v: want what broke the writes", err)
			}
			k.do(func() { same(t, got, want) })
			if eofs > 0 {
				t.Errorf("EOF was called %d times on a broken connection: Closed tells", eofs)
			}
		})
	})
}

// The two halves end on their own: the peer's first, then ours.
func TestHalfClosePeerFirst(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			want := pattern(300_000)
			var got []byte
			r := run(t, loop.Options{Driver: driver})
			eof := make(chan int, 10)
			k := r.connect(network, sock.Options{}, &watcher{
				data: func(_ *loop.Conn, p []byte) { got = append(got, p...) },
				eof:  func(*loop.Conn) { eof <- len(got) },
			})
			k.peer.send(want)
			k.peer.closeWrite()
			if n := recv(t, "EOF", eof); n != len(want) {
				t.Errorf("EOF came after %d bytes: want %d", n, len(want))
			}
			k.do(func() { same(t, got, want) })
			for i := range 3 { // we still talk, in several turns
				k.do(func() { write(t, k.c, want[i*1000:][:1000]) })
				k.peer.expect(want[i*1000:][:1000])
			}
			k.notYet("while our half is open")
			k.do(func() {
				write(t, k.c, want[:500])
				if err := k.c.CloseWrite(); err != nil {
					t.Errorf("CloseWrite: %v", err)
				}
				if _, err := k.c.Write([]byte("x")); err != loop.ErrWriteClosed {
					t.Errorf("Write after CloseWrite: %v; want ErrWriteClosed", err)
				}
				if err := k.c.CloseWrite(); err != nil {
					t.Errorf("a second CloseWrite: %v", err)
				}
			})
			k.peer.expectAll(want[:500])
			k.do(func() { k.c.Close() })
			k.end(nil)
			if len(eof) > 0 {
				t.Errorf("EOF was called %d times too often", len(eof))
			}
		})
	})
}

// The two halves end on their own: ours first, with output that must leave before, then the peer's.
func TestHalfCloseOursFirst(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			want := pattern(large)
			var got []byte
			r := run(t, loop.Options{Driver: driver})
			eof := make(chan struct{}, 10)
			k := r.connect(network, sock.Options{}, &watcher{
				data: func(_ *loop.Conn, p []byte) { got = append(got, p...) },
				eof:  func(c *loop.Conn) { eof <- struct{}{}; c.Close() },
			})
			k.do(func() {
				write(t, k.c, want)
				if err := k.c.CloseWrite(); err != nil {
					t.Errorf("CloseWrite: %v", err)
				}
			})
			readSlowly(t, k.peer, want)
			k.notYet("before the peer has closed its half")
			k.peer.send(want[:200_000])
			k.peer.closeWrite()
			recv(t, "EOF", eof)
			k.end(nil)
			same(t, got, want[:200_000])
		})
	})
}

// A partial write is never a whole one: small kernel buffers, and writes of random sizes from every place a handler can
// write from, on several connections at once, so that corked, queued and direct bytes meet in every order.
func TestRandomWritesKeepOrder(t *testing.T) {
	rounds := portion.Fewer(4, 2)
	eachBeside(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			for range rounds {
				seed := rand.Uint64()
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { randomWrites(t, driver, network, seed) })
			}
		})
	})
}

func randomWrites(t *testing.T, driver, network string, seed uint64) {
	const conns, total = 6, 600_000
	rng := rand.New(rand.NewPCG(seed, 1)) // the loop's
	high := 1 + rng.IntN(100_000)
	r := run(t, loop.Options{Driver: driver, HighWater: high})
	var all []*loop.Conn
	sent := map[*loop.Conn]int{}
	size := func() int {
		switch rng.IntN(10) {
		case 0:
			return 0
		case 1:
			return 16<<10 + rng.IntN(60_000) // leaves at once
		case 2, 3, 4:
			return rng.IntN(16 << 10)
		}
		return rng.IntN(300)
	}
	// push writes a few pieces to c, and to others in between.
	push := func(c *loop.Conn) {
		for range 1 + rng.IntN(12) {
			to := c
			if rng.IntN(3) == 0 {
				to = all[rng.IntN(len(all))]
			}
			at, known := sent[to]
			if !known || at == total {
				continue
			}
			p := pattern(total)[at:min(at+size(), total)]
			n, err := to.Write(p)
			switch {
			case err == nil && n == len(p):
				at += n
				sent[to] = at
			case err == loop.ErrFull && n == 0:
			default:
				t.Errorf("Write of %d bytes: %d, %v", len(p), n, err)
			}
			if at == total {
				if rng.IntN(2) == 0 {
					to.CloseWrite()
				}
				to.Close()
			}
		}
	}
	ended := make(chan error, conns)
	a := r.listen(network, sock.Options{SendBuffer: 4 << 10}, func(*loop.Conn) loop.Handler {
		return &watcher{t: t,
			opened: func(c *loop.Conn) {
				sent[c] = 0
				all = append(all, c)
				var tick func()
				tick = func() {
					if sent[c] == total {
						return
					}
					push(c)
					switch rng.IntN(4) {
					case 0:
						r.AfterFunc(time.Duration(rng.IntN(200_000)), tick)
					case 1:
						r.Post(tick)
					default:
						r.AfterFunc(0, func() { r.Soon(tick) })
					}
				}
				tick()
			},
			writable: push,
			closed: func(c *loop.Conn, err error) {
				if sent[c] != total {
					t.Errorf("closed after %d of %d bytes", sent[c], total)
				}
				ended <- err
			},
		}
	})
	for i := range conns {
		p := dial(t, a)
		go func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)+2))
			got := make([]byte, 0, total+1)
			for {
				n, err := p.Read(got[len(got):min(len(got)+1+rng.IntN(20_000), cap(got))])
				got = got[:len(got)+n]
				if err != nil || n == 0 {
					if err != io.EOF {
						t.Errorf("the peer read %d bytes, then %v", len(got), err)
					}
					break
				}
			}
			if string(got) != string(pattern(total)) {
				t.Errorf("connection %d: %d bytes arrived, and they are not the %d that were written", i, len(got), total)
			}
			p.Close()
		}()
	}
	for range conns {
		if err := recv(t, "Closed", ended); err != nil {
			t.Errorf("Closed got %v: want nil", err)
		}
	}
}
