//go:build linux

package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	serve := flag.String("serve", "", "be this `server` (for the program itself)")
	load := flag.String("load", "", "be the load on this `address` (for the program itself)")
	var s settings
	flag.IntVar(&s.rounds, "rounds", 41, "rounds")
	flag.DurationVar(&s.duration, "d", 100*time.Millisecond, "how long to measure each server in a round")
	services := flag.String("services", strings.Join(serviceNames, ","), "what to serve")
	conns := flag.String("conns", "100,1000", "connections, with one request at a time on each")
	places := flag.String("places", "free,pinned", "arrangements")
	names := flag.String("servers", "", "servers; the others are compared with the first (default: all of the service)")
	flag.StringVar(&s.driver, "driver", "auto", "what Plexor's loops wait on")
	flag.Parse()
	s.services, s.places = strings.Split(*services, ","), strings.Split(*places, ",")
	if *names != "" {
		s.servers = strings.Split(*names, ",")
	}
	for _, text := range strings.Split(*conns, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "goroutines: -conns: %q is no number of connections\n", text)
			os.Exit(2)
		}
		s.conns = append(s.conns, n)
	}
	var err error
	switch {
	case *serve != "":
		err = beServer(*serve, s.services[0], s.driver)
	case *load != "":
		err = beLoad(*load, s.services[0], s.conns[0], s.duration)
	case flag.NArg() > 0 || s.rounds < 1 || s.duration <= 0:
		flag.Usage()
		os.Exit(2)
	default:
		err = compare(s)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "goroutines: %v\n", err)
		os.Exit(1)
	}
}

// settings are the choices of a comparison.
type settings struct {
	rounds                    int
	duration                  time.Duration
	services, places, servers []string
	conns                     []int
	driver                    string
}

// A result is one server in one round.
type result struct {
	cpu      float64 // µs a request
	switches float64 // a request
	rate     float64
	p99      float64 // µs, of a room's
}

func compare(s settings) error {
	fmt.Printf("%d cores, %s, %d rounds of %v, driver %s\n", runtime.NumCPU(), runtime.Version(), s.rounds, s.duration,
		s.driver)
	fmt.Printf("%-6s %-7s %6s  %-11s %11s %7s %15s %11s %7s %9s %10s %16s\n", "", "", "conns", "server", "CPU/request",
		"of 1st", "(quartiles)", "quiet", "of 1st", "switches", "requests/s", "p99")
	for _, service := range s.services {
		for _, place := range s.places {
			for _, conns := range s.conns {
				if err := row(s, service, place, conns); err != nil {
					return fmt.Errorf("%s, %s, %d connections: %w", service, place, conns, err)
				}
			}
		}
	}
	return nil
}

// row loads all servers in turn and prints what it saw.
func row(s settings, service, place string, conns int) (err error) {
	var servers, loads []*process
	defer func() {
		for _, p := range append(loads, servers...) {
			p.stop()
		}
	}()
	if s.servers == nil {
		s.servers = serversOf(service)
	}
	for _, name := range s.servers {
		p, err := startServer(name, service, place, s.driver)
		if err != nil {
			return err
		}
		servers = append(servers, p)
		if p, err = startLoad(p, service, place, conns, s.duration); err != nil {
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
	quietNet := 0.0
	for i, name := range s.servers {
		of := func(value func(r result) float64) []float64 {
			var vs []float64
			for _, r := range seen[i] {
				vs = append(vs, value(r))
			}
			slices.Sort(vs)
			return vs
		}
		cpu := of(func(r result) float64 { return r.cpu })
		if i == 0 {
			quietNet = quantile(cpu, quiet)
		}
		var ratios, late []float64
		for n, r := range seen[i] {
			ratios = append(ratios, r.cpu/seen[0][n].cpu)
			late = append(late, r.p99/seen[0][n].p99)
		}
		slices.Sort(ratios)
		slices.Sort(late)
		spread := fmt.Sprintf("(%.2f to %.2f)", quantile(ratios, 0.25), quantile(ratios, 0.75))
		fmt.Printf("%-6s %-7s %6d  %-11s %8.2f µs %7.3f %15s %8.2f µs %7.3f %9.2f %10.0f", service, place, conns, name,
			quantile(cpu, 0.5), quantile(ratios, 0.5), spread, quantile(cpu, quiet), quantile(cpu, quiet)/quietNet,
			quantile(of(func(r result) float64 { return r.switches }), 0.5),
			quantile(of(func(r result) float64 { return r.rate }), 0.5))
		if service == "room" {
			fmt.Printf(" %6.1f ms %.3f", quantile(of(func(r result) float64 { return r.p99 }), 0.5)/1e3, quantile(late, 0.5))
		}
		fmt.Println()
	}
	return nil
}

// quiet is the quantile that is taken for a round in which nothing else ran: what else the machine does only ever adds.
const quiet = 0.1

// quantile is that of sorted values.
func quantile(vs []float64, q float64) float64 {
	at := q * float64(len(vs)-1)
	low := int(at)
	if low+1 == len(vs) {
		return vs[low]
	}
	return vs[low] + (at-float64(low))*(vs[low+1]-vs[low])
}
