//go:build !linux

package mailcatch

import "os"

// folders are tmp and new, by os.Root.
type folders struct{ root *os.Root }

func (f *folders) open(root *os.Root) error {
	f.root = root
	return nil
}

// create makes a file in tmp.
func (f *folders) create(name string) (*os.File, error) {
	return f.root.OpenFile(tmpDir+"/"+name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// publish moves a file from tmp to new.
func (f *folders) publish(name string) error {
	return f.root.Rename(tmpDir+"/"+name, newDir+"/"+name)
}

func (f *folders) close() error { return nil }
