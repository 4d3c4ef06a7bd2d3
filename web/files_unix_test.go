//go:build unix

package web_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/plexor-go/plexor/web"
)

// TestFilesNoFiles: FIFOs, sockets and devices are not found, and opening one does not wait.
func TestFilesNoFiles(t *testing.T) {
	root, dir := tree(t, map[string]string{"sub/a": "a"})
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Skip(err)
	}
	t.Chdir(dir) // a socket's path is bounded
	l, err := net.Listen("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Symlink("fifo", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	names := []string{"/fifo", "/link", "/socket", "/fifo/", "/sub/fifo"}
	if syscall.Mknod(filepath.Join(dir, "zero"), syscall.S_IFCHR|0o600, 1<<8|5) == nil { // root alone may
		names = append(names, "/zero")
	}
	for kind, h := range map[string]http.Handler{"Root": web.Files(root, web.FilesOptions{Precompressed: true}),
		"FS": web.FilesFS(os.DirFS(dir), web.FilesOptions{})} {
		for _, name := range names {
			if w := ask(h, "GET", name, "Accept-Encoding", "gzip"); w.Code != http.StatusNotFound {
				t.Errorf("%s, GET %s: %d %.20q", kind, name, w.Code, w.Body)
			}
		}
	}
}
