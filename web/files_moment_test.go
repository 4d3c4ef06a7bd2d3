package web_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/web"
)

// A failing is a file system that fails as long as err is set.
type failing struct {
	fs.FS
	err error
}

func (f *failing) Open(name string) (fs.File, error) {
	if f.err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: f.err}
	}
	return f.FS.Open(name)
}

// TestFilesOfTheMoment: what is lacking for a moment is no fault of the file's: the client may come again, and the log
// gets a few lines, however many clients ask.
func TestFilesOfTheMoment(t *testing.T) {
	var log bytes.Buffer
	files := &failing{FS: fstest.MapFS{"a.txt": {Data: []byte("hello")}}}
	h := web.FilesFS(files, web.FilesOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
	ask := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/a.txt", nil))
		return w
	}
	const asked = 200
	start := time.Now()
	for _, err := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		files.err = err
		for range asked {
			if w := ask(); w.Code != 503 || w.Header().Get("Retry-After") == "" {
				t.Fatalf("%v: %d %v", err, w.Code, w.Header())
			}
		}
	}
	most := sample.Burst + int(time.Since(start)/sample.Every) + 2
	if n := strings.Count(log.String(), "a file can't be served"); n == 0 || n > most {
		t.Errorf("%d lines of %d; want some, and at most %d", n, 3*asked, most)
	}
	files.err = syscall.EIO
	if w := ask(); w.Code != 500 {
		t.Errorf("EIO: %d", w.Code)
	}
	files.err = nil
	if w := ask(); w.Code != 200 || w.Body.String() != "hello" {
		t.Errorf("afterwards: %d %q", w.Code, w.Body)
	}
}
