package ftpd_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proto/ftp"
)

// A funcFS calls a function in Stat.
type funcFS struct {
	ftp.FileSystem
	stat func()
}

func (f funcFS) Stat(string) (os.FileInfo, error) {
	f.stat()
	return nil, os.ErrNotExist
}

// TestFullPostQueue: what comes from a goroutine gets to the loop although its queue is full for a while.
func TestFullPostQueue(t *testing.T) {
	drivers(t, func(t *testing.T, driver string) {
		srv := &plexor.Server{Driver: driver, Loops: 1}
		loops := make(chan *loop.Loop, 1)
		users := new(ftp.Accounts)
		users.Add("full", "x", &ftp.User{Name: "full", FS: funcFS{stat: func() {
			l, hold := <-loops, make(chan struct{})
			err := l.Post(func() { <-hold })
			for err == nil {
				err = l.Post(func() {})
			}
			if !errors.Is(err, loop.ErrPostQueueFull) {
				t.Error(err)
			}
			time.AfterFunc(50*time.Millisecond, func() { close(hold) }) // by then the command's end was to be posted
		}}})
		addr, _ := serve(t, &ftp.Server{Users: users}, srv)
		a, err := srv.Open("tcp://127.0.0.1:0", plexor.HandlerFunc(func(c *plexor.Conn) { loops <- c.Loop() }))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dial(t, a.String()).nc.Write([]byte("x")); err != nil { // a handler begins with the first byte
			t.Fatal(err)
		}
		c := dial(t, addr)
		c.want("220")
		c.do("USER full", "331")
		c.do("PASS x", "230")
		c.do("SIZE a", "550")
		c.do("NOOP", "200")
	})
}

// session logs joe in, and has a data connection made.
func session(t *testing.T, addr string) (c *talk, data net.Conn) {
	t.Helper()
	c = dial(t, addr)
	c.want("220")
	c.do("USER joe", "331")
	c.do("PASS secret", "230")
	c.do("TYPE I", "200")
	port, err := ftp.ParseEPSV(c.do("EPSV", "229"))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	_ = data.SetDeadline(time.Now().Add(patience))
	return c, data
}

// gone waits until a server has n sessions.
func gone(t *testing.T, s *ftp.Server, n int64) {
	t.Helper()
	for end := time.Now().Add(patience); s.Stats().Sessions != n; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("there are %d sessions, want %d", s.Stats().Sessions, n)
		}
	}
}

// TestControlLost ends the control connection, in each way, while data is under way in both directions: the transfer
// ends with it, not as if it were whole, and nothing is left behind.
func TestControlLost(t *testing.T) {
	drivers(t, func(t *testing.T, driver string) {
		s := new(ftp.Server)
		addr, dir := serve(t, s, &plexor.Server{Driver: driver, Loops: 1})
		if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 32<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, lose := range []func(nc *net.TCPConn) error{(*net.TCPConn).Close, (*net.TCPConn).CloseWrite,
			func(nc *net.TCPConn) error { return errors.Join(nc.SetLinger(0), nc.Close()) }} {
			c, data := session(t, addr)
			c.do("RETR big", "150")
			up, upload := session(t, addr)
			up.do("STOR up", "150")
			for _, c := range []*talk{c, up} {
				if err := lose(c.nc.(*net.TCPConn)); err != nil {
					t.Fatal(err)
				}
			}
			if n, err := io.Copy(io.Discard, data); n == 32<<20 || err == nil {
				t.Errorf("the download: %d bytes, %v", n, err)
			}
			if _, err := upload.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the upload: %v", err)
			}
			gone(t, s, 0)
		}
	})
}

// TestNobodyConnects has passive ports that nobody connects to: with a transfer that waits, and with a client that
// goes before; and clients that stop taking.
func TestNobodyConnects(t *testing.T) {
	drivers(t, func(t *testing.T, driver string) {
		s := &ftp.Server{Limits: ftp.Limits{DataWait: 50 * time.Millisecond}}
		addr, dir := serve(t, s, &plexor.Server{Driver: driver, Loops: 1})
		if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		c, _ := session(t, addr)
		c.do("EPSV", "229") // in place of the one before
		c.do("RETR x", "150")
		c.want("425")
		c.do("EPSV", "229")
		c.nc.Close()
		gone(t, s, 0)
	})
}

// TestNobodyTakes has a client that stops in the midst of a download.
func TestNobodyTakes(t *testing.T) {
	drivers(t, func(t *testing.T, driver string) {
		s := &ftp.Server{Limits: ftp.Limits{StallTime: 100 * time.Millisecond}}
		addr, dir := serve(t, s, &plexor.Server{Driver: driver, Loops: 1})
		if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 32<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _ := session(t, addr)
		c.do("RETR big", "150")
		c.want("426")
		c.do("NOOP", "200")
		if n := s.Stats().Stalled; n != 1 {
			t.Errorf("Stalled = %d, want 1", n)
		}
	})
}
