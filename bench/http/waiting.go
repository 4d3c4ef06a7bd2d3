//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/plexor-go/plexor/load"
)

// The healthy client: its connections, requests a second, and for how many times -d.
const (
	healthyConns = 10
	healthyRate  = 500
	healthyTimes = 5
)

// settleTimes is for how many times -d a server is left alone before its memory is looked at.
const settleTimes = 2

// firstConns are connections that a server has before its memory is looked at for the first time.
const firstConns = 100

// slowHead is the beginning of a head that does not end.
const slowHead = "GET / HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\nX-Slow: "

// waiting prints what a server's idle connections cost, and slow heads, and what these do to a healthy client.
func waiting(s settings, name string) error {
	idle, _, err := held(s, name, false)
	if err != nil {
		return err
	}
	slow, ms, err := held(s, name, true)
	if err != nil {
		return err
	}
	fmt.Printf("%-10s %16.2f %16.2f %22s %22s\n", name, idle, slow, ms[0], ms[1])
	return nil
}

// idleTLS prints what idle connections over TLS cost, of those that it can have speak TLS.
func idleTLS(s settings) error {
	fmt.Printf("%-10s %16s\n", "server", "KiB, idle TLS")
	for _, name := range s.servers {
		if name == "nginx" {
			continue
		}
		kib, _, err := held(s, name, false)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Printf("%-10s %16.2f\n", name, kib)
	}
	return nil
}

// held holds connections of one kind to a server of its own: it returns what each costs in KiB, and with slow heads the
// latencies of a healthy client without them and beside them.
func held(s settings, name string, slow bool) (kib float64, latencies [2]string, err error) {
	p, err := startServer(name, s.driver, s.tls)
	if err != nil {
		return 0, latencies, err
	}
	defer p.stop()
	var conns []net.Conn
	defer func() {
		for _, nc := range conns {
			_ = nc.Close()
		}
	}()
	hold := func(n int) error {
		for range n {
			nc, err := one(p.address, s.tls, slow)
			if err != nil {
				return err
			}
			conns = append(conns, nc)
		}
		time.Sleep(settleTimes * s.duration)
		return nil
	}
	if slow {
		if latencies[0], err = healthy(p.address, s.duration); err != nil {
			return 0, latencies, err
		}
	}
	if err := hold(firstConns); err != nil {
		return 0, latencies, err
	}
	before, err := p.resident()
	if err != nil {
		return 0, latencies, err
	}
	if err := hold(s.idle); err != nil {
		return 0, latencies, err
	}
	after, err := p.resident()
	if err == nil && slow {
		var sent sync.WaitGroup
		over := make(chan struct{})
		sent.Go(func() { drip(conns, over) })
		latencies[1], err = healthy(p.address, s.duration)
		close(over)
		sent.Wait()
	}
	return (after - before) / float64(s.idle), latencies, err
}

// one makes a connection that has asked once, or that has begun to.
func one(address string, secure, slow bool) (net.Conn, error) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if secure {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true}) // the server is this program too
	}
	if slow {
		_, err = io.WriteString(nc, slowHead)
		return nc, err
	}
	if _, err = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\n\r\n"); err != nil {
		return nc, err
	}
	res, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		return nc, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return nc, err
}

// drip sends a byte on each connection every five seconds, some of them at a time.
func drip(conns []net.Conn, over <-chan struct{}) {
	const every, pieces = 5 * time.Second, 1000
	tick := time.NewTicker(every / pieces)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		case <-tick.C:
			for i := n % pieces; i < len(conns); i += pieces {
				_, _ = conns[i].Write([]byte("a")) // one that was closed shows in the memory
			}
		}
	}
}

// healthy asks at a constant rate, and returns the latencies.
func healthy(address string, d time.Duration) (string, error) {
	res, err := load.Run(context.Background(), load.Options{Address: "tcp://" + address, HTTP: &load.HTTP{},
		Conns: healthyConns, Rate: healthyRate, Warmup: d / 2, Duration: healthyTimes * d})
	if err != nil {
		return "", err
	}
	if res.LostConns > 0 || res.NotConnected > 0 {
		return "", errors.New("the healthy client lost connections")
	}
	return fmt.Sprintf("%.2f %.2f ms", res.Latency.P50/1e3, res.Latency.P99/1e3), nil
}
