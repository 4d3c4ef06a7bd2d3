// Command handshakes holds TLS handshakes half open: each of its silent clients sends a ClientHello, as a real client
// would, and then nothing more, and takes nothing. Beside them honest clients come one after the other, and must be
// served.
//
// It is an attack on servers in which a handshake holds a scarce place for as long as its client likes.
//
//	go run ./attacks/handshakes                         a server of its own on each driver that works here, and on
//	                                                    package net with crypto/tls, to compare
//	go run ./attacks/handshakes -driver epoll -loops 1
//	go run ./attacks/handshakes -addr 127.0.0.1:9443    a server that is there, which speaks TLS
//
// For each it prints how many of the honest handshakes were done within -wait, and exits with 1 if any was not.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	a := attack{}
	addr := flag.String("addr", "", "a TLS server (default: some of its own)")
	driver := flag.String("driver", "", "the driver of a server of its own, or net (default: all that work here)")
	flag.IntVar(&a.loops, "loops", 2, "the loops of a server of its own")
	flag.DurationVar(&a.timeout, "timeout", 0, "HandshakeTimeout of a server of its own (default: that of Limits)")
	flag.IntVar(&a.silent, "silent", 600, "clients that fall silent")
	flag.IntVar(&a.honest, "honest", 150, "honest clients")
	flag.DurationVar(&a.every, "every", 50*time.Millisecond, "the time from one honest client to the next")
	flag.DurationVar(&a.wait, "wait", 5*time.Second, "how long an honest handshake may take")
	flag.Parse()
	if flag.NArg() > 0 || a.silent < 0 || a.honest < 1 || a.loops < 1 || *addr != "" && *driver != "" {
		flag.Usage()
		os.Exit(2)
	}
	failed := false
	report := func(a attack, name string, served int, err error) {
		if err != nil {
			fmt.Printf("%-8s %v\n", name, err)
		} else {
			fmt.Printf("%-8s %d of %d honest handshakes done beside %d silent ones\n", name, served, a.honest, a.silent)
		}
		failed = failed || served < a.honest || err != nil
	}
	if *addr != "" {
		served, err := a.run(*addr)
		report(a, *addr, served, err)
	} else {
		for _, name := range targets(*driver) {
			a := a.fitting(name)
			served, err := a.serveAndRun(name)
			report(a, name, served, err)
		}
	}
	if failed {
		os.Exit(1)
	}
}
