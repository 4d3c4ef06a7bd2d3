//go:build unix

package main

import (
	"syscall"
	"testing"

	"github.com/plexor-go/plexor/models"
)

// TestServeModelInterrupted: Ctrl-C of a terminal, which goes to all processes of the foreground, ends the workers of
// the model processes through their master, and the exit code is 0.
func TestServeModelInterrupted(t *testing.T) {
	m, err := models.Find(processesModel)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(); err != nil {
		t.Skip(err)
	}
	cmd := command("serve", "--model="+m.Name, "--workers=2", "echo=tcp://127.0.0.1:0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s := serve(t, 1, cmd)
	s.says(`model=processes workers=2$`)
	c := dial(t, "tcp", s.host(0))
	ask(t, c, "hello", 5)
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := s.exit(); code != exitOK {
		t.Errorf("exit code %d after SIGINT", code)
	}
	if rest := readAll(t, c); rest != "" {
		t.Errorf("%q came at the end", rest)
	}
}
