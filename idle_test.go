package plexor_test

import (
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/portion"
)

// TestIdleCost: what a connection holds that has echoed a message and waits. With Messages,
// Turns and Sessions that is neither a coroutine nor a buffer; with a stream's handler it is
// its coroutine, whose stack is the smallest that there is, 2 KiB; the next is twice that.
func TestIdleCost(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has costs of its own")
	}
	messages := plexor.Messages(frame.Fixed{Size: 64}, func(c *plexor.Conn, msg []byte) error { return c.Send(msg) })
	boxed := plexor.Messages(frame.Fixed{Size: 64}, func(c *plexor.Conn, msg []byte) error { return c.Outbox().Send(msg) })
	echo := func(c *plexor.Conn) error {
		p := make([]byte, 64)
		n, err := c.Read(p)
		if err != nil {
			return err
		}
		_, err = c.Write(p[:n])
		return err
	}
	turns := plexor.Turns(echo)
	sessions := plexor.Sessions[*int]{Turn: func(c *plexor.Conn, _ *int) error { return echo(c) }}
	clients := make(clientCosts)
	for i, row := range []struct {
		name       string
		scheme     string
		h          plexor.Handler
		coroutines int // a connection
		stack      int // the most for one, in bytes
		heap       int // the most for one, in bytes
	}{
		{"Messages", "tcp", messages, 0, 0, 600},
		{"Messages over TLS", "tls", messages, 0, 0, 4200}, // of heap: crypto/tls's own
		{"Messages with an Outbox", "tcp", boxed, 0, 0, 1000},
		{"Messages over TLS with an Outbox", "tls", boxed, 0, 0, 4700},
		{"Turns", "tcp", turns, 0, 0, 600},
		{"Turns over TLS", "tls", turns, 0, 0, 4200},
		{"Sessions", "tcp", sessions, 0, 0, 600 + 32}, // with a state of a pointer, and the next size class
		{"Sessions over TLS", "tls", sessions, 0, 0, 4200 + 32},
		{"Copy", "tcp", plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) }), 1, 2600, 1900},
		{"Copy over TLS", "tls", plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) }), 1, 4600, 5200},
		{"Read and Write", "tcp", plexor.HandlerFunc(func(c *plexor.Conn) {
			p := make([]byte, 64)
			for {
				if _, err := io.ReadFull(c, p); err != nil {
					return
				}
				if _, err := c.Write(p); err != nil {
					return
				}
			}
		}), 1, 2600, 2000},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				if driver == "select" {
					t.Skip("it holds no more than FD_SETSIZE descriptors, and the clients have theirs here too")
				}
				if why := costsAsElsewhere(i, row.name, driver); why != "" && !portion.Everywhere() {
					t.Skip(why)
				}
				b := place{driver, row.scheme + "://127.0.0.1:0"}.serve(t, &plexor.Server{Loops: 1}, row.h)
				n, fewest := 400, 200
				if row.scheme == "tls" {
					n, fewest = 150, 80 // of which each takes a handshake
				}
				if row.coroutines == 0 { // the size of a stack shows with many only
					n = portion.Fewer(n, fewest)
				}
				msg := random(64, 4)
				connect := func(n int) (cs []net.Conn) {
					for range n {
						c := b.dial()
						if row.scheme == "tls" {
							c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
						}
						send(t, c, string(msg))
						want(t, c, string(msg))
						cs = append(cs, c)
					}
					return cs
				}
				peers := clients.costs(t, row.scheme)
				warm := connect(n / 4) // so that pools and tables have grown
				plexor.CoolDown(b.Server)
				before := held()
				conns := connect(n)
				plexor.CoolDown(b.Server)
				after := held()
				coroutines := after.goroutines - before.goroutines
				stack, heap := (after.stack-before.stack-spareStack)/n, (after.heap-before.heap)/n-peers
				t.Logf("%d coroutines; at least %d bytes of stack and %d of heap for each of %d connections",
					coroutines, stack, heap, n)
				if coroutines > row.coroutines*n || stack > row.stack || heap > row.heap {
					t.Errorf("want at most %d coroutines, and %d bytes of stack and %d of heap a connection",
						row.coroutines*n, row.stack, row.heap)
				}
				for _, c := range append(conns, warm...) {
					c.Close()
				}
			})
		})
	}
}

// costsAsElsewhere tells why TestIdleCost can do without the i-th row on a driver, if not everywhere.
func costsAsElsewhere(i int, row, driver string) (why string) {
	switch first := drivers()[0]; {
	case row == "Messages":
		return ""
	case row == "Turns over TLS", row == "Sessions over TLS", row == "Messages over TLS with an Outbox":
		return "what is above TLS costs what it does without"
	case strings.Contains(row, "TLS") && driver != first:
		return "what crypto/tls holds depends on no driver"
	case driver == "poll":
		return "a connection costs there what it does by epoll, and eight bytes"
	case !strings.Contains(row, "TLS") && first == "io_uring" && (driver == first) != (i%4 == 0):
		return "the rows take turns at the drivers"
	}
	return ""
}

// spareStack is what TestIdleCost leaves out of account: the runtime takes memory for stacks 32 KiB at a time, and has
// goroutines of its own.
const spareStack = 64 << 10

// clientCosts is how many bytes of heap one client of TestIdleCost holds, by its scheme,
// once that is known: the clients are in this process too.
type clientCosts map[string]int

// costs makes pairs of connections of package net, of which both ends are as a client is.
func (of clientCosts) costs(t *testing.T, scheme string) int {
	t.Helper()
	if cost, known := of[scheme]; known {
		return cost
	}
	const pairs = 100
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pair := newAuthority(t, "nobody").issue("nobody")
	var kept []net.Conn
	connect := func(n int) {
		for range n {
			c := dial(t, ln.Addr())
			s, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			if scheme == "tls" {
				c, s = shakeHands(t, c, s, pair)
			}
			kept = append(kept, c, s)
		}
	}
	connect(pairs / 4) // so that pools and tables have grown
	before := held()
	connect(pairs)
	after := held()
	runtime.KeepAlive(kept)
	of[scheme] = (after.heap - before.heap) / (2 * pairs)
	return of[scheme]
}

// shakeHands has the two speak TLS, and say something each.
func shakeHands(t *testing.T, c, s net.Conn, pair tls.Certificate) (client, server net.Conn) {
	t.Helper()
	client = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	server = tls.Server(s, &tls.Config{Certificates: []tls.Certificate{pair}})
	shaken := make(chan error, 1)
	go func() { _, err := io.CopyN(server, server, 64); shaken <- err }()
	msg := string(random(64, 4))
	send(t, client, msg)
	want(t, client, msg)
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return client, server
}

type holdings struct{ goroutines, heap, stack int }

// held is what is in use after a collection. Two of them, for what has a finalizer.
func held() holdings {
	debug.FreeOSMemory()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return holdings{runtime.NumGoroutine(), int(m.HeapAlloc), int(m.StackInuse)}
}

// TestHandshakeStacks: the stacks that many handshakes at once have grown are given up again, though their coroutines
// stay in the pool: the collector halves what is not used, down to 4 KiB.
func TestHandshakeStacks(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has costs of its own")
	}
	const n = 200
	eachDriver(t, func(t *testing.T, driver string) {
		if driver != drivers()[0] && !portion.Everywhere() {
			t.Skip("stacks depend on no driver")
		}
		b := serveTLS(t, driver, &plexor.Server{Loops: 1}, nil, upper)
		before := held()
		var raws []*firstOnly
		var clients []*tls.Conn
		for range n {
			raw := &firstOnly{Conn: b.dial()}
			c := tls.Client(raw, b.client())
			if err := c.Handshake(); err != nil {
				t.Fatal(err)
			}
			raws, clients = append(raws, raw), append(clients, c)
		}
		b.await("the handshakes", func(s plexor.Stats) bool { return s.Handshaking == n })
		during := held()
		for _, raw := range raws {
			if err := raw.release(); err != nil {
				t.Fatal(err)
			}
		}
		b.await("their end", func(s plexor.Stats) bool { return s.Handlers == 0 && s.Handshakes == n })
		held()
		held()
		after := held()
		t.Logf("%d bytes of stack for each of %d handshakes under way, %d when they are done",
			(during.stack-before.stack)/n, n, (after.stack-before.stack)/n)
		if each := (after.stack - before.stack) / n; each > 6000 { // the next size is 8 KiB; the runtime has its own
			t.Errorf("%d bytes of stack are held for each coroutine in the pool", each)
		}
		for _, c := range clients {
			c.Close()
		}
	})
}
