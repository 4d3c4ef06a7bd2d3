// Command keyupdate makes a TLS 1.3 server write what nobody reads: it sends KeyUpdates that ask for an answer (RFC
// 8446 section 4.6.3, update_requested), each with a byte behind it, and never reads. A server that reads on, and keeps
// the answers that find no room, keeps as many as the peer likes.
//
//	go run ./attacks/keyupdate               servers of its own: each driver, each way to use a connection
//	go run ./attacks/keyupdate -updates 1000000
//
// It begins with package net and crypto/tls, to compare with. For each it prints how many updates were taken before the
// server stopped to read, and how much its heap grew. It exits with 1 if one took all, or grew by more than 8 MiB.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// mostGrowth is how much a server's heap may grow, in bytes: for one connection that is ample.
const mostGrowth = 8 << 20

func main() {
	updates := flag.Int("updates", 200_000, "KeyUpdates at most")
	wait := flag.Duration("wait", 2*time.Second, "how long the server may take nothing until it has stopped to read")
	flag.Parse()
	if flag.NArg() > 0 || *updates < 1 {
		flag.Usage()
		os.Exit(2)
	}
	sent, grew, err := attack("", bare, *updates, *wait)
	report("beside", "", bare, sent, grew, err)
	failed := false
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		for _, f := range faces {
			sent, grew, err := attack(d.Name, f, *updates, *wait)
			verdict := "ok"
			if err != nil || sent >= *updates || grew > mostGrowth {
				verdict, failed = "FAILED", true
			}
			report(verdict, d.Name, f, sent, grew, err)
		}
	}
	if failed {
		os.Exit(1)
	}
}

func report(verdict, driver string, f face, sent, grew int, err error) {
	fmt.Printf("%-6s %-8s %-9s %7d updates taken, the heap grew by %d KiB; %v\n", verdict, driver, f.name, sent, grew>>10,
		err)
}
