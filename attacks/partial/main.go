// Command partial leaves messages unfinished: each of its clients sends a message but for the last byte, and then
// nothing more. A server that bounds what it keeps by the length of a message alone keeps as many of them as there are
// clients. Beside them an honest client has messages of the same length answered, one after the other.
//
//	go run ./attacks/partial                  servers of its own, on each driver that works here
//	go run ./attacks/partial -clients 500 -size 4194304 -driver epoll
//	go run ./attacks/partial -protocol websocket
//
// For each it prints by how much the heap grew at most, and how many of the honest messages were answered. It exits
// with 1 if the heap grew by more than twice Limits.PartialInput a loop, or one was not answered.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/plexor-go/plexor/loop"
)

func main() {
	a, known := attack{bound: 64 << 20}, false
	driver := flag.String("driver", "", "the server's driver (default: all that work here)")
	protocol := flag.String("protocol", "frames", "what the messages are of: frames or websocket")
	flag.IntVar(&a.clients, "clients", 1500, "clients that leave a message unfinished")
	flag.IntVar(&a.size, "size", 1<<20, "bytes of a message")
	flag.IntVar(&a.honest, "honest", 100, "messages of the honest client")
	flag.IntVar(&a.loops, "loops", 1, "the server's loops")
	flag.Parse()
	a.protocol, known = protocols[*protocol]
	if !known || flag.NArg() > 0 || a.clients < 0 || a.size < 2 || a.honest < 0 || a.loops < 1 {
		flag.Usage()
		os.Exit(2)
	}
	failed := false
	for _, d := range loop.Drivers() {
		if d.Err != nil || *driver != "" && *driver != d.Name {
			continue
		}
		a := a.fitting(d.Name)
		r, err := a.run(d.Name)
		verdict := "ok"
		if err != nil || r.grew > 2*a.bound*a.loops || r.answered < a.honest {
			verdict, failed = "FAILED", true
		}
		fmt.Printf("%-6s %-8s %d clients with %d KiB each: the heap grew by %d MiB, %d were evicted, "+
			"%d of %d honest messages answered; %v\n", verdict, d.Name,
			a.clients, a.size>>10, r.grew>>20, r.evicted, r.answered, a.honest, err)
	}
	if failed {
		os.Exit(1)
	}
}
