//go:build linux

package main

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// modules are those of the kernel that the guest needs, with those on which they depend.
var modules = []string{"virtio_pci", "virtio_blk", "crc32c_generic", "ext4"}

// makeInitrd makes an archive of this program as /init and of modules, in the order in which they are loaded.
func makeInitrd(path, kernel string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	e, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return err
	}
	for _, p := range e.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("this program is not a static one: build it with CGO_ENABLED=0")
		}
	}
	files, err := findModules(kernel)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := &archive{w: bufio.NewWriter(f)}
	w.add("init", 0o100755, program)
	for _, d := range []string{"modules", "dev", "proc", "data", "tmp"} {
		w.add(d, 0o40755, nil)
	}
	for i, m := range files {
		b, err := os.ReadFile(m)
		if err != nil {
			return err
		}
		w.add(fmt.Sprintf("modules/%02d", i), 0o100644, b)
	}
	w.add("TRAILER!!!", 0, nil)
	return errors.Join(w.err, w.w.Flush(), f.Close())
}

// findModules finds the files of modules and of those that they need, which come before them.
func findModules(kernel string) (files []string, err error) {
	byName := make(map[string]string)
	err = filepath.WalkDir(filepath.Join(kernel, "lib", "modules"), func(path string, _ fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok {
			byName[strings.ReplaceAll(name, "-", "_")] = path
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	var add func(name string) error
	add = func(name string) error {
		path := byName[name]
		if name == "" || seen[name] || path == "" { // one that is not there is a part of the kernel
			return nil
		}
		seen[name] = true
		f, err := elf.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		s := f.Section(".modinfo")
		if s == nil {
			return fmt.Errorf("%s is no module", path)
		}
		info, err := s.Data()
		if err != nil {
			return err
		}
		for _, line := range strings.Split(string(info), "\x00") {
			needs, ok := strings.CutPrefix(line, "depends=")
			if !ok {
				continue
			}
			for _, n := range strings.Split(needs, ",") {
				if err := add(strings.ReplaceAll(n, "-", "_")); err != nil {
					return err
				}
			}
		}
		files = append(files, path)
		return nil
	}
	for _, name := range modules {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// An archive is one that the kernel unpacks: cpio's "newc" (the kernel's Documentation, early-userspace/buffer-format).
type archive struct {
	w   *bufio.Writer
	ino int
	n   int // bytes
	err error
}

func (a *archive) add(name string, mode int, data []byte) {
	a.ino++
	a.print("070701")
	for _, v := range []int{a.ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0} {
		a.print(fmt.Sprintf("%08x", v))
	}
	a.print(name + "\x00")
	a.pad()
	a.print(string(data))
	a.pad()
}

func (a *archive) pad() { a.print(strings.Repeat("\x00", -a.n&3)) }

func (a *archive) print(s string) {
	a.n += len(s)
	if _, err := io.WriteString(a.w, s); err != nil && a.err == nil {
		a.err = err
	}
}
