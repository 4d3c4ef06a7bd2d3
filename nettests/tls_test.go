package nettests

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/loop"
	"golang.org/x/net/nettest"
)

// TestTLSShared: what Conn.Shared returns on a connection over TLS is a net.Conn by the book, with deadlines after
// which it is as usable as before. At the other end of each pair is another of its kind.
func TestTLSShared(t *testing.T) {
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			given := make(chan net.Conn, 2)
			srv := &plexor.Server{Driver: d.Name, Handler: plexor.HandlerFunc(func(c *plexor.Conn) {
				if _, err := io.ReadFull(c, make([]byte, 1)); err == nil {
					given <- c.Shared()
				}
			})}
			addr, err := srv.Open("tls://127.0.0.1:0", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer srv.Close()
			// Both ends must be as usable after a timeout, which a tls.Conn is not. So each end is the server's, of a
			// connection of its own, and between their clients bytes are copied.
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				var ends, clients [2]net.Conn
				for i := range 2 {
					client, err := tls.Dial("tcp", addr.String(), &tls.Config{InsecureSkipVerify: true})
					if err != nil {
						return nil, nil, nil, err
					}
					if _, err := client.Write([]byte{0}); err != nil {
						return nil, nil, nil, err
					}
					clients[i], ends[i] = client, <-given
				}
				done := make(chan struct{}, 2)
				for i := range 2 {
					go func() {
						io.Copy(clients[i], clients[1-i])
						clients[i].Close()
						done <- struct{}{}
					}()
				}
				return ends[0], ends[1], func() {
					ends[0].Close()
					ends[1].Close()
					<-done
					<-done
				}, nil
			})
		})
	}
}
