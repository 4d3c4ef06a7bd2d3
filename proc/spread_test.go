//go:build linux || darwin || freebsd || netbsd || openbsd

package proc_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// BenchmarkSpread measures how connections come to four workers: by one shared socket on each driver, and, for
// comparison, by a socket each with SO_REUSEPORT. fullest is what the worker with the most of 64 connections that stay
// has, as a multiple of its share; visits/s is how many connections a second are made, answered once, and closed by
// eight clients.
func BenchmarkSpread(b *testing.B) {
	const workers, stay = 4, 64
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		for _, way := range []string{"shared", "reuseport"} {
			b.Run(fmt.Sprintf("%s/%s", d.Name, way), func(b *testing.B) {
				for b.Loop() {
					t := b
					s := fresh()
					s.Driver, s.Workers = d.Name, workers
					var ms []*running
					if way == "reuseport" {
						s.Workers, s.Addrs[0] = 1, "tcp://127.0.0.1:0?reuseport=yes"
						for range workers {
							m := s.ready(t)
							s.Addrs[0] = m.addrs[0] + "?reuseport=yes"
							ms = append(ms, m)
						}
					} else {
						ms = append(ms, s.ready(t))
					}
					m := ms[0]
					had := make(map[int]int)
					for range stay {
						had[m.ask(m.dial(0)).pid]++
					}
					counts := make([]int, 0, workers)
					for _, n := range had {
						counts = append(counts, n)
					}
					b.ReportMetric(float64(slices.Max(counts))*workers/stay, "fullest")
					l := startLoad(t, m.addrs[0], 8, true)
					begun := time.Now()
					l.awaits(t, 3000)
					b.ReportMetric(3000/time.Since(begun).Seconds(), "visits/s")
					l.end()
					least, most, sum := 1<<30, 0, 0
					for _, n := range l.by {
						least, most, sum = min(least, n), max(most, n), sum+n
					}
					if len(l.by) < workers {
						least = 0
					}
					b.ReportMetric(float64(most)*workers/float64(sum), "busiest")
					b.ReportMetric(float64(least)*workers/float64(sum), "idlest")
					for _, m := range ms {
						m.signal(syscall.SIGINT)
						m.exit()
					}
				}
			})
		}
	}
}
