// Package built builds the project's programs for tests. Linking them takes a dozen seconds of processor, and the tests
// of more than one package run them: so they stay in a folder of the checkout, .built, which git ignores, and what is
// up to date there is not linked again.
package built

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// Folder is where the programs stay, below the module's root. It may be deleted whenever no test runs.
const Folder = ".built"

// Into builds the programs among packages, named as go build takes them from the module's root, and puts them into
// dir, which is there and is the caller's, each named after its package. Any number of processes may do so at once, and
// what one of them has got stays as it is. Where Folder can't be written to or can't be locked, they are built in dir
// itself. The error has what the go command printed; it is exec.ErrNotFound where there is none.
func Into(root, dir string, packages ...string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	shared := filepath.Join(root, Folder)
	unlock, err := locked(shared)
	if err != nil {
		return build(root, dir, packages)
	}
	defer unlock()
	names, err := programs(root, packages)
	if err != nil {
		return err
	}
	if err := build(root, Folder, packages); err != nil {
		return err
	}
	for _, name := range names {
		if err := place(filepath.Join(shared, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("built: %w", err)
		}
	}
	return nil
}

// locked makes the folder and locks it for this process, until unlock or the process's end.
func locked(folder string) (unlock func(), err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	unlock = func() { _ = f.Close() } // nothing was written
	if err := lock(f); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// programs names the files of the programs among packages.
func programs(root string, packages []string) (names []string, err error) {
	out, err := run(root, append([]string{"list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`}, packages...))
	if err != nil {
		return nil, err
	}
	for _, p := range strings.Fields(out) {
		name := path.Base(p)
		if runtime.GOOS == "windows" {
			name += ".exe"
		}
		names = append(names, name)
	}
	return names, nil
}

func build(root, dir string, packages []string) error {
	_, err := run(root, append([]string{"build", "-ldflags=-s -w", "-o", dir + string(filepath.Separator)}, packages...))
	return err
}

// run runs the go command, and returns its standard output.
func run(root string, args []string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("built: go %s: %w\n%s", args[0], err, stderr.String())
	}
	return string(out), nil
}

// place makes a link to a program, or a copy where the two are on different file systems. The go command puts a new
// file in the place of an old one, so a link is to the same program for good.
func place(from, to string) (err error) {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
