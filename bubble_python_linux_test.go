package plexor_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/ipc"
)

// TestBubblePythonCloses: a listener that was made in a bubble is closed by a goroutine outside, while a handshake goes
// on, goroutines of both wait in Accept, and lines are left out of its log.
func TestBubblePythonCloses(t *testing.T) {
	inBubble(t, func(t *testing.T, o outside, results chan error) {
		log := slog.New(slog.DiscardHandler)
		l, err := ipc.ListenPython("tcp://127.0.0.1:0", ipc.PythonOptions{AuthKey: []byte("key"), Log: log})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if _, err := ipc.DialPython(t.Context(), l.Addr(), ipc.PythonOptions{AuthKey: []byte("wrong")}); err == nil {
				t.Error("a wrong key was taken")
			}
		}
		silent, err := net.Dial("tcp", strings.TrimPrefix(l.Addr(), "tcp://"))
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		if _, err := silent.Read(make([]byte, 4)); err != nil { // the challenge: so its handshake has begun
			t.Fatal(err)
		}
		accept := func() error { _, err := l.Accept(context.Background()); return err }
		here := make(chan error, 1)
		go func() { here <- accept() }()
		there := o.call(results, accept)
		o <- func() {
			wantNone(t, "close", l.Close())
			results <- net.ErrClosed // as the others say
		}
		for _, err := range []error{<-here, there(), <-results} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept: %v, want net.ErrClosed", err)
			}
		}
	})
}
