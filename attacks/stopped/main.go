// Command stopped stops a worker of a master's (SIGSTOP), while another one idles, and connects again and again: each
// connection must be answered at once, by the other worker.
//
// It is an attack on wake-ups that go to one process alone: the kernel may choose the one that does not run. With
// io_uring, accepts of several rings wait on a socket in this way.
//
//	go run ./attacks/stopped                    a master of its own on each driver that works here
//	go run ./attacks/stopped -driver io_uring
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proc"
)

func main() {
	register()
	proc.Main()
	if beMaster() {
		return
	}
	only := flag.String("driver", "", "the driver to attack (default: each that works here)")
	rounds := flag.Int("rounds", 200, "how many connections, one after the other")
	limit := flag.Duration("limit", time.Second, "how long a connection may wait for its answer")
	flag.Parse()
	failed := false
	for _, d := range loop.Drivers() {
		if d.Err != nil && *only == "" || *only != "" && *only != d.Name {
			continue
		}
		longest, err := attack(d.Name, *rounds, 15**limit)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%-9s %v\n", d.Name, err)
		} else {
			fmt.Printf("%-9s %d connections, of which the longest waited %v\n", d.Name, *rounds,
				longest.Round(10*time.Microsecond))
		}
		failed = failed || err != nil || longest > *limit
	}
	if failed {
		os.Exit(1)
	}
}
