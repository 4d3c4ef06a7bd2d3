package plexor_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
)

// TestCooledDown has connections rest, which lose the buffers of their tls.Conn's a second later, and go on.
func TestCooledDown(t *testing.T) {
	beside(t)
	eachDriver(t, func(t *testing.T, driver string) {
		t.Parallel() // each waits for some seconds
		for _, row := range []struct {
			name string
			h    plexor.Handler
		}{
			{"Copy", plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}, // its end is the client's affair
			{"Turns", plexor.Turns(func(c *plexor.Conn) error {
				p := make([]byte, 1000)
				n, err := c.Read(p)
				if err != nil {
					return err
				}
				_, err = c.Write(p[:n])
				return err
			})},
		} {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				b := serveTLS(t, driver, &plexor.Server{Loops: 1}, nil, row.h)
				raw := &halved{Conn: b.dial()}
				cfg := b.client()
				cfg.DynamicRecordSizingDisabled = true
				c := tls.Client(raw, cfg)
				long := strings.Repeat("0123456789", 1600) // nearly a record
				for _, text := range []string{"a", long} {
					send(t, c, text)
					want(t, c, text)
					for ; plexor.Warm(b.Server) > 0; time.Sleep(20 * time.Millisecond) {
					}
				}
				raw.between = func() { // half a record is there, and must stay
					for ; plexor.Warm(b.Server) == 0; time.Sleep(time.Millisecond) {
					}
					for range 3 {
						plexor.CoolDown(b.Server)
					}
					if n := plexor.Warm(b.Server); n != 1 {
						t.Errorf("%d connections hold buffers, want 1", n)
					}
				}
				send(t, c, long)
				raw.between = nil
				want(t, c, long)
				c.Close()
			})
		}
	})
}

// halved writes in two halves, if there is something to be done between them.
type halved struct {
	net.Conn
	between func()
}

func (h *halved) Write(p []byte) (int, error) {
	if h.between == nil {
		return h.Conn.Write(p)
	}
	n, err := h.Conn.Write(p[:len(p)/2])
	if err != nil {
		return n, err
	}
	h.between()
	m, err := h.Conn.Write(p[n:])
	return n + m, err
}
