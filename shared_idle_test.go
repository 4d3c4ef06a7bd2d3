package plexor_test

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/loop"
)

// TestSharedIdle: by the loops' clock, a connection that goroutines have is closed when no byte has moved for so long
// in either direction, and not before; who waits to read is told.
func TestSharedIdle(t *testing.T) {
	eachShared(t, func(t *testing.T, pair makePair) {
		clock := loop.NewManualClock(time.Now())
		limits := plexor.Limits{IdleTimeout: 8 * time.Second}
		b, server, client := pair(t, &plexor.Server{Loops: 1, Clock: clock, Limits: limits})
		second := func() {
			t.Helper()
			clock.Advance(time.Second)
			if err := plexor.Turn(b.Server); err != nil {
				t.Fatal(err)
			}
		}
		for _, ends := range [][2]net.Conn{{client, server}, {server, client}} {
			for range 12 {
				send(t, ends[0], "x")
				want(t, ends[1], "x")
				second()
			}
		}
		if s := b.Stats(); s.Idle != 0 || s.Conns != 1 {
			t.Fatalf("of a connection that is used: %+v", s)
		}
		read := make(chan error, 1)
		go func() {
			_, err := server.Read(make([]byte, 1))
			read <- err
		}()
		for range 12 {
			second()
		}
		if err := recvError(t, read); !errors.Is(err, plexor.ErrIdle) {
			t.Errorf("the Read that waited: %v, want ErrIdle", err)
		}
		b.await("the end", func(s plexor.Stats) bool { return s.Idle == 1 && s.Conns == 0 })
	})
}
