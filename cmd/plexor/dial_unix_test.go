//go:build unix

package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDialRoots: the system's authorities are read off the loop, however long that takes. Here it takes as long as a
// pipe in their place is open for writing, and nobody reports that a loop is held.
func TestDialRoots(t *testing.T) {
	s := serve(t, 1, command("serve", "echo=tls://127.0.0.1:0"))
	pipe := filepath.Join(t.TempDir(), "roots.pem")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	t.Setenv("SSL_CERT_FILE", pipe)
	t.Setenv("SSL_CERT_DIR", t.TempDir()) // with none
	f, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		time.Sleep(300 * time.Millisecond)
		f.Close()
		for { // who opens it later waits for somebody who writes
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
			}
			if w, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
				w.Close()
			}
		}
	}()
	code, _, stderr := dialled(t, "", s.addrs[0])
	if code != 1 || !strings.Contains(stderr, "unknown authority") || strings.Contains(stderr, "holds its loop") {
		t.Errorf("exit %d, standard error %q; want 1, an unknown authority, and no loop that is held", code, stderr)
	}
}

// TestDialUnixNamed: what fails on the way to a unix socket names that.
func TestDialUnixNamed(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return // nobody came
		}
		_, _ = c.Read(make([]byte, 1)) // what is left unread makes Close a reset
		c.Close()
	}()
	address := "unix://" + ln.Addr().String()
	code, _, stderr := dialled(t, strings.Repeat("x", 4<<20), address)
	ends(t, 1, "^plexor: "+address+": ", code, stderr)
	if strings.Contains(stderr, "loop:") {
		t.Errorf("it says %q", stderr)
	}
}
