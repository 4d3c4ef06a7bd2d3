package plexor_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"

	"github.com/plexor-go/plexor"
)

// An echo over TLS, with a certificate that the server makes for itself, and a client that trusts that one.
func ExampleTLS() {
	srv := &plexor.Server{
		Handler: plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) }),
		TLS:     &plexor.TLS{Config: &tls.Config{NextProtos: []string{"echo"}}},
	}
	addr, err := srv.Open("tls://127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	cert, _ := srv.SelfSigned()
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	c, err := tls.Dial("tcp", addr.String(), &tls.Config{RootCAs: roots, NextProtos: []string{"echo"}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, "hello")
	line, err := bufio.NewReader(c).ReadString('\n')
	fmt.Printf("%q %v, by %s\n", line, err, c.ConnectionState().NegotiatedProtocol)
	// Output: "hello\n" <nil>, by echo
}

// A server of a protocol that begins in plain text, and goes on in TLS when it is asked to.
func ExampleConn_StartTLS() {
	cfg := &tls.Config{ /* certificates */ }
	_ = plexor.GreeterFunc(func(c *plexor.Conn) {
		fmt.Fprint(c, "220 ready\r\n")
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line != "STARTTLS\r\n" || c.TLS() {
				fmt.Fprint(c, "250 ok\r\n")
				continue
			}
			if r.Buffered() > 0 { // somebody put it there in plain text
				return
			}
			fmt.Fprint(c, "220 go ahead\r\n")
			if err := c.StartTLS(cfg); err != nil {
				log.Print(err)
				return
			}
			r.Reset(c)
		}
	})
}
