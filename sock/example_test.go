package sock_test

import (
	"fmt"
	"log"
	"net"
	"runtime"

	"github.com/plexor-go/plexor/sock"
)

func ExampleParseAddr() {
	a, err := sock.ParseAddr("tcp://[::1]:9000?backlog=512")
	fmt.Println(a.Scheme, a.Host, a.Port, a.Query.Get("backlog"), err)
	_, err = sock.ParseAddr("localhost:9000")
	fmt.Println(err)
	// Output:
	// tcp ::1 9000 512 <nil>
	// address "localhost:9000": the scheme is missing; did you mean tcp://localhost:9000?
}

func ExampleParseOptions() {
	a, err := sock.ParseAddr("tcp://:9000?keepidle=60s&frame=len4")
	if err != nil {
		log.Fatal(err)
	}
	o, rest, err := sock.ParseOptions(a.Query)
	fmt.Println(o.KeepAlive.Idle, rest, err)
	// Output: 1m0s map[frame:[len4]] <nil>
}

func ExampleOptions_Check() {
	a := sock.Addr{Scheme: "udp", Port: 9000}
	fmt.Println(sock.Options{Backlog: 512}.Check(a))
	// Output: option backlog: a udp socket does not have it
}

// A server that takes one connection and answers one message, by waiting in the simplest way there is: asking
// again. A selector is the better one.
func ExampleListen() {
	l, err := sock.Listen(sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	at, err := l.LocalAddrPort()
	if err != nil {
		log.Fatal(err)
	}
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "hello")

	s, err := l.Accept()
	for ; err == sock.ErrWouldBlock; s, err = l.Accept() {
		runtime.Gosched()
	}
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	buf := make([]byte, 100)
	n, err := s.Recv(buf)
	for ; err == sock.ErrWouldBlock; n, err = s.Recv(buf) {
		runtime.Gosched()
	}
	fmt.Println(string(buf[:n]), err)
	// Output: hello <nil>
}
