package powercut_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/plexor-go/plexor/nettests/powercut"
)

// mount shows a disk, or skips the test where that can't be. cut is the power failure: the disk that comes back.
func mount(t *testing.T, d *powercut.Disk) (dir string, unmount func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("FUSE is mounted by root")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip(err)
	}
	dir = t.TempDir()
	end, err := powercut.Mount(d, dir)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	over := false
	unmount = func() {
		if !over {
			over = true
			if err := end(); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(unmount)
	return dir, unmount
}

// list is what is below a folder, as "name=content", a folder as "name/".
func list(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		switch {
		case err != nil || path == dir:
			return err
		case e.IsDir():
			all = append(all, name+"/")
			return nil
		}
		b, err := os.ReadFile(path)
		all = append(all, name+"="+string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// A place is a folder on a disk, in which a row of a test does what it does.
type place struct {
	t   *testing.T
	dir string
}

func (p place) path(name string) string { return filepath.Join(p.dir, name) }

func (p place) ok(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p place) write(name, content string, flags int) *os.File {
	p.t.Helper()
	f, err := os.OpenFile(p.path(name), os.O_RDWR|os.O_CREATE|flags, 0o600)
	p.ok(err)
	_, err = f.WriteString(content)
	p.ok(err)
	p.t.Cleanup(func() { f.Close() })
	return f
}

func (p place) sync(name string) {
	p.t.Helper()
	f, err := os.Open(p.path(name))
	p.ok(err)
	p.ok(f.Sync())
	p.ok(f.Close())
}

// TestForgets: what was synced is there after a power failure, and nothing else.
func TestForgets(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(p place)
		now  string // what programs see before the failure
		left string
	}{
		{"nothing synced", func(p place) { p.write("a", "1", 0) }, "a=1", ""},
		{"a file without its name", func(p place) { p.write("a", "1", 0); p.sync("a") }, "a=1", ""},
		{"a name without its file", func(p place) { p.write("a", "1", 0); p.sync(".") }, "a=1", "a="},
		{"both", func(p place) { p.write("a", "1", 0); p.sync("a"); p.sync(".") }, "a=1", "a=1"},
		{"O_SYNC", func(p place) { p.write("a", "1", os.O_SYNC); p.sync(".") }, "a=1", "a=1"},
		{"what was appended", func(p place) {
			f := p.write("a", "1", 0)
			p.sync("a")
			p.sync(".")
			_, err := f.WriteString("2")
			p.ok(err)
		}, "a=12", "a=1"},
		{"cut short", func(p place) {
			f := p.write("a", "123", 0)
			p.sync("a")
			p.sync(".")
			p.ok(f.Truncate(1))
		}, "a=1", "a=123"},
		{"renamed", func(p place) {
			p.write("a", "1", 0)
			p.sync("a")
			p.sync(".")
			p.ok(os.Rename(p.path("a"), p.path("b")))
		}, "b=1", "a=1"},
		{"renamed over another", func(p place) {
			p.write("a", "1", 0)
			p.write("b", "2", 0)
			p.sync("a")
			p.sync("b")
			p.sync(".")
			p.ok(os.Rename(p.path("a"), p.path("b")))
			p.sync(".")
		}, "b=1", "b=1"},
		{"moved to a folder that is synced", func(p place) {
			p.ok(os.Mkdir(p.path("d"), 0o700))
			p.sync(".")
			p.write("a", "1", 0)
			p.sync("a")
			p.ok(os.Rename(p.path("a"), p.path("d/a")))
			p.sync("d")
		}, "d/ d/a=1", "d/ d/a=1"},
		{"moved from a folder that is synced", func(p place) {
			p.ok(os.Mkdir(p.path("d"), 0o700))
			p.write("a", "1", 0)
			p.sync("a")
			p.ok(os.Rename(p.path("a"), p.path("d/a")))
			p.sync(".")
		}, "d/ d/a=1", "d/ d/a=1"},
		{"removed", func(p place) {
			p.write("a", "1", 0)
			p.sync("a")
			p.sync(".")
			p.ok(os.Remove(p.path("a")))
		}, "", "a=1"},
		{"removed, and kept so", func(p place) {
			p.write("a", "1", 0)
			p.sync("a")
			p.sync(".")
			p.ok(os.Remove(p.path("a")))
			p.sync(".")
		}, "", ""},
		{"linked", func(p place) {
			p.write("a", "1", 0)
			p.sync("a")
			p.ok(os.Link(p.path("a"), p.path("b")))
			p.sync(".")
		}, "a=1 b=1", "a=1 b=1"},
		{"a folder whose name is lost", func(p place) {
			p.ok(os.Mkdir(p.path("d"), 0o700))
			p.write("d/a", "1", 0)
			p.sync("d/a")
			p.sync("d")
		}, "d/ d/a=1", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := powercut.NewDisk()
			dir, unmount := mount(t, d)
			row.do(place{t, dir})
			if got := list(t, dir); got != row.now {
				t.Fatalf("programs see %q, want %q", got, row.now)
			}
			d.Cut()
			if err := os.WriteFile(filepath.Join(dir, "late"), nil, 0o600); !errors.Is(err, syscall.EIO) {
				t.Errorf("a write after the failure: %v, want EIO", err)
			}
			unmount()
			d = d.Restore(nil)
			dir, _ = mount(t, d)
			if got := list(t, dir); got != row.left {
				t.Errorf("left is %q, want %q", got, row.left)
			}
		})
	}
}

// TestForgetsInPart: what was not synced is there in part, in different parts, and never something else.
func TestForgetsInPart(t *testing.T) {
	const size = 3 * 4096
	all := map[string]int{}
	for seed := range uint64(60) {
		d := powercut.NewDisk()
		dir, unmount := mount(t, d)
		p := place{t, dir}
		old, changed := strings.Repeat("o", size), strings.Repeat("n", size)
		f := p.write("a", old, 0)
		p.sync("a")
		p.sync(".")
		_, err := f.WriteAt([]byte(changed), 0)
		p.ok(err)
		p.ok(os.Rename(p.path("a"), p.path("b")))
		d.Cut()
		unmount()
		dir, unmount = mount(t, d.Restore(rand.New(rand.NewPCG(seed, 1))))
		names, err := os.ReadDir(dir)
		if err != nil || len(names) != 1 {
			t.Fatalf("names %v, error %v", names, err)
		}
		b, err := os.ReadFile(filepath.Join(dir, names[0].Name()))
		if err != nil || len(b) != size {
			t.Fatalf("%d bytes, error %v", len(b), err)
		}
		what := names[0].Name() + " "
		for at := 0; at < size; at += 4096 {
			part := b[at : at+4096]
			if bytes.Count(part, part[:1]) != len(part) || part[0] != 'o' && part[0] != 'n' {
				t.Fatalf("a block is neither the old one nor the new one: %q", part[:20])
			}
			what += string(part[:1])
		}
		all[what]++
		unmount()
	}
	if len(all) < 8 { // of 16
		t.Errorf("only %d different ends: %v", len(all), all)
	}
}

// TestFull: a disk that is full says so, and room that was given back is there again.
func TestFull(t *testing.T) {
	d := powercut.NewDisk()
	dir, _ := mount(t, d)
	d.SetFull(10_000)
	a := filepath.Join(dir, "a")
	if err := os.WriteFile(a, make([]byte, 10_001), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v, want ENOSPC", err)
	}
	if err := os.Remove(a); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a, make([]byte, 10_000), 0o600); err != nil {
		t.Error(err)
	}
}
