//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/cloudwego/netpoll"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

var services = []string{"echo", "framed"}

// bufferSize is how much each server reads at once, in bytes.
const bufferSize = 16 << 10

// mostMessage is the longest message of the service framed.
const mostMessage = 1 << 20

// serverNames are the servers in the order of the table. Net is what the others are compared with.
var serverNames = []string{"net", "netpoll", "plexor", "plexor/callbacks"}

// A starter starts a server on a free port of the loopback, and returns its address.
type starter func() (string, error)

var servers = map[string]map[string]starter{
	"net":     {"echo": netServer(netEcho), "framed": netServer(netFramed)},
	"netpoll": {"echo": netpollServer(netpollEcho), "framed": netpollServer(netpollFramed)},
	"plexor": {"echo": plexorServer(plexor.HandlerFunc(plexorEcho)),
		"framed": plexorServer(plexor.Messages(frame.Length{Bytes: 4, Max: mostMessage}, plexorFramed))},
	"plexor/callbacks": {"echo": loopServer(loopEcho), "framed": loopServer(loopFramed)},
}

// Package net: a goroutine a connection.
func netServer(serve func(c net.Conn)) starter {
	return func() (string, error) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					serve(c)
				}()
			}
		}()
		return ln.Addr().String(), nil
	}
}

func netEcho(c net.Conn) {
	buf := make([]byte, bufferSize)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// netFramed writes when it has answered all that it has read.
func netFramed(c net.Conn) {
	r, w := bufio.NewReaderSize(c, bufferSize), bufio.NewWriterSize(c, bufferSize)
	var msg []byte
	for {
		if r.Buffered() < 4 {
			if err := w.Flush(); err != nil {
				return
			}
		}
		head, err := r.Peek(4)
		if err != nil {
			return
		}
		size := int(binary.BigEndian.Uint32(head))
		if size > mostMessage {
			return
		}
		msg = append(msg[:0], head...)
		if cap(msg) < 4+size {
			msg = append(make([]byte, 0, 4+size), msg...)
		}
		msg = msg[:4+size]
		if r.Buffered() < len(msg) {
			if err := w.Flush(); err != nil {
				return
			}
		}
		if _, err := io.ReadFull(r, msg); err != nil {
			return
		}
		if _, err := w.Write(msg); err != nil {
			return
		}
	}
}

// Netpoll: callbacks that run on goroutines of its pool.
func netpollServer(onRequest netpoll.OnRequest) starter {
	return func() (string, error) {
		if err := netpoll.Configure(netpoll.Config{BufferSize: bufferSize}); err != nil {
			return "", err
		}
		ln, err := netpoll.CreateListener("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		el, err := netpoll.NewEventLoop(onRequest)
		if err != nil {
			return "", err
		}
		go func() { _ = el.Serve(ln) }() // it ends with the process
		return ln.Addr().String(), nil
	}
}

func netpollEcho(_ context.Context, c netpoll.Connection) error {
	r, w := c.Reader(), c.Writer()
	p, err := r.Next(r.Len())
	if err != nil {
		return err
	}
	if _, err := w.WriteBinary(p); err != nil {
		return err
	}
	return errors.Join(w.Flush(), r.Release())
}

func netpollFramed(_ context.Context, c netpoll.Connection) error {
	r, w := c.Reader(), c.Writer()
	for r.Len() >= 4 {
		head, err := r.Peek(4)
		if err != nil {
			return err
		}
		size := int(binary.BigEndian.Uint32(head))
		if size > mostMessage {
			return fmt.Errorf("a message of %d bytes", size)
		}
		msg, err := r.Next(4 + size) // waits for the rest
		if err != nil {
			return err
		}
		if _, err := w.WriteBinary(msg); err != nil {
			return err
		}
	}
	return errors.Join(w.Flush(), r.Release())
}

// Plexor's Server: coroutines.
func plexorServer(h plexor.Handler) starter {
	return func() (string, error) {
		a, err := new(plexor.Server).Open("tcp://127.0.0.1:0", h)
		if err != nil {
			return "", err
		}
		return a.String(), nil
	}
}

func plexorEcho(c *plexor.Conn) {
	buf := make([]byte, bufferSize)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func plexorFramed(c *plexor.Conn, msg []byte) error { return c.Send(msg) }

// Plexor's loops: callbacks.
func loopServer(accept loop.AcceptFunc) starter {
	return func() (string, error) {
		g, err := loop.NewGroup(loop.GroupOptions{Options: loop.Options{ReadBuffer: bufferSize}})
		if err != nil {
			return "", err
		}
		ln, err := g.Listen(sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Options{}, accept)
		if err != nil {
			return "", err
		}
		return strings.TrimPrefix(ln.Addr().String(), "tcp://"), nil
	}
}

// Write refuses only when a client does not read, and the load reads.
func loopEcho(*loop.Conn) loop.Handler {
	return loop.HandlerFunc(func(c *loop.Conn, p []byte) {
		if _, err := c.Write(p); err != nil {
			c.CloseWithError(err)
		}
	})
}

func loopFramed(*loop.Conn) loop.Handler {
	codec := frame.Length{Bytes: 4, Max: mostMessage, Keep: true} // a message with its header goes back as it is
	dec, err := frame.NewDecoder(codec)
	if err != nil {
		panic(err) // the codec above is wrong
	}
	return loop.HandlerFunc(func(c *loop.Conn, p []byte) {
		for msg, err := range dec.Feed(p) {
			if err == nil {
				_, err = c.Write(msg)
			}
			if err != nil {
				c.CloseWithError(err)
				return
			}
		}
	})
}

// usage is what a server tells of itself.
type usage struct {
	CPU int64 // nanoseconds, of all its threads
	RSS int64 // bytes
}

// beServer is the process of a server: it prints its address, then a line of usage for each line that it reads, until
// its input ends. For a line "collect" it collects garbage before.
func beServer(name, service string) error {
	start := servers[name][service]
	if start == nil {
		return fmt.Errorf("no server %q for %q", name, service)
	}
	address, err := start()
	if err != nil {
		return err
	}
	fmt.Println(address)
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if in.Text() == "collect" {
			debug.FreeOSMemory()
		}
		u, err := own()
		if err == nil {
			err = out.Encode(u)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// own is the usage of this process.
func own() (u usage, err error) {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return u, fmt.Errorf("getrusage: %w", err)
	}
	u.CPU = ru.Utime.Nano() + ru.Stime.Nano()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &u.RSS); n == 1 {
			u.RSS <<= 10
			return u, nil
		}
	}
	return u, errors.New("no VmRSS in /proc/self/status")
}
