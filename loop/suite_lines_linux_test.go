package loop_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// What makes accept fail again and again is a line in 10 s, which tells how many were left out. It was a line each
// time.
func TestAcceptFailuresInTheLog(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		var log lockedBuffer
		clock := manual()
		g, err := loop.NewGroup(loop.GroupOptions{Loops: 1, Options: loop.Options{Driver: driver, Clock: clock, Stall: -1,
			Log: slog.New(slog.NewTextHandler(&log, nil))}})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		sockets, err := g.Bind(sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Shutdown(sockets[0].FD(), unix.SHUT_RD); err != nil { // it listens no more: EINVAL
			t.Fatal(err)
		}
		_, err = g.ListenOn(sock.Options{}, func(*loop.Conn) loop.Handler { return nil }, sockets...)
		if err != nil {
			t.Fatal(err)
		}
		const seconds = 35
		for n := range int64(seconds) {
			eventually(t, "the next failure", func() bool { return g.Stats().StepBacks > n })
			if err := g.Loops()[0].Do(func() {}); err != nil { // the timer of the next try is set
				t.Fatal(err)
			}
			clock.Advance(time.Second)
		}
		got := log.String()
		if n := strings.Count(got, "accept failed"); n != 4 || !strings.Contains(got, "unlogged=9") {
			t.Errorf("%d lines in the log for failures in %d seconds, want 4, with how many were left out:\n%s", n, seconds, got)
		}
	})
}
