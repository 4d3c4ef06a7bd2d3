//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
)

// settings are the choices of a comparison.
type settings struct {
	rounds  int
	long    time.Duration
	size    int
	samples int
	brokers []string
	only    []string // measures; empty: all
	dir     string
}

func main() {
	var s settings
	flag.IntVar(&s.rounds, "rounds", 5, "rounds")
	flag.DurationVar(&s.long, "d", time.Second, "how long each measures in a round")
	flag.IntVar(&s.size, "size", 100, "a job's bytes")
	flag.IntVar(&s.samples, "samples", 200, "jobs of a round whose latency is measured")
	names := flag.String("brokers", "nats+embedded,nats,redis,amqp", "brokers")
	flag.StringVar(&s.dir, "dir", "", "where the brokers' data are: a real disk (default: the folder for temporary files)")
	only := flag.String("only", "", "measure only these of one, many, batch, done, latency")
	flag.Parse()
	if *only != "" {
		s.only = strings.Split(*only, ",")
	}
	s.brokers = strings.Split(*names, ",")
	if flag.NArg() > 0 || s.rounds < 1 || s.long <= 0 || s.size < 1 || s.samples < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := s.compare(context.Background()); err != nil {
		fmt.Fprintf(os.Stderr, "mq: %v\n", err)
		os.Exit(1)
	}
}

func (s settings) compare(ctx context.Context) error {
	fmt.Printf("%d CPUs, %s, jobs of %d bytes, %d rounds of %v\n", runtime.NumCPU(), runtime.Version(), s.size, s.rounds,
		s.long)
	for _, name := range s.brokers {
		err := s.broker(ctx, name)
		if errors.Is(err, brokers.ErrAbsent) {
			fmt.Printf("%s: %v\n", name, err)
		} else if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// broker compares on one broker.
func (s settings) broker(ctx context.Context, name string) error {
	dir, err := os.MkdirTemp(s.dir, "mqbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	raw, our, end, err := start(ctx, name, dir)
	if err != nil {
		return err
	}
	defer end()
	for _, m := range measures {
		if len(s.only) > 0 && !slices.Contains(s.only, m.name) {
			continue
		}
		if err := s.measure(ctx, name, m, raw, our); err != nil {
			return err
		}
	}
	return nil
}

// measure has the two sides take turns, and prints what came of it.
func (s settings) measure(ctx context.Context, broker string, m measure, raw, our side) error {
	var got [2][][]float64 // of each side, of each round
	for i := range s.rounds {
		for k := range 2 {
			at := (i + k) % 2
			vs, err := m.run(ctx, s, [2]side{raw, our}[at], i)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", [2]string{"raw", "mq"}[at], m.name, err)
			}
			got[at] = append(got[at], vs)
		}
	}
	for k, what := range m.what {
		var raws, ours, ratios []float64
		for i := range s.rounds {
			raws, ours = append(raws, got[0][i][k]), append(ours, got[1][i][k])
			ratios = append(ratios, ours[i]/raws[i])
		}
		fmt.Printf("%-14s %-20s raw %8.0f %-6s  mq %8.0f %-6s  mq/raw %.2f (%.2f to %.2f)\n", broker, what, part(raws, 2),
			m.unit, part(ours, 2), m.unit, part(ratios, 2), part(ratios, 1), part(ratios, 3))
	}
	return nil
}

// part is a quartile: 1, 2 (the median) or 3.
func part(vs []float64, quarter int) float64 {
	vs = slices.Sorted(slices.Values(vs))
	return vs[(len(vs)-1)*quarter/4]
}
