//go:build unix

package ftp

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slowUploads is how many uploads TestStillUploads has at once.
const slowUploads = 100

// TestStillUploads has uploads that have sent much, and then send nothing: none of them holds a buffer.
func TestStillUploads(t *testing.T) {
	r := newRig(t, &Server{})
	text := strings.Repeat("x", copyBuffer)
	var conns []*talk
	var data []net.Conn
	for range slowUploads {
		c := r.in()
		conns, data = append(conns, c), append(data, c.passive())
	}
	runtime.GC()
	runtime.GC() // what the pools have is gone
	before := heap()
	for i, c := range conns {
		c.do("STOR up", 150)
		write(t, data[i], text)
	}
	for _, c := range conns {
		want := ": 65536 bytes"
		for end := time.Now().Add(patience); !strings.Contains(c.do("STAT", 213).Lines[0], want); {
			if time.Now().After(end) {
				t.Fatal("not all has come")
			}
		}
	}
	runtime.GC()
	if each := (int64(heap()) - int64(before)) / slowUploads; each > 16<<10 {
		t.Errorf("an upload that waits holds %d bytes", each)
	}
	for i, c := range conns {
		write(t, data[i], "the rest")
		data[i].Close()
		c.want(226)
	}
}

// TestSignals has signals come all the time, in the midst of system calls: what is fetched and stored is whole.
func TestSignals(t *testing.T) {
	r := newRig(t, &Server{})
	const size = 16 << 20
	r.sparse("big", size)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Kill(os.Getpid(), unix.SIGURG) // the runtime handles it, and does nothing
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	c := r.client(ClientOptions{})
	for range 3 {
		n, err := c.Retr(t.Context(), "big", 0, io.Discard)
		if n != size || err != nil {
			t.Fatalf("Retr: %d bytes, %v", n, err)
		}
	}
	if n, err := c.Stor(t.Context(), "up", 0, io.LimitReader(zeros{}, size)); n != size || err != nil {
		t.Errorf("Stor: %d bytes, %v", n, err)
	}
	if info, err := os.Stat(filepath.Join(r.dir, "up")); err != nil || info.Size() != size {
		t.Errorf("stored: %v, %v", info, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestResetUpload resets the data connection of an upload that waits: what came does not count as whole. Whoever
// looks for bytes must not take the error away from who reads.
func TestResetUpload(t *testing.T) {
	r := newRig(t, &Server{})
	c := r.in()
	for range 20 {
		data := c.passive()
		c.do("STOR up", 150)
		write(t, data, "part")
		for end := time.Now().Add(patience); !strings.Contains(c.do("STAT", 213).Lines[0], ": 4 bytes"); {
			if time.Now().After(end) {
				t.Fatal("not all has come")
			}
		}
		if err := data.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		data.Close()
		c.want(426)
		r.has("up", "part")
	}
	if st := r.srv.Stats(); st.Transfers != 0 || st.Failed != 20 {
		t.Errorf("the counts are %+v", st)
	}
}
