package plexor_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
)

func TestFirst(t *testing.T) {
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			srv := &plexor.Server{Driver: d.Name, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) })}
			a, err := srv.Open("tcp://127.0.0.1:0", nil)
			if err != nil {
				t.Fatal(err)
			}
			b, err := srv.Open("tcp://127.0.0.1:0", plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
				return c.Send(bytes.ToUpper(msg))
			}))
			if err != nil {
				t.Fatal(err)
			}
			c, err := srv.OpenPackets("udp://127.0.0.1:0", plexor.PacketFunc(func(p *plexor.Packet) { p.Reply(p.Data) }))
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range []net.Addr{a, b, c} {
				conn, err := net.Dial(x.Network(), x.String())
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					conn.Write([]byte("hello\n"))
					buf := make([]byte, 100)
					n, err := conn.Read(buf)
					t.Logf("%s %q %v", x, buf[:n], err)
				}
				conn.Close()
			}
			if err := srv.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", srv.Stats())
		})
	}
}
