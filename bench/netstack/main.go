//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

func main() {
	one := flag.String("stack", "", "measure this `stack` here, and tell as JSON (for the program itself)")
	rounds := flag.Int("rounds", 7, "rounds")
	d := flag.Duration("d", time.Second, "how long to measure each stack in each direction in a round")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 || *d <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	var err error
	if *one != "" {
		err = beStack(*one, *d)
	} else {
		err = compare(*rounds, *d)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "netstack: %v\n", err)
		os.Exit(1)
	}
}

// The stacks, by their names; the ratios are to the first.
const gvisor, plexor, offload = "gvisor", "plexor", "plexor with offloads"

var stacks = []string{gvisor, plexor, offload}

// directions are what is measured of a stack.
var directions = []string{"to the kernel", "from the kernel"}

// A result is what was measured of a stack in one direction.
type result struct {
	Rate float64 // bytes a second
	CPU  float64 // nanoseconds of the processor's time a byte
}

var (
	kernels = netip.MustParsePrefix("10.77.0.1/24")
	own     = netip.MustParsePrefix("10.77.0.2/24")
)

// beStack measures one stack in both directions, and writes the results to standard output.
func beStack(name string, d time.Duration) error {
	open := map[string]func() (dialer, error){
		gvisor: openGvisor, plexor: openPlexor(false), offload: openPlexor(true)}[name]
	if open == nil {
		return fmt.Errorf("no stack %q", name)
	}
	s, err := open()
	if err != nil {
		return err
	}
	var results []result
	for _, out := range []bool{true, false} {
		r, err := transfer(s, out, d)
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	return errors.Join(json.NewEncoder(os.Stdout).Encode(results), s.close())
}

// measure has a process of its own measure a stack, in a network of its own.
func measure(name string, d time.Duration) (results []result, err error) {
	cmd := exec.Command("/proc/self/exe", "-stack", name, "-d", d.String())
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &results)
	}
	if err == nil && len(results) != len(directions) {
		err = fmt.Errorf("%d results", len(results))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return results, nil
}

// compare measures all stacks, round after round, and prints the table.
func compare(rounds int, d time.Duration) error {
	seen := map[string][][]result{}
	order := slices.Clone(stacks)
	for range rounds {
		for _, name := range order {
			results, err := measure(name, d)
			if err != nil {
				return err
			}
			seen[name] = append(seen[name], results)
		}
		order = append(order[1:], order[0])
	}
	fmt.Printf("%-16s %-21s %9s %9s %11s %10s\n", "", "", "MB/s", "ns/byte", "rate ratio", "CPU ratio")
	for i, direction := range directions {
		for _, name := range stacks {
			var rate, cpu, rates, cpus []float64
			for round, results := range seen[name] {
				r, base := results[i], seen[gvisor][round][i]
				rate, cpu = append(rate, r.Rate/1e6), append(cpu, r.CPU)
				rates, cpus = append(rates, r.Rate/base.Rate), append(cpus, r.CPU/base.CPU)
			}
			fmt.Printf("%-16s %-21s %9.0f %9.2f %11.2f %10.2f\n", direction, name, median(rate), median(cpu), median(rates),
				median(cpus))
		}
	}
	return nil
}

// median is the middle of a list that is not empty.
func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}
