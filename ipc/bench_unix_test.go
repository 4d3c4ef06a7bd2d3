//go:build unix

package ipc

import (
	"os"
	"syscall"
	"testing"
)

// BenchmarkFloor is what two processes of Go need for the same as BenchmarkPipe with nothing but the system calls: they
// block in read, each on a thread.
func BenchmarkFloor(b *testing.B) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		b.Fatal(err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "pair")
	cmd := child(b, "floor")
	cmd.ExtraFiles = []*os.File{theirs}
	start(b, cmd)
	defer syscall.Close(fds[0])
	p := make([]byte, 64)
	var cl clock
	for b.Loop() {
		cl.tick()
		syscall.Write(fds[0], p)
		syscall.Read(fds[0], p)
	}
	cl.report(b)
}

func init() {
	children["floor"] = func([]string) error {
		p := make([]byte, 64)
		for {
			n, err := syscall.Read(3, p)
			if n <= 0 {
				return err
			}
			syscall.Write(3, p[:n])
		}
	}
}
