package main

import (
	"net"
	"syscall"
	"testing"

	"github.com/plexor-go/plexor/models"
)

// TestServeModel: each model serves both services, one client after the other, and ends
// with 0 when it is told to, though a client is still there.
func TestServeModel(t *testing.T) {
	for _, m := range models.All() {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			if err := m.Check(); err != nil {
				t.Skip(err)
			}
			args := []string{"serve", "--model=" + m.Name}
			if m.Name == processesModel {
				args = append(args, "--workers=2")
			}
			s := serve(t, 2, command(append(args, "upper=tcp://127.0.0.1:0", "echo=tcp://127.0.0.1:0")...))
			for range 2 {
				for i, want := range []string{"HELLO_SB", "hello"} {
					c := dial(t, "tcp", s.host(i))
					if got := ask(t, c, "hello", len(want)); got != want {
						t.Errorf("%q, want %q", got, want)
					}
					if err := c.(*net.TCPConn).CloseWrite(); err != nil {
						t.Error(err)
					}
					if rest := readAll(t, c); rest != "" {
						t.Errorf("%q came after the reply", rest)
					}
					_ = c.Close()
				}
			}
			ask(t, dial(t, "tcp", s.host(1)), "still here", len("still here"))
			s.signal(syscall.SIGTERM)
			if code := s.exit(); code != 0 {
				t.Errorf("exit code %d after SIGTERM", code)
			}
		})
	}
}
