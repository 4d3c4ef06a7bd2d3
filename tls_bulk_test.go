package plexor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// TestTLSReadFills: one Read takes all records that have arrived, as far as it has room, and not one of them alone. Of
// an echo of much, each Read costs a turn of the handler, and each Write a record.
func TestTLSReadFills(t *testing.T) {
	const pieces, size = 3, 10_000
	const record = size + 22 // its header, type and tag (RFC 8446 section 5.2)
	handle := func(c *plexor.Conn) error {
		b := make([]byte, pieces*size+1)
		if _, err := c.Read(b); err != nil {
			return err
		}
		fmt.Fprintln(c, "ready")
		for plexor.Unread(c) < pieces*record {
			if err := coro.Sleep(c.Context(), time.Millisecond); err != nil {
				return err
			}
		}
		n, err := c.Read(b)
		if err == nil {
			_, err = fmt.Fprintln(c, n)
		}
		return err
	}
	for name, h := range map[string]plexor.Handler{
		"HandlerFunc": plexor.HandlerFunc(func(c *plexor.Conn) { _ = handle(c) }),
		"Turns":       plexor.Turns(handle),
	} {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				b := serveTLS(t, driver, &plexor.Server{}, nil, h)
				cfg := b.client()
				cfg.DynamicRecordSizingDisabled = true
				c := b.connect(cfg)
				send(t, c, "now")
				want(t, c, "ready\n")
				for range pieces {
					send(t, c, strings.Repeat("x", size))
				}
				want(t, c, fmt.Sprintln(pieces*size))
			})
		})
	}
}
