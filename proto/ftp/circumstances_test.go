package ftp

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestManyErrors has limits above 255, which are not without end.
func TestManyErrors(t *testing.T) {
	r := newRig(t, &Server{Limits: Limits{Errors: 300, Tries: 300}})
	c := r.talk()
	for range 299 {
		c.do("FOO", 500)
	}
	c.do("FOO", 421)
	c.ended()
	c = r.talk()
	for range 299 {
		c.do("USER joe", 331)
		c.do("PASS wrong", 530)
	}
	c.do("USER joe", 331)
	c.do("PASS wrong", 421)
	c.ended()
}

// A failFS fails with err wherever a file is looked at, opened or read, or a folder read.
type failFS struct {
	FileSystem
	stat, open, read, list error
}

func (f failFS) Stat(name string) (fs.FileInfo, error) {
	if f.stat != nil {
		return nil, f.stat
	}
	return f.FileSystem.Stat(name)
}

func (f failFS) Open(name string) (File, error) {
	if f.open != nil {
		return nil, f.open
	}
	file, err := f.FileSystem.Open(name)
	if err == nil && f.read != nil {
		file = failFile{file, f.read}
	}
	return file, err
}

func (f failFS) ReadDir(name string, each func(fs.FileInfo) error) error {
	if f.list != nil {
		return f.list
	}
	return f.FileSystem.ReadDir(name, each)
}

type failFile struct {
	File
	err error
}

func (f failFile) Read([]byte) (int, error) { return 0, f.err }

// TestPassingErrors has a system without descriptors or memory: the replies say that the same may work later. A client
// that goes on with an upload does not take them for a file that there is not, and begin anew.
func TestPassingErrors(t *testing.T) {
	for _, errno := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN,
		syscall.EINTR, syscall.EIO} {
		r := newRig(t, &Server{})
		r.file("a", "0123456789")
		files := r.user.FS
		err := &os.PathError{Op: "openat", Path: "a", Err: errno}
		r.user.FS = failFS{FileSystem: files, open: err}
		c := r.in()
		c.passive()
		c.do("RETR a", 451)
		r.user.FS = failFS{FileSystem: files, stat: err}
		c.do("SIZE a", 451)
		c.do("CWD /", 451)
		k := r.client(ClientOptions{})
		var refused *Error
		if _, err := k.Resume(t.Context(), "a", strings.NewReader("0123456789abcdef")); !errors.As(err, &refused) ||
			!refused.Temporary() {
			t.Errorf("%v: Resume: %v", errno, err)
		}
		r.has("a", "0123456789")
	}
}

// TestFailingFiles has what can't be read once a transfer has begun: it is the server's fault, and no connection's.
func TestFailingFiles(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("a", "x")
	files, mine := r.user.FS, errors.New("mine")
	r.user.FS = failFS{FileSystem: files, read: mine}
	c := r.in()
	for _, line := range []string{"TYPE I", "TYPE A"} {
		c.do(line, 200)
		data := c.passive()
		c.do("RETR a", 150)
		c.want(451)
		if _, err := io.ReadAll(data); err == nil {
			t.Errorf("%s: the data has ended as if it were whole", line)
		}
	}
	for _, err := range []error{mine, fs.ErrPermission, fs.ErrNotExist} {
		r.user.FS = failFS{FileSystem: files, list: err}
		for _, line := range []string{"LIST", "NLST", "MLSD"} {
			c.passive()
			c.do(line, 150)
			c.want(451)
		}
	}
}

// TestSlowerThanLeast has a user whose rate is below the least one: it is not the client that is slow.
func TestSlowerThanLeast(t *testing.T) {
	t.Parallel()
	r := newRig(t, &Server{Limits: Limits{StallTime: 1500 * time.Millisecond, LeastRate: 1 << 20}})
	r.user.Rate = 10_000
	r.file("a", strings.Repeat("x", 25_000))
	c := r.in()
	if got := c.get("RETR a"); len(got) != 25_000 {
		t.Errorf("got %d bytes", len(got))
	}
	c.put("STOR b", strings.Repeat("x", 25_000), 226)
}
