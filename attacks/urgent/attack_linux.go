package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
	"golang.org/x/sys/unix"
)

type attack struct {
	clients, rounds int
	signals         bool
	wait            time.Duration
}

// drivers are those to be attacked: the one that was asked for, or all that work here.
func drivers(only string) (names []string) {
	if only != "" {
		return []string{only}
	}
	for _, d := range loop.Drivers() {
		if d.Err == nil {
			names = append(names, d.Name)
		}
	}
	return names
}

// serveAndRun attacks a server of this process.
func (a attack) serveAndRun(driver string) (o outcome, err error) {
	g, err := loop.NewGroup(loop.GroupOptions{Options: loop.Options{Driver: driver, Stall: -1}})
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	echo := loop.HandlerFunc(func(c *loop.Conn, p []byte) {
		if _, err := c.Write(p); err != nil {
			c.CloseWithError(err)
		}
	})
	ln, err := g.Listen(sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Options{},
		func(*loop.Conn) loop.Handler { return echo })
	if err != nil {
		return o, err
	}
	if a.signals {
		defer flood()()
	}
	_, addr, _ := strings.Cut(ln.Addr().String(), "://")
	return a.run(addr)
}

// flood sends SIGURG to all threads of this process until the function that it returns is called.
func flood() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			threads, err := os.ReadDir("/proc/self/task")
			if err != nil {
				return
			}
			for range 20 {
				for _, t := range threads {
					if id, err := strconv.Atoi(t.Name()); err == nil {
						_ = unix.Tgkill(os.Getpid(), id, unix.SIGURG) // it may have ended
					}
				}
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

// run attacks the echo server at addr.
func (a attack) run(addr string) (o outcome, err error) {
	var mu sync.Mutex // of o and err
	var all sync.WaitGroup
	for range a.clients {
		all.Go(func() {
			for range a.rounds {
				began := time.Now()
				got, e := a.client(addr)
				took := time.Since(began)
				if e == nil && got != "ab" {
					e = fmt.Errorf("got %q back, want \"ab\"", got)
				}
				mu.Lock()
				switch {
				case errors.Is(e, os.ErrDeadlineExceeded):
					o.lost++
				case e != nil:
					err = cmp.Or(err, e)
				default:
					o.served(took)
				}
				mu.Unlock()
				if e != nil && !errors.Is(e, os.ErrDeadlineExceeded) {
					return
				}
			}
		})
	}
	all.Wait()
	return o, err
}

// client sends a, an urgent !, b and the end, and reads what comes back. The urgent byte is no part of the stream.
func (a attack) client(addr string) (got string, err error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	tcp := c.(*net.TCPConn)
	if err := c.SetDeadline(time.Now().Add(a.wait)); err != nil {
		return "", err
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return "", err
	}
	for _, piece := range []struct {
		text  string
		flags int
	}{{"a", 0}, {"!", unix.MSG_OOB}, {"b", 0}} {
		var sent error
		err := raw.Write(func(fd uintptr) bool {
			sent = unix.Sendto(int(fd), []byte(piece.text), piece.flags|unix.MSG_NOSIGNAL, nil)
			return sent != unix.EAGAIN
		})
		if err = errors.Join(err, sent); err != nil {
			return "", err
		}
	}
	if err := tcp.CloseWrite(); err != nil {
		return "", err
	}
	p, err := io.ReadAll(c)
	return string(p), err
}
