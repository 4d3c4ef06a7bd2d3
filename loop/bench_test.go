//go:build linux || darwin || freebsd

package loop_test

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// BenchmarkSpread measures how connections come to the loops: how many are set up in a second (connect, a message there
// and back, close), and how evenly 64 long-lived ones lie: the most that a loop has, as a ratio to an even share.
func BenchmarkSpread(b *testing.B) {
	for name, spread := range map[string]loop.Spread{"handover": loop.SpreadHandover, "reuseport": loop.SpreadReusePort} {
		for _, loops := range []int{2, 4} {
			b.Run(fmt.Sprintf("%s/loops=%d", name, loops), func(b *testing.B) {
				g := group(b, loop.GroupOptions{Loops: loops, Spread: spread})
				who := newCensus()
				ln, err := g.Listen(address(b, "tcp"), sock.Options{}, who.accept)
				if err != nil {
					b.Fatal(err)
				}
				worst, sum := 0.0, 0.0
				const rounds, conns = 20, 64
				for range rounds {
					before := who.spread(g)
					var peers []*peer
					for range conns {
						p := dial(b, ln.Addr())
						p.ping()
						peers = append(peers, p)
					}
					most := 0
					for i, n := range who.spread(g) {
						most = max(most, n-before[i])
					}
					ratio := float64(most) * float64(loops) / conns
					worst, sum = max(worst, ratio), sum+ratio
					for _, p := range peers {
						p.reset()
					}
					eventually(b, "they are gone", func() bool { return g.Stats().Conns == 0 })
				}
				one := make([]byte, 1)
				b.ResetTimer()
				for range b.N {
					c, err := tryDial(ln.Addr())
					if err != nil {
						b.Fatal(err)
					}
					p := &peer{c, b}
					if _, err := p.Write(one); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(p, one); err != nil {
						b.Fatal(err)
					}
					p.reset()
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "conns/s")
				b.ReportMetric(sum/rounds, "most/share")
				b.ReportMetric(worst, "worst/share")
			})
		}
	}
}

// BenchmarkEcho is a message of 64 bytes there and back, over 1 and over 64 connections. The peers are goroutines of
// the same process, and so most of what it costs.
func BenchmarkEcho(b *testing.B) {
	for _, driver := range driverNames(b) {
		for _, conns := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/conns=%d", driver, conns), func(b *testing.B) {
				r := run(b, loop.Options{Driver: driver})
				a := r.serve("tcp", func() loop.Handler { return loop.HandlerFunc(func(c *loop.Conn, p []byte) { c.Write(p) }) })
				var peers []*peer
				for range conns {
					p := dial(b, a)
					p.SetDeadline(time.Time{})
					peers = append(peers, p)
				}
				var left atomic.Int64
				left.Store(int64(b.N))
				b.SetBytes(64)
				b.ResetTimer()
				var all sync.WaitGroup
				for _, p := range peers {
					all.Go(func() {
						msg := make([]byte, 64)
						for left.Add(-1) >= 0 {
							if _, err := p.Write(msg); err != nil {
								b.Error(err)
								return
							}
							if _, err := io.ReadFull(p, msg); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				b.StopTimer()
				for _, p := range peers {
					p.Close()
				}
			})
		}
	}
}

// BenchmarkPost is a function posted from another goroutine: as fast as they come, and one at a time.
func BenchmarkPost(b *testing.B) {
	for _, driver := range driverNames(b) {
		b.Run(driver+"/stream", func(b *testing.B) {
			r := run(b, loop.Options{Driver: driver})
			b.ReportAllocs()
			f := func() {}
			for range b.N {
				for r.Post(f) == loop.ErrPostQueueFull {
					r.do(f)
				}
			}
			r.do(f)
		})
		b.Run(driver+"/do", func(b *testing.B) {
			r := run(b, loop.Options{Driver: driver})
			f := func() {}
			for range b.N {
				r.do(f)
			}
		})
	}
}

// BenchmarkWake is how long a posted function takes to run on a loop that waits, posted by another goroutine and by
// another loop: the median and the 99th percentile.
func BenchmarkWake(b *testing.B) {
	for _, driver := range driverNames(b) {
		measure := func(name string, from func(f func())) {
			b.Run(driver+"/from a "+name, func(b *testing.B) {
				r := run(b, loop.Options{Driver: driver})
				start := time.Now()
				took := make([]time.Duration, 0, b.N)
				ran := make(chan struct{})
				var posted time.Duration
				f := func() {
					took = append(took, time.Since(start)-posted)
					ran <- struct{}{}
				}
				for range b.N {
					for t := time.Now(); time.Since(t) < 20*time.Microsecond; { // it waits again by then
					}
					from(func() {
						posted = time.Since(start)
						if err := r.Post(f); err != nil {
							b.Error(err)
						}
					})
					<-ran
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2])/1e3, "p50-us")
				b.ReportMetric(float64(took[len(took)*99/100])/1e3, "p99-us")
			})
		}
		measure("goroutine", func(f func()) { f() })
		other := run(b, loop.Options{Driver: driver})
		measure("loop", func(f func()) {
			if err := other.Post(f); err != nil {
				b.Error(err)
			}
		})
	}
}

// BenchmarkTimer starts and stops a timer among 100,000 that are set, and moves an idle timeout.
func BenchmarkTimer(b *testing.B) {
	const set = 100_000
	prepare := func(b *testing.B) *rig {
		r := run(b, loop.Options{Clock: manual()})
		r.do(func() {
			for i := range set {
				r.AfterFunc(time.Hour+time.Duration(i*7919%set)*time.Millisecond, func() {})
			}
		})
		return r
	}
	b.Run("start and stop", func(b *testing.B) {
		r := prepare(b)
		r.do(func() {
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				r.AfterFunc(time.Hour+time.Duration(i*7907%set)*time.Millisecond, func() {}).Stop()
			}
			b.StopTimer()
		})
	})
	b.Run("reset", func(b *testing.B) {
		r := prepare(b)
		r.do(func() {
			t := r.AfterFunc(time.Hour, func() {})
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				t.Reset(time.Hour + time.Duration(i*7907%set)*time.Millisecond)
			}
			b.StopTimer()
		})
	})
	b.Run("idle timeout", func(b *testing.B) {
		r := prepare(b)
		k := r.connect("tcp", sock.Options{}, &watcher{})
		k.do(func() {
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				k.c.SetReadDeadline(r.Now().Add(time.Minute + time.Duration(i)))
			}
			b.StopTimer()
			k.c.Abort()
		})
	})
}
