//go:build linux

package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// settings are the choices of a comparison.
type settings struct {
	rounds  int
	size    int64
	dir     string
	pin     bool // the server to one core, and the client to another
	servers []string
	driver  string
}

func main() {
	serve := flag.String("serve", "", "serve this `folder` (for the program itself)")
	var s settings
	flag.IntVar(&s.rounds, "rounds", 12, "rounds")
	flag.Int64Var(&s.size, "size", 1<<30, "the file's size in bytes")
	flag.StringVar(&s.dir, "dir", "/dev/shm", "where the file is made; it should be memory")
	flag.BoolVar(&s.pin, "pin", false, "the server on one core, the client on another")
	names := flag.String("servers", "vsftpd,again,plexor", "servers; the others are compared with the first")
	flag.StringVar(&s.driver, "driver", "auto", "what Plexor's loops wait on")
	flag.Parse()
	s.servers = strings.Split(*names, ",")
	var err error
	switch {
	case *serve != "":
		err = beServer(*serve, s.driver)
	case flag.NArg() > 0 || s.rounds < 1 || s.size < 1:
		flag.Usage()
		os.Exit(2)
	default:
		err = compare(s)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "ftp: %v\n", err)
		os.Exit(1)
	}
}

// A round is one download.
type round struct {
	cpu, wall time.Duration
}

func compare(s settings) error {
	if vsftpd == "" {
		fmt.Println("vsftpd is not installed: nothing is compared")
		s.servers = slices.DeleteFunc(s.servers, func(name string) bool { return name != "plexor" })
	}
	dir, err := os.MkdirTemp(s.dir, "ftp")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := makeFiles(dir, s.size); err != nil {
		return err
	}
	if s.pin {
		if err := pinSelf(clientCore); err != nil {
			return err
		}
	}
	var sessions []*session
	for _, name := range s.servers {
		p, err := start(name, dir, s)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		defer p.stop()
		c, err := p.login()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		defer c.close()
		sessions = append(sessions, c)
	}
	fmt.Printf("%d cores, %s, %d bytes, %d rounds, driver %s, pinned: %v\n", runtime.NumCPU(), runtime.Version(), s.size,
		s.rounds, s.driver, s.pin)
	all := make([][]round, len(sessions))
	for i := range s.rounds + 1 { // the first warms up: windows and buffers grow
		for j, c := range sessions {
			r, err := c.retrieve(s.size)
			if err != nil {
				return fmt.Errorf("%s: %w", s.servers[j], err)
			}
			if i > 0 {
				all[j] = append(all[j], r)
			}
		}
	}
	report(s, all)
	return nil
}

func report(s settings, all [][]round) {
	fmt.Printf("%-8s %11s %10s %16s %10s %8s %16s\n", "server", "CPU", "of "+s.servers[0], "(quartiles)", "MB/s", "of it",
		"(quartiles)")
	for j, name := range s.servers {
		var cpu, rate, cpuOf, rateOf []float64
		for i, r := range all[j] {
			first := all[0][i]
			cpu = append(cpu, r.cpu.Seconds())
			rate = append(rate, float64(s.size)/1e6/r.wall.Seconds())
			cpuOf = append(cpuOf, r.cpu.Seconds()/first.cpu.Seconds())
			rateOf = append(rateOf, first.wall.Seconds()/r.wall.Seconds())
		}
		fmt.Printf("%-8s %8.0f ms %10.2f %16s %10.0f %8.2f %16s\n", name, at(cpu, 2)*1e3, at(cpuOf, 2), quartiles(cpuOf),
			at(rate, 2), at(rateOf, 2), quartiles(rateOf))
	}
}

// at is the quartile q of v: 2 is the median.
func at(v []float64, q int) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[(len(v)-1)*q/4]
}

func quartiles(v []float64) string { return fmt.Sprintf("(%.2f–%.2f)", at(v, 1), at(v, 3)) }

// vsftpd is where it is; "": nowhere.
var vsftpd = func() string {
	for _, name := range []string{"vsftpd", "/usr/sbin/vsftpd"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}()
