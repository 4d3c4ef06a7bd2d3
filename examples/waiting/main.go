// Command waiting reads the same two messages four times, each time waiting in another way: blocking, non-blocking (it
// asks again and again), by a multiplexer that says who is ready, and asynchronously, by a call when it is done. The
// messages come on two sockets, the second one's first.
//
//	go run ./examples/waiting
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/selector"
	"github.com/plexor-go/plexor/sock"
)

// A desk has the other ends of two sockets, a and b. Something is said on b, and, when that has been heard, or at the
// latest after this time, on a.
const patience = time.Second

type desk struct {
	ends  [2]io.Writer
	heard chan bool
}

func (d *desk) talk() {
	d.heard = make(chan bool, len(d.ends))
	go func() {
		fmt.Fprint(d.ends[1], "hello from b")
		select {
		case <-d.heard:
		case <-time.After(patience):
		}
		fmt.Fprint(d.ends[0], "hello from a")
	}()
}

// got tells of a message.
func (d *desk) got(msg []byte) {
	fmt.Printf("   got %q\n", msg)
	d.heard <- true
}

// conns returns two connections that wait.
func (d *desk) conns() (conns [2]net.Conn, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return conns, err
	}
	defer ln.Close()
	for i := range conns {
		if conns[i], err = net.Dial("tcp", ln.Addr().String()); err == nil {
			d.ends[i], err = ln.Accept()
		}
		if err != nil {
			return conns, err
		}
	}
	return conns, nil
}

// sockets returns two bare sockets, which never wait.
func (d *desk) sockets() (sockets [2]sock.Socket, err error) {
	for i := range sockets {
		pair, err := sock.Pair()
		if err != nil {
			return sockets, err
		}
		sockets[i], d.ends[i] = pair[0], sender{pair[1]}
	}
	return sockets, nil
}

type sender struct{ sock.Socket }

func (s sender) Write(p []byte) (int, error) { return s.Send(p) }

// blocking reads a, and then b: b's message lies there all the while.
func blocking() error {
	var d desk
	conns, err := d.conns()
	if err != nil {
		return err
	}
	d.talk()
	buf := make([]byte, 100)
	for _, c := range conns {
		n, err := c.Read(buf) // waits
		if err != nil {
			return err
		}
		d.got(buf[:n])
	}
	return nil
}

// nonBlocking asks both, and both again, and burns a processor meanwhile.
func nonBlocking() error {
	var d desk
	conns, err := d.sockets()
	if err != nil {
		return err
	}
	d.talk()
	buf := make([]byte, 100)
	asked := 0
	for messages := 0; messages < 2; {
		for _, c := range conns {
			n, err := c.Recv(buf) // never waits
			asked++
			switch {
			case err == sock.ErrWouldBlock:
			case err != nil:
				return err
			default:
				d.got(buf[:n])
				messages++
			}
		}
	}
	fmt.Printf("   asked %d times\n", asked)
	return nil
}

// multiplexed waits for both at once: the kernel says which one is ready, and then a read does not wait.
func multiplexed() error {
	var d desk
	conns, err := d.sockets()
	if err != nil {
		return err
	}
	sel, err := selector.Default()
	if err != nil {
		return err
	}
	defer sel.Close()
	for _, c := range conns {
		if err := sel.Register(c.FD(), selector.Read, c); err != nil {
			return err
		}
	}
	d.talk()
	buf := make([]byte, 100)
	waits := 0
	for messages := 0; messages < 2; waits++ {
		ready, err := sel.Select(-1, nil) // waits, for all of them
		if err != nil {
			return err
		}
		for _, r := range ready {
			n, err := r.Data.(sock.Socket).Recv(buf)
			if err != nil {
				return err
			}
			d.got(buf[:n])
			messages++
		}
	}
	fmt.Printf("   waited %d times\n", waits)
	return nil
}

// asynchronous says what is to be done with a message, and goes on to something else.
func asynchronous() error {
	var d desk
	l, err := loop.New(loop.Options{})
	if err != nil {
		return err
	}
	defer l.Close()
	addr := sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}
	messages := 0
	ln, err := l.Listen(addr, sock.Options{}, func(*loop.Conn) loop.Handler {
		return loop.HandlerFunc(func(_ *loop.Conn, msg []byte) { // called by the loop, when the bytes are here
			d.got(msg)
			if messages++; messages == 2 {
				l.Close()
			}
		})
	})
	if err != nil {
		return err
	}
	host := net.JoinHostPort("127.0.0.1", fmt.Sprint(ln.Addr().Port))
	for i := range d.ends {
		if d.ends[i], err = net.Dial("tcp", host); err != nil {
			return err
		}
	}
	fmt.Println("   it is arranged, and nobody waits here")
	d.talk()
	return l.Run()
}

func main() {
	for _, way := range []struct {
		title string
		read  func() error
	}{
		{"blocking: the call waits, for one socket", blocking},
		{"non-blocking: the call never waits, so it is made again and again", nonBlocking},
		{"multiplexed: one call waits for all sockets", multiplexed},
		{"asynchronous: no call waits, a function is called", asynchronous},
	} {
		fmt.Println(way.title)
		if err := way.read(); err != nil {
			log.Fatal(err)
		}
	}
}
