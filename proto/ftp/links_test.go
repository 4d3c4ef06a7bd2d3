package ftp

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// linkTries is how often TestChangingLinks fetches and stores. A soak has more: FTP_LINKS=100000.
const linkTries = 2000

// TestChangingLinks has somebody turn a folder into a link out of the root and back, all the time, while others fetch
// and store through it: nothing of what is outside is read, or written.
func TestChangingLinks(t *testing.T) {
	r := newRig(t, &Server{})
	out := t.TempDir()
	for _, name := range []string{"f", "in"} {
		if err := os.WriteFile(filepath.Join(out, name), []byte("TOP SECRET"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.file("real/f", "mine")
	r.file("other/f", "mine too")
	link := filepath.Join(r.dir, "d")
	if err := os.Symlink("real", link); err != nil {
		t.Skip("no links here:", err)
	}
	tries := linkTries
	if os.Getenv("FTP_LINKS") != "" {
		tries = 100_000
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		next := link + ".next"
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			to := []string{out, "real", "../" + filepath.Base(out), "other", filepath.Join(out, "f")}[i%5]
			if os.Symlink(to, next) == nil {
				_ = os.Rename(next, link) // what is there when the next one looks is what is tried
			}
			runtime.Gosched()
		}
	})
	defer wg.Wait()
	defer close(stop)
	fsys := r.user.FS
	var got, refused int
	buf := make([]byte, 100)
	for range tries {
		if f, err := fsys.Open("d/f"); err == nil {
			n, _ := f.Read(buf)
			if strings.Contains(string(buf[:n]), "TOP") {
				t.Fatal("a file outside was read")
			}
			f.Close()
			got++
		} else {
			refused++
		}
		if f, err := fsys.Create("d/in", Replace); err == nil {
			_, _ = f.Write([]byte("x")) // a file that is gone takes it too
			f.Close()
		}
		_ = fsys.Remove("d/in") // there may be none
		_ = fsys.Rename("d/f", "d/g")
		_ = fsys.Rename("d/g", "d/f")
	}
	if got == 0 || refused == 0 {
		t.Errorf("%d were read, and %d refused: nothing was tried", got, refused)
	}
	for _, name := range []string{"f", "in"} {
		if b, err := os.ReadFile(filepath.Join(out, name)); string(b) != "TOP SECRET" {
			t.Errorf("outside %s is %q, %v", name, b, err)
		}
	}
	if entries, err := os.ReadDir(out); len(entries) != 2 {
		t.Errorf("outside there is %v, %v", entries, err)
	}
}
