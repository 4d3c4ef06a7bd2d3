package ftp

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// linkTries is how often TestChangingLinks fetches and stores, and linkTransfers how often TestLinksUnderTransfers
// does by a session. A soak has more: FTP_LINKS=1 is 100,000 each.
const (
	linkTries     = 2000
	linkTransfers = 100
)

func tries(n int) int {
	if os.Getenv("FTP_LINKS") != "" {
		return 100_000
	}
	return n
}

// links makes a rig of which the folder d is turned into a link out of the root and back, all the time until the test
// ends. In the folder outside f and in have secrets, and the name of a third file is one.
func links(t *testing.T) *rig {
	t.Helper()
	r, out := newRig(t, &Server{}), t.TempDir()
	for _, name := range []string{"f", "in", "TOP"} {
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
	t.Cleanup(func() {
		close(stop)
		wg.Wait()
		for _, name := range []string{"f", "in", "TOP"} {
			if b, err := os.ReadFile(filepath.Join(out, name)); string(b) != "TOP SECRET" {
				t.Errorf("outside %s is %q, %v", name, b, err)
			}
		}
		if entries, err := os.ReadDir(out); len(entries) != 3 {
			t.Errorf("outside there is %v, %v", entries, err)
		}
	})
	return r
}

// TestChangingLinks fetches and stores through such a link: nothing of what is outside is read, or written.
func TestChangingLinks(t *testing.T) {
	r := links(t)
	fsys := r.user.FS
	var got, refused int
	buf := make([]byte, 100)
	for range tries(linkTries) {
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
}

// TestLinksUnderTransfers does so by sessions, from the command to the last byte: what is fetched, listed and stored,
// and what is appended.
func TestLinksUnderTransfers(t *testing.T) {
	t.Parallel()
	r := links(t)
	c := r.in()
	done := make(map[string]int)
	both := func() bool { return done["refused"] > 0 && done["RETR"]+done["LIST"]+done["STOR"] > 0 }
	for i, end := 0, time.Now().Add(patience); i < tries(linkTransfers) || !both() && time.Now().Before(end); i++ {
		line := []string{"RETR d/f", "STOR d/in", "APPE d/in", "LIST d", "MLSD d", "NLST d"}[i%6]
		name, _, _ := strings.Cut(line, " ")
		_ = c.nc.SetDeadline(time.Now().Add(patience))
		data := c.passive()
		c.send(line + "\r\n")
		if code := c.reply().Code; code != 150 {
			done["refused"]++
			data.Close()
			continue
		}
		if name == "STOR" || name == "APPE" {
			write(t, data, "x")
			_ = data.(*net.TCPConn).CloseWrite()
		}
		b, _ := io.ReadAll(data) // how it ends is for the reply to say
		data.Close()
		if strings.Contains(string(b), "TOP") {
			t.Fatalf("%s told of what is outside: %q", line, b)
		}
		c.reply()
		done[name]++
	}
	if !both() {
		t.Errorf("nothing was tried: %v", done)
	}
}
