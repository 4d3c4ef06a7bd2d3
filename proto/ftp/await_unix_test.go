//go:build unix

package ftp

import (
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
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
