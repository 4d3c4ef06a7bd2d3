// Command urgent storms an echo server with urgent data: each client sends a byte, an urgent one (MSG_OOB), another
// byte, and closes its half, as fast as it can, and then waits for the two bytes to come back.
//
// It is an attack on the moment in which a signal meets the urgent byte: tcp(7)'s receive then says that there is
// nothing to read (EAGAIN), though there is. Who waits for the next event, as an armed multishot receive of io_uring
// does, never hears of it: nothing more comes from a client that has closed its half. Go sends its threads a signal,
// SIGURG, whenever a goroutine has run for long, and -signals sends many more.
//
//	go run ./attacks/urgent                            a server of its own on each driver that works here
//	go run ./attacks/urgent -driver io_uring -signals
//	go run ./attacks/urgent -addr 127.0.0.1:9000       a server that is there, which echoes
//
// For each it prints how many clients did not get their bytes within -wait, and exits with 1 if there were any. It also
// prints how many were served late, after half a second or more, and the longest time: a server that finds what it lost
// by looking again is seen by that. On a busy machine some are late without having been lost.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

// lateAfter is when a client was served late: half of what the engine leaves an event before it looks for it, and
// hundreds of times of what a client takes.
const lateAfter = 500 * time.Millisecond

// An outcome is what became of an attack's clients.
type outcome struct {
	lost    int // they did not get their bytes in time
	late    int // they got them after lateAfter
	slowest time.Duration
}

func (o *outcome) served(took time.Duration) {
	if took >= lateAfter {
		o.late++
	}
	o.slowest = max(o.slowest, took)
}

func main() {
	a := attack{}
	addr := flag.String("addr", "", "an echo server on this machine (default: one of its own)")
	driver := flag.String("driver", "", "the driver of a server of its own (default: all that work here)")
	flag.IntVar(&a.clients, "clients", 12, "clients at once")
	flag.IntVar(&a.rounds, "rounds", 1000, "connections of each client, one after the other")
	flag.BoolVar(&a.signals, "signals", false, "send the server's threads SIGURG all the time (a server of its own)")
	flag.DurationVar(&a.wait, "wait", 5*time.Second, "how long a client waits for its bytes")
	flag.Parse()
	if flag.NArg() > 0 || a.clients < 1 || a.rounds < 1 || *addr != "" && (*driver != "" || a.signals) {
		flag.Usage()
		os.Exit(2)
	}
	failed := false
	report := func(name string, o outcome, err error) {
		if err != nil {
			fmt.Printf("%-8s %v\n", name, err)
		} else {
			fmt.Printf("%-8s %d of %d clients did not get their bytes within %v; %d got them after %v or more, the last "+
				"after %v\n",
				name, o.lost, a.clients*a.rounds, a.wait, o.late, lateAfter, o.slowest.Round(time.Millisecond))
		}
		failed = failed || o.lost > 0 || err != nil
	}
	if *addr != "" {
		o, err := a.run(*addr)
		report(*addr, o, err)
	} else {
		for _, name := range drivers(*driver) {
			o, err := a.serveAndRun(name)
			report(name, o, err)
		}
	}
	if failed {
		os.Exit(1)
	}
}
