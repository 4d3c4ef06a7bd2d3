package loop_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A server on one loop: its handler is called with the bytes that came, and what it writes leaves at the turn's end.
func Example() {
	l, err := loop.New(loop.Options{})
	if err != nil {
		log.Fatal(err)
	}
	upper := loop.HandlerFunc(func(c *loop.Conn, p []byte) {
		if _, err := c.Write(bytes.ToUpper(p)); err != nil {
			c.CloseWithError(err)
		}
	})
	a, err := sock.ParseAddr("tcp://127.0.0.1:0") // a free port
	if err != nil {
		log.Fatal(err)
	}
	// Before Run, and on the loop's own goroutine, the loop's functions may be called.
	ln, err := l.Listen(a, sock.Options{}, func(*loop.Conn) loop.Handler { return upper })
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()

	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ln.Addr().Port))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(c, "hello")
	line, err := bufio.NewReader(c).ReadString('\n')
	fmt.Printf("%q %v\n", line, err)
	c.Close()
	fmt.Println(l.Close(), <-ended)
	// Output:
	// "HELLO\n" <nil>
	// <nil> <nil>
}

// What the loop does may be told to it from any goroutine: Do waits until the function has run, Post does not.
func ExampleLoop_Do() {
	l, err := loop.New(loop.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	count := 0 // the loop's own: no lock guards it
	for range 3 {
		if err := l.Post(func() { count++ }); err != nil {
			log.Fatal(err)
		}
	}
	err = l.Do(func() { fmt.Println(count, l.OnLoop()) }) // behind those that were posted before
	fmt.Println(err, l.Close(), <-ended)
	fmt.Println(l.Do(func() {}) != nil)
	// Output:
	// 3 true
	// <nil> <nil> <nil>
	// true
}

// A loop takes its time from a clock, and a test's may stand still until the test moves it.
func ExampleManualClock() {
	clock := loop.NewManualClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	l, err := loop.New(loop.Options{Clock: clock})
	if err != nil {
		log.Fatal(err)
	}
	rang := make(chan time.Time, 1)
	l.AfterFunc(time.Hour, func() { rang <- l.Now() })
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	clock.Advance(time.Hour) // which takes no time
	fmt.Println((<-rang).Format(time.TimeOnly))
	fmt.Println(l.Close(), <-ended)
	// Output:
	// 01:00:00
	// <nil> <nil>
}

// A greeter speaks first, and does not wait for ever for the answer.
type greeter struct{ loop.Base }

func (greeter) Opened(c *loop.Conn) {
	_, _ = c.Write([]byte("your name? ")) // there is room: nothing was written yet
	_ = c.SetReadDeadline(c.Loop().Now().Add(time.Minute))
}

func (greeter) Data(c *loop.Conn, p []byte) {
	_ = c.CloseBehind(append([]byte("hello, "), p...)) // the answer leaves first
}

func (greeter) Closed(_ *loop.Conn, err error) {
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))
}

// A Handler embeds Base, which does the least for each call, and has the methods that it needs.
func ExampleBase() {
	clock := loop.NewManualClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	g, err := loop.NewGroup(loop.GroupOptions{Loops: 1, Options: loop.Options{Clock: clock}})
	if err != nil {
		log.Fatal(err)
	}
	a := sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}
	ln, err := g.Listen(a, sock.Options{}, func(*loop.Conn) loop.Handler { return greeter{} })
	if err != nil {
		log.Fatal(err)
	}
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ln.Addr().Port))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	question, _ := bufio.NewReader(c).ReadString('?')
	fmt.Println(question)
	clock.Advance(time.Minute) // and no answer came
	_, _ = c.Read(make([]byte, 1))
	fmt.Println(g.Shutdown(context.Background()))
	// Output:
	// your name?
	// true
	// <nil>
}

// Datagrams: each is a call, and an answer goes to who sent it.
func ExampleGroup_ListenPacket() {
	g, err := loop.NewGroup(loop.GroupOptions{Loops: 1})
	if err != nil {
		log.Fatal(err)
	}
	echo := loop.PacketFunc(func(s *loop.PacketConn, p []byte, peer netip.AddrPort, _ bool) {
		if _, err := s.WriteTo(p, peer); err != nil {
			log.Print(err) // it may be lost, as any datagram may
		}
	})
	s, err := g.ListenPacket(sock.Addr{Scheme: "udp", Host: "127.0.0.1"}, sock.Options{}, echo)
	if err != nil {
		log.Fatal(err)
	}
	c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", s.Addr().Port))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "ping")
	answer := make([]byte, 16)
	n, err := c.Read(answer)
	fmt.Printf("%s %v\n", answer[:n], err)
	fmt.Println(g.Shutdown(context.Background()))
	// Output:
	// ping <nil>
	// <nil>
}
