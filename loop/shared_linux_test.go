package loop

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/sock"
	"golang.org/x/sys/unix"
)

// TestSharedListener: of two groups on one socket, the one that leaves leaves the file and the backlog to the other.
func TestSharedListener(t *testing.T) {
	for _, d := range Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "loop") // shorter than t.TempDir, for a socket's path is bounded
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			path := filepath.Join(dir, "s")
			s, err := sock.Listen(sock.Addr{Scheme: "unix", Path: path}, sock.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var groups []*Group
			for range 2 {
				g, err := NewGroup(GroupOptions{Loops: 2, Options: Options{Driver: d.Name}})
				if err != nil {
					t.Fatal(err)
				}
				defer g.Close()
				fd, err := unix.FcntlInt(uintptr(s.FD()), unix.F_DUPFD_CLOEXEC, 3)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := g.ListenShared(sock.Options{}, func(*Conn) Handler { return sharedEcho{} },
					sock.Socket(fd)); err != nil {
					t.Fatal(err)
				}
				groups = append(groups, g)
			}
			groups[0].LeaveListening()
			before := groups[0].Stats().Accepted
			for range 20 {
				c, err := net.Dial("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, 5)
				if _, err = c.Write([]byte("hello")); err == nil {
					_, err = c.Read(buf)
				}
				if err != nil || string(buf) != "hello" {
					t.Fatalf("got %q, %v", buf, err)
				}
				_ = c.Close() // it was answered
			}
			if got := groups[0].Stats().Accepted; got != before {
				t.Errorf("the group that left accepted %d more", got-before)
			}
			groups[1].LeaveListening()
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("the file is gone: %v", err)
			}
		})
	}
}

// TestSharedListenerHeld: of two loops on one socket, one is held by a handler; nobody waits for it.
func TestSharedListenerHeld(t *testing.T) {
	for _, d := range Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			s, err := sock.Listen(sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			addr, err := s.LocalAddr()
			if err != nil {
				t.Fatal(err)
			}
			_, host, _ := strings.Cut(addr.String(), "://")
			var loops []*Loop
			for range 2 {
				g, err := NewGroup(GroupOptions{Loops: 1, Options: Options{Driver: d.Name, Stall: -1}})
				if err != nil {
					t.Fatal(err)
				}
				defer g.Close()
				fd, err := unix.FcntlInt(uintptr(s.FD()), unix.F_DUPFD_CLOEXEC, 3)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := g.ListenShared(sock.Options{}, func(*Conn) Handler { return sharedEcho{} },
					sock.Socket(fd)); err != nil {
					t.Fatal(err)
				}
				loops = append(loops, g.Loops()...)
			}
			for i, l := range loops {
				held, free := make(chan struct{}), make(chan struct{})
				if err := l.Post(func() { close(held); <-free }); err != nil {
					t.Fatal(err)
				}
				<-held
				for n := range 4 {
					c, err := net.Dial("tcp", host)
					if err != nil {
						t.Fatal(err)
					}
					if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
						t.Fatal(err)
					}
					buf := make([]byte, 5)
					if _, err = c.Write([]byte("hello")); err == nil {
						_, err = c.Read(buf)
					}
					_ = c.Close() // it was answered, or failed
					if err != nil || string(buf) != "hello" {
						t.Errorf("connection %d while loop %d is held: got %q, %v", n, i, buf, err)
						break
					}
				}
				close(free)
			}
		})
	}
}

type sharedEcho struct{ Base }

func (sharedEcho) Data(c *Conn, p []byte) { _, _ = c.Write(p) }
