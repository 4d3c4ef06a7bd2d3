package models_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/plexor-go/plexor/models"
	"github.com/plexor-go/plexor/sock"
)

func ExampleModel_Serve() {
	m, err := models.Find("goroutines")
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan sock.Addr, 1), make(chan error, 1)
	go func() {
		ended <- m.Serve(ctx, models.Job{
			Addr:    sock.Addr{Scheme: "tcp", Host: "127.0.0.1"},
			Service: models.Upper,
			Ready:   func(a sock.Addr) { ready <- a },
		})
	}()
	a := <-ready
	c, err := net.Dial("tcp", net.JoinHostPort(a.Host, strconv.Itoa(a.Port)))
	if err != nil {
		panic(err)
	}
	fmt.Fprint(c, "hello")
	reply, _ := bufio.NewReader(c).ReadString('B')
	fmt.Println(m.Name, "is", m.Quadrant)
	fmt.Println(reply)
	c.Close()
	stop()
	fmt.Println("ended with", <-ended)
	// Output:
	// goroutines is asynchronous, blocking; concurrent, parallel
	// HELLO_SB
	// ended with <nil>
}
