// Command echo sends back what it is sent: each connection is a coroutine that copies.
package main

import (
	"io"
	"log"
	"os"

	"github.com/plexor-go/plexor"
)

func main() {
	srv := &plexor.Server{}
	addr, err := srv.Open(append(os.Args, "tcp://127.0.0.1:9000")[1], plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) }))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on %s://%s", addr.Network(), addr)
	log.Fatal(srv.Wait())
}
