package ftpd_test

import (
	"errors"
	"os"
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
