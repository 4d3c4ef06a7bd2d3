package ftp

import (
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A hugeFS has a folder with n entries, which are nowhere, and a file of any length.
type hugeFS struct {
	FileSystem
	n    int
	most *uint64 // of the heap, as far as it was seen
}

func (h hugeFS) Stat(string) (fs.FileInfo, error) {
	return info{"/", 0, fs.ModeDir | 0o755, time.Time{}}, nil
}

func (h hugeFS) ReadDir(_ string, each func(fs.FileInfo) error) error {
	for i := range h.n {
		if err := each(info{fmt.Sprintf("file %08d", i), 1, 0o644, time.Time{}}); err != nil {
			return err
		}
		if i%10_000 == 0 {
			*h.most = max(*h.most, heap())
		}
	}
	return nil
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// mostGrowth is how much memory a listing or a transfer takes, however long it is. The race detector has pools forget
// some of what they get.
const mostGrowth = raceFactor << 20

// TestHugeFolder lists a folder as it is read: it is never in memory as a whole, here or at the client.
func TestHugeFolder(t *testing.T) {
	r := newRig(t, &Server{Limits: Limits{Entries: 150_000}})
	most := heap()
	begin := most
	r.user.FS = hugeFS{r.user.FS, 200_000, &most}
	c := r.client(ClientOptions{})
	n := 0
	for e, err := range c.Entries(t.Context(), "/") {
		if err != nil || e.Name == "" {
			t.Fatal(e, err)
		}
		n++
	}
	if n != 150_000 {
		t.Errorf("%d entries, want as many as Limits.Entries", n)
	}
	if grown := int64(most) - int64(begin); grown > mostGrowth {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if lines := r.in().do("STAT /", 212).Lines; len(lines) != 1002 || !strings.Contains(lines[1001], "more") {
		t.Errorf("STAT has %d lines", len(lines))
	}
}

// TestHugeFile sends more than memory should hold, in both directions.
func TestHugeFile(t *testing.T) {
	cert, pool := newCert(t)
	for _, row := range []struct {
		name string
		size int64
		srv  *Server
		o    ClientOptions
	}{
		{"plain", 64 << 20, &Server{}, ClientOptions{}},
		{"TLS", 32 << 20, &Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}},
			ClientOptions{Security: Explicit, TLS: &tls.Config{RootCAs: pool}}},
	} {
		t.Run(row.name, func(t *testing.T) { // one after the other, for they are measured
			r := newRig(t, row.srv)
			r.sparse("big", row.size)
			hugeFile(t, r.client(row.o), row.size)
		})
	}
}

func hugeFile(t *testing.T, c *Client, size int64) {
	begin := heap()
	most, seen := begin, int64(0)
	look := func(n int) {
		if seen += int64(n); seen%(size/4) < int64(n) {
			most = max(most, heap())
		}
	}
	n, err := c.Retr(t.Context(), "big", 0, writerFunc(func(p []byte) (int, error) { look(len(p)); return len(p), nil }))
	if n != size || err != nil {
		t.Errorf("Retr: %d, %v", n, err)
	}
	left := size
	n, err = c.Stor(t.Context(), "up", 0, readerFunc(func(p []byte) (int, error) {
		if left == 0 {
			return 0, io.EOF
		}
		m := min(int64(len(p)), left)
		left -= m
		look(int(m))
		return int(m), nil
	}))
	if n != size || err != nil {
		t.Errorf("Stor: %d, %v", n, err)
	}
	if grown := int64(most) - int64(begin); grown > mostGrowth {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}
