package plexor_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"sync"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
)

// Turns: the handler reads by hand, and an idle connection holds no stack and no buffer. What it reads ahead it handles
// before it returns.
func ExampleTurns() {
	readers := sync.Pool{New: func() any { return bufio.NewReader(nil) }}
	srv := &plexor.Server{}
	srv.Handler = plexor.Turns(func(c *plexor.Conn) error {
		r := readers.Get().(*bufio.Reader)
		defer readers.Put(r)
		for r.Reset(c); ; {
			line, err := r.ReadString('\n') // waits for the rest of the line
			if err != nil {
				return err // io.EOF: the peer has closed its half
			}
			if _, err := fmt.Fprintf(c, "%d %s", len(line)-1, line); err != nil {
				return err
			}
			if r.Buffered() == 0 {
				return nil // rest until more comes
			}
		}
	})
	addr, err := srv.Open("tcp://127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "hello\nyou\n")
	c.(*net.TCPConn).CloseWrite()
	all, err := io.ReadAll(c)
	fmt.Printf("%q %v\n", all, err)
	// Output: "5 hello\n3 you\n" <nil>
}

// Sessions: each connection has a state, which is made when it opens, and told of its end.
func ExampleSessions() {
	type guest struct{ name string }
	ended := make(chan string, 1)
	srv := &plexor.Server{}
	srv.Handler = plexor.Sessions[*guest]{
		Codec: frame.Line{},
		Open: func(c *plexor.Conn) (*guest, error) {
			return new(guest), c.Send([]byte("your name?"))
		},
		Message: func(c *plexor.Conn, g *guest, msg []byte) error {
			if g.name == "" {
				g.name = string(msg)
				return c.Send([]byte("hello " + g.name))
			}
			return c.Send([]byte(g.name + " says " + string(msg)))
		},
		Closed: func(g *guest, reason error) { ended <- fmt.Sprint(g.name, ": ", reason) },
	}
	addr, err := srv.Open("tcp://127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "Ann\ngood morning\n")
	c.(*net.TCPConn).CloseWrite()
	all, err := io.ReadAll(c)
	fmt.Printf("%s%v\n%s\n", all, err, <-ended)
	// Output:
	// your name?
	// hello Ann
	// Ann says good morning
	// <nil>
	// Ann: EOF
}
