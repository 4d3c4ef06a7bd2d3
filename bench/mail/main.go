//go:build linux

package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are the choices of a comparison.
type settings struct {
	mails, rounds   int
	conns           []int
	modes           []string
	mailpit, plexor string // programs; "": there is none
	dir             string
	only            string
	settle          time.Duration
}

func main() {
	address := flag.String("load", "", "be the load on this `address` (for the program itself)")
	var s settings
	flag.IntVar(&s.mails, "mails", 4000, "mails of each round")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds")
	conns := flag.String("conns", "1,20,100", "connections")
	modes := flag.String("mode", "steps,group", "how the load sends")
	flag.StringVar(&s.mailpit, "mailpit", "", "the program mailpit (default: by the PATH)")
	flag.StringVar(&s.plexor, "plexor", "", "the program plexor (default: it is built)")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "the folder for mail")
	flag.StringVar(&s.only, "only", "", "the servers whose name contains this")
	flag.DurationVar(&s.settle, "settle", time.Second, "pause behind each measurement")
	flag.Parse()
	s.modes = strings.Split(*modes, ",")
	for _, text := range strings.Split(*conns, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "mail: -conns: %q is no number of connections\n", text)
			os.Exit(2)
		}
		s.conns = append(s.conns, n)
	}
	if flag.NArg() > 0 || s.mails < 1 || s.rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	var err error
	if *address != "" {
		err = beLoad(*address, s.modes[0], s.conns[0], s.mails)
	} else {
		err = compare(s)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "mail: %v\n", err)
		os.Exit(1)
	}
}

// A server is one that runs.
type server struct {
	kind
	*process
	address string
}

func compare(s settings) error {
	dir, err := os.MkdirTemp(s.dir, "mail")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if s.plexor == "" {
		s.plexor = filepath.Join(dir, "plexor")
		where, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/plexor-go/plexor").Output()
		if err != nil {
			return fmt.Errorf("plexor's tree is not found, so name the program by -plexor: %w", err)
		}
		build := exec.Command("go", "build", "-o", s.plexor, "./cmd/plexor")
		build.Dir = strings.TrimSpace(string(where)) // a module with requirements of its own
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("plexor is not built: %w\n%s", err, out)
		}
	}
	if s.mailpit == "" {
		if s.mailpit, err = exec.LookPath("mailpit"); err != nil {
			fmt.Println("there is no mailpit, so it is left out:", err)
		}
	}
	var servers []server
	defer func() {
		for _, k := range servers {
			k.stop()
		}
	}()
	for _, k := range kinds {
		if !strings.Contains(k.name, s.only) || s.mailpit == "" && strings.HasPrefix(k.name, "mailpit") {
			continue
		}
		p, address, err := startServer(s, k, dir)
		if err != nil {
			return err
		}
		servers = append(servers, server{k, p, address})
	}
	fmt.Printf("%d cores, %s, %d rounds of %d mails of %d bytes\n", runtime.NumCPU(), runtime.Version(), s.rounds, s.mails,
		mailBytes)
	fmt.Printf("%6s %6s  %-22s %9s %18s %10s %8s %12s\n", "conns", "mode", "server", "mails/s", "(least to most)",
		"of Mailpit", "(worst)", "CPU a mail")
	for _, mode := range s.modes {
		for _, conns := range s.conns {
			if err := measure(s, servers, mode, conns); err != nil {
				return err
			}
		}
	}
	return nil
}

// A result is one server in one round.
type result struct{ rate, cpu float64 } // mails a second; µs a mail

// measure loads all servers in turn, and prints a line for each.
func measure(s settings, servers []server, mode string, conns int) error {
	seen := make(map[string][]result)
	loads := make([]*process, len(servers))
	defer func() {
		for _, p := range loads {
			if p != nil {
				p.stop()
			}
		}
	}()
	for i, k := range servers {
		var err error
		if loads[i], err = startLoad(s, k.address, mode, conns); err != nil {
			return err
		}
	}
	for n := range s.rounds {
		for i := range servers {
			i := (i + n) % len(servers) // nobody is always the first
			r, err := round(s, servers[i], loads[i])
			if err != nil {
				return fmt.Errorf("%s: %w", servers[i].name, err)
			}
			seen[servers[i].name] = append(seen[servers[i].name], r)
		}
	}
	for _, k := range servers {
		var rates, cpus, ratios []float64
		for n, r := range seen[k.name] {
			rates, cpus = append(rates, r.rate), append(cpus, r.cpu)
			if peer := seen[k.peer]; len(peer) > 0 {
				ratios = append(ratios, r.rate/peer[n].rate)
			}
		}
		slices.Sort(rates)
		slices.Sort(cpus)
		slices.Sort(ratios)
		ratio, worst := "", ""
		if len(ratios) > 0 {
			ratio, worst = fmt.Sprintf("%.1f", ratios[len(ratios)/2]), fmt.Sprintf("%.1f", ratios[0])
		}
		fmt.Printf("%6d %6s  %-22s %9.0f %18s %10s %8s %9.0f µs\n", conns, mode, k.name, rates[len(rates)/2],
			fmt.Sprintf("%.0f to %.0f", rates[0], rates[len(rates)-1]), ratio, worst, cpus[len(cpus)/2])
	}
	return nil
}

// round is one round on one server.
func round(s settings, k server, load *process) (r result, err error) {
	before, err := k.cpu()
	if err != nil {
		return r, err
	}
	if _, err = fmt.Fprintln(load.in); err != nil {
		return r, err
	}
	var took int64
	if _, err = fmt.Fscanln(load.out, &took); err != nil {
		return r, fmt.Errorf("the load ended: %w", err)
	}
	time.Sleep(s.settle)
	after, err := k.cpu()
	mails := float64(s.mails)
	return result{mails / (float64(took) / 1e9), float64((after - before).Microseconds()) / mails}, err
}
