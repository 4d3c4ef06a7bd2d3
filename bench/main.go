//go:build linux

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

func main() {
	serve := flag.String("serve", "", "be this `server` (for bench itself)")
	service := flag.String("service", "echo", "and do this (for bench itself)")
	client := flag.String("client", "", "be the load on this `address` (for bench itself)")
	var s settings
	flag.IntVar(&s.Rounds, "rounds", 3, "rounds")
	flag.DurationVar(&s.Duration, "d", 2*time.Second, "how long to measure each server in a round")
	shapes := flag.String("shapes", "100x1x64,1000x1x64,100x16x64,100x1x16384", "connections x depth x bytes")
	flag.IntVar(&s.Idle, "idle", 2000, "idle connections for the memory figure; 0 leaves it out")
	file := flag.String("json", "", "write every round into this `file`")
	flag.Parse()
	var err error
	switch {
	case *serve != "":
		err = beServer(*serve, *service)
	case *client != "":
		err = beClient(*client, *service, s.Duration, *shapes)
	case flag.NArg() > 0 || s.Rounds < 1 || s.Duration <= 0 || s.Idle < 0:
		flag.Usage()
		os.Exit(2)
	default:
		for _, text := range strings.Split(*shapes, ",") {
			sh, bad := parseShape(text)
			if bad != nil {
				fmt.Fprintf(os.Stderr, "bench: %v\n", bad)
				os.Exit(2)
			}
			s.Shapes = append(s.Shapes, sh)
		}
		err = compare(s, *file)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// settings are the choices of a comparison.
type settings struct {
	Rounds   int
	Duration time.Duration
	Shapes   []shape
	Idle     int
}

// A shape is how the load looks.
type shape struct{ Conns, Depth, Size int }

func (s shape) String() string { return fmt.Sprintf("%dx%dx%d", s.Conns, s.Depth, s.Size) }

func parseShape(text string) (s shape, err error) {
	if _, err := fmt.Sscanf(text, "%dx%dx%d", &s.Conns, &s.Depth, &s.Size); err != nil || s.Conns < 1 || s.Depth < 1 ||
		s.Size < 1 {
		return s, fmt.Errorf("-shapes: %q: want connections x depth x bytes, such as 100x1x64", text)
	}
	return s, nil
}

// A report is what -json writes.
type report struct {
	Machine  string    `json:"machine"`
	Versions []string  `json:"versions"`
	Command  string    `json:"command"`
	Start    time.Time `json:"start"`
	Rounds   []round   `json:"rounds"`
	Idle     []idle    `json:"idle"`
}

// A round is one server under one load.
type round struct {
	Round   int     `json:"round"`
	Service string  `json:"service"`
	Server  string  `json:"server"`
	Shape   string  `json:"shape"`
	CPU     float64 `json:"cpu_us_per_message"`
	Rate    float64 `json:"rate"`
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
}

// idle is what a connection costs that only waits.
type idle struct {
	Service string  `json:"service"`
	Server  string  `json:"server"`
	Conns   int     `json:"conns"`
	KiB     float64 `json:"kib_per_connection"`
}

func compare(s settings, file string) error {
	rep := &report{Machine: machine(), Versions: versions(), Command: "go run . " + strings.Join(os.Args[1:], " "),
		Start: time.Now()}
	fmt.Printf("%s\n%s\n%s\n", rep.Machine, strings.Join(rep.Versions, ", "), rep.Command)
	for _, service := range services {
		for _, sh := range s.Shapes {
			if err := rep.shape(s, service, sh); err != nil {
				return err
			}
		}
		if s.Idle > 0 {
			if err := rep.idle(service, s.Idle); err != nil {
				return err
			}
		}
	}
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// shape loads all servers in turn, and prints their rows.
func (rep *report) shape(s settings, service string, sh shape) error {
	rows := make(map[string][]round)
	for n := range s.Rounds {
		for i := range serverNames {
			name := serverNames[(i+n)%len(serverNames)] // nobody is always the first
			r, err := measure(name, service, sh, s.Duration)
			if err != nil {
				return fmt.Errorf("%s, %s, %v: %w", name, service, sh, err)
			}
			r.Round = n
			rows[name] = append(rows[name], r)
			rep.Rounds = append(rep.Rounds, r)
		}
	}
	fmt.Printf("\n%s, %d connections × %d under way × %d bytes\n%-18s %12s %8s %12s %10s %10s\n", service, sh.Conns,
		sh.Depth, sh.Size,
		"server", "CPU/message", "of net's", "messages/s", "p50", "p99")
	for _, name := range serverNames {
		rs, base := rows[name], rows["net"]
		ratio := func(i int) float64 { return rs[i].CPU / base[i].CPU }
		fmt.Printf("%-18s %9.2f µs %8.2f %12.0f %7.0f µs %7.0f µs\n", name,
			median(rs, func(i int) float64 { return rs[i].CPU }), median(rs, ratio),
			median(rs, func(i int) float64 { return rs[i].Rate }), median(rs, func(i int) float64 { return rs[i].P50 }),
			median(rs, func(i int) float64 { return rs[i].P99 }))
	}
	return nil
}

func median(rs []round, value func(i int) float64) float64 {
	var vs []float64
	for i := range rs {
		vs = append(vs, value(i))
	}
	slices.Sort(vs)
	return (vs[len(vs)/2] + vs[(len(vs)-1)/2]) / 2
}

// idle measures the memory of connections that wait.
func (rep *report) idle(service string, conns int) error {
	fmt.Printf("\n%s, %d idle connections\n", service, conns)
	for _, name := range serverNames {
		kib, err := measureIdle(name, service, conns)
		if err != nil {
			return fmt.Errorf("%s, idle: %w", name, err)
		}
		rep.Idle = append(rep.Idle, idle{service, name, conns, kib})
		fmt.Printf("%-18s %6.2f KiB each\n", name, kib)
	}
	return nil
}

// machine says what this runs on.
func machine() string {
	cpu, kernel := "unknown CPU", runtime.GOOS
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = "Linux " + strings.TrimSpace(string(b))
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, %s", cpu, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, kernel)
}

// versions are those of Go and of what is compared.
func versions() []string {
	vs := []string{runtime.Version()}
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, d := range b.Deps {
			switch {
			case strings.HasSuffix(d.Path, "/netpoll"):
				vs = append(vs, "netpoll "+d.Version)
			case strings.HasSuffix(d.Path, "/plexor"):
				vs = append(vs, "plexor of this tree")
			}
		}
	}
	return vs
}
