//go:build linux || darwin || freebsd

package loop_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// postTo runs f in a posted function of l, and waits until it has returned.
func postTo(t *testing.T, l *loop.Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	if err := l.Post(func() { defer close(done); f() }); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("a call on the loop itself does not return")
	}
}

// TestGroupFromItsLoop: what would wait for the loop that it was called on fails at once, and the rest does not wait.
func TestGroupFromItsLoop(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		g := group(t, loop.GroupOptions{Loops: 2, Options: loop.Options{Driver: driver}})
		a, udp := address(t, "tcp"), sock.Addr{Scheme: "udp", Host: "127.0.0.1"}
		accept := newCensus().accept
		var lns []*loop.GroupListener
		for range 2 { // one on each loop
			ln, err := g.Listen(a, sock.Options{}, accept)
			if err != nil {
				t.Fatal(err)
			}
			lns = append(lns, ln)
		}
		errs := make(map[string]error)
		l := g.Loops()[0]
		postTo(t, l, func() {
			_, errs["Listen"] = g.Listen(a, sock.Options{}, accept)
			_, errs["ListenPacket"] = g.ListenPacket(udp, sock.Options{}, nil)
			errs["Wait"] = g.Wait()
			errs["Shutdown"] = g.Shutdown(context.Background())
		})
		for name, err := range errs {
			if !errors.Is(err, loop.ErrOnLoop) {
				t.Errorf("%s: %v, want ErrOnLoop", name, err)
			}
		}
		postTo(t, l, func() {
			ran := false
			if err := l.Do(func() { ran = true }); err != nil || !ran {
				t.Errorf("Do on the loop itself: %v, and it ran: %t", err, ran)
			}
			for _, ln := range lns {
				if err := ln.Close(); err != nil {
					t.Errorf("Close of a listener: %v", err)
				}
			}
			g.StopListening()
			g.LeaveListening()
			if err := g.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if err := l.Run(); err == nil {
				t.Error("Run on the loop itself: no error")
			}
		})
		if err := g.Wait(); err != nil {
			t.Errorf("Wait: %v", err)
		}
	})
}
