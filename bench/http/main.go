//go:build linux

package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are the choices of a comparison.
type settings struct {
	rounds, conns, idle int
	tls                 bool
	depths              []int
	duration            time.Duration
	servers             []string
	driver              string
}

func main() {
	serve := flag.String("serve", "", "be this `server` (for the program itself)")
	load := flag.String("load", "", "be the load on this `address` (for the program itself)")
	var s settings
	flag.IntVar(&s.rounds, "rounds", 21, "rounds; 0: no requests are measured")
	flag.DurationVar(&s.duration, "d", time.Second, "how long to load each server in a round")
	flag.IntVar(&s.conns, "conns", 100, "connections")
	depths := flag.String("depth", "1,16", "requests under way on each connection")
	flag.IntVar(&s.idle, "idle", 10_000, "idle connections, and slow heads; 0: they are not measured")
	names := flag.String("servers", strings.Join(serverNames, ","), "servers; the others are compared with the first")
	flag.StringVar(&s.driver, "driver", "auto", "what Plexor's loops wait on")
	flag.BoolVar(&s.tls, "tls", false, "measure idle connections over TLS, and nothing else")
	flag.Parse()
	s.servers = strings.Split(*names, ",")
	for _, text := range strings.Split(*depths, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "http: -depth: %q is no number of requests\n", text)
			os.Exit(2)
		}
		s.depths = append(s.depths, n)
	}
	var err error
	switch {
	case *serve != "":
		err = beServer(*serve, s.driver, s.tls)
	case *load != "":
		err = beLoad(*load, s.conns, s.depths[0], s.duration)
	case flag.NArg() > 0 || s.rounds < 0 || s.duration <= 0 || s.conns < 1 || s.idle < 0:
		flag.Usage()
		os.Exit(2)
	default:
		err = compare(s)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "http: %v\n", err)
		os.Exit(1)
	}
}

func compare(s settings) error {
	if _, err := exec.LookPath("nginx"); err != nil {
		s.servers = slices.DeleteFunc(s.servers, func(name string) bool { return name == "nginx" })
	}
	if s.tls {
		return idleTLS(s)
	}
	fmt.Printf("%d cores, %s, %d rounds of %v, driver %s\n", runtime.NumCPU(), runtime.Version(), s.rounds, s.duration,
		s.driver)
	if s.rounds > 0 {
		fmt.Printf("%6s %6s  %-10s %12s %8s %16s %11s\n", "conns", "depth", "server", "CPU/request", "of "+s.servers[0],
			"(quartiles)", "requests/s")
		for _, depth := range s.depths {
			if err := requests(s, depth); err != nil {
				return fmt.Errorf("%d × %d: %w", s.conns, depth, err)
			}
		}
	}
	if s.idle > 0 {
		fmt.Printf("\n%-10s %16s %16s %22s %22s\n", "server", "KiB, idle", "KiB, slow head", "p50 p99 of a client",
			fmt.Sprintf("beside %d slow", s.idle))
		for _, name := range s.servers {
			if err := waiting(s, name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// A result is one server in one round.
type result struct{ cpu, rate float64 } // µs a request; requests a second

// requests loads all servers in turn and prints what a request costs.
func requests(s settings, depth int) error {
	var servers, loads []*process
	defer func() {
		for _, p := range append(loads, servers...) {
			p.stop()
		}
	}()
	for _, name := range s.servers {
		p, err := startServer(name, s.driver, false)
		if err != nil {
			return err
		}
		servers = append(servers, p)
		if p, err = startLoad(p.address, s.conns, depth, s.duration); err != nil {
			return err
		}
		loads = append(loads, p)
	}
	seen := make([][]result, len(servers))
	for n := range s.rounds + 1 {
		for i := range servers {
			i := (i + n) % len(servers) // nobody is always the first
			r, err := measure(servers[i], loads[i])
			if err != nil {
				return fmt.Errorf("%s: %w", s.servers[i], err)
			}
			if n > 0 { // the first round is for warming up
				seen[i] = append(seen[i], r)
			}
		}
	}
	for i, name := range s.servers {
		var cpus, rates, ratios []float64
		for n, r := range seen[i] {
			cpus, rates = append(cpus, r.cpu), append(rates, r.rate)
			ratios = append(ratios, r.cpu/seen[0][n].cpu)
		}
		spread := fmt.Sprintf("(%.2f to %.2f)", quantile(ratios, 0.25), quantile(ratios, 0.75))
		fmt.Printf("%6d %6d  %-10s %9.2f µs %8.2f %16s %11.0f\n", s.conns, depth, name, quantile(cpus, 0.5),
			quantile(ratios, 0.5), spread, quantile(rates, 0.5))
	}
	return nil
}

// quantile sorts the values.
func quantile(vs []float64, q float64) float64 {
	slices.Sort(vs)
	at := q * float64(len(vs)-1)
	low := int(at)
	if low+1 == len(vs) {
		return vs[low]
	}
	return vs[low] + (at-float64(low))*(vs[low+1]-vs[low])
}
