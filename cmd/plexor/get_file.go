package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/plexor-go/plexor/coro"
)

// take reads the body, and writes it where it is to go. Files block, so a goroutine writes them.
func (r *getRun) take(ctx context.Context, f *getFetch, body io.Reader) (err error) {
	var to io.Writer = io.Discard
	switch {
	case r.cmd.Out == "-":
		to = asideWriter{ctx, r.c.out}
	case r.root != nil:
		name := r.name(f.URL)
		file, err := coro.Await(ctx, func() (*os.File, error) {
			return r.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		})
		if err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		f.File = name
		defer func() {
			if cerr := file.Close(); err == nil && cerr != nil {
				err = fmt.Errorf("--out: %w", cerr)
			}
			if err != nil {
				_ = r.root.Remove(name) // it is not whole
				f.File = ""
			}
		}()
		to = asideWriter{ctx, file}
	}
	f.Bytes, err = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{body}, make([]byte, pieceSize))
	return err
}

// An asideWriter writes on a goroutine.
type asideWriter struct {
	ctx context.Context
	w   io.Writer
}

func (a asideWriter) Write(p []byte) (int, error) {
	own := append([]byte(nil), p...) // a cancelled Await leaves the goroutine with it
	return coro.Await(a.ctx, func() (int, error) { return a.w.Write(own) })
}

// mostName is how long a file's name may be, in bytes, before its number.
const mostName = 120

// name is a file's name for a URL, that no other has: its letters and digits, and nothing that a system takes for more
// than a name. A file that is there already is never written to.
func (r *getRun) name(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		u = &url.URL{Path: text}
	}
	var b strings.Builder
	for _, c := range strings.Trim(u.Host+u.EscapedPath(), "/") {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-._", c) {
			b.WriteRune(c)
		} else {
			b.WriteByte('_')
		}
	}
	base := strings.Trim(b.String(), ".")
	base = base[:min(len(base), mostName)]
	if r.names == nil {
		r.names = make(map[string]bool)
	}
	name := base
	for n := 2; r.names[strings.ToLower(name)] || name == ""; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	r.names[strings.ToLower(name)] = true // for systems that take both for one
	return name
}
