package plexor_test

import (
	"fmt"
	"log"
	"net"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
)

// A client that says nothing is asked whether it is still there, and loses its connection if it does not answer either.
func ExampleIdle() {
	type device struct{ asked bool }
	srv := &plexor.Server{Limits: plexor.Limits{ReadIdle: 20 * time.Millisecond}} // in earnest a minute
	srv.Handler = plexor.Sessions[*device]{
		Codec: frame.Line{},
		Open:  func(*plexor.Conn) (*device, error) { return new(device), nil },
		Message: func(c *plexor.Conn, d *device, msg []byte) error {
			d.asked = false
			return nil
		},
		Idle: func(c *plexor.Conn, d *device, _ plexor.Idle) error {
			if d.asked {
				return plexor.ErrIdle
			}
			d.asked = true
			return c.Send([]byte("are you there?"))
		},
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
	fmt.Fprintln(c, "hello")
	buf := make([]byte, 64)
	n, err := c.Read(buf)
	fmt.Printf("%q %v\n", buf[:n], err)
	n, err = c.Read(buf)
	fmt.Printf("%q %v\n", buf[:n], err)
	// Output:
	// "are you there?\n" <nil>
	// "" EOF
}

// Who is there, and for how long? Each may be asked from anywhere.
func ExampleServer_Each() {
	echo := func(c *plexor.Conn, msg []byte) error { return c.Send(msg) }
	srv := &plexor.Server{Handler: plexor.Messages(frame.Line{}, echo)}
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
	fmt.Fprintln(c, "hello")
	fmt.Fscanln(c, new(string))
	err = srv.Each(func(i plexor.ConnInfo) bool {
		fmt.Println(i.Remote.String() == c.LocalAddr().String(), i.Age < time.Minute, i.TLS, i.Handling)
		return true
	})
	fmt.Println(err, srv.Stats().Listeners[0].Conns)
	// Output:
	// true true false false
	// <nil> 1
}
