package web

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"syscall"
	"time"
)

// FilesOptions are the choices of [Files]. The zero value serves files and index.html, and lists nothing.
type FilesOptions struct {
	// List has a directory without an index.html listed. Up to 1,000 names are.
	List bool
	// Hidden has names that begin with a dot served and listed too. Without it, only /.well-known is (RFC 8615).
	Hidden bool
	// Precompressed looks beside each file for one of the same name with .br, .zst or .gz behind it, and serves that one
	// to clients that accept its encoding. Answers then vary by Accept-Encoding.
	Precompressed bool
	// CacheControl, if set, is the Cache-Control of files.
	CacheControl string
	// Log gets what a client is not told: why a file can't be read (default slog.Default()).
	Log *slog.Logger
}

// Files serves the files below root, by GET and HEAD. Nothing outside of it is: os.Root follows no symbolic link that
// leaves it, and a path with "..", an encoded slash, a backslash or a NUL in it is not found, whatever it would mean.
// Only regular files are served; others, as FIFOs and devices, are not found, and opening one does not wait.
//
// It knows ranges, several at once too, and If-Range, and the conditions of RFC 9110, section 13. The ETag of a file is
// strong and made of its time and size, so that a change which leaves both is missed; files without a time, as those of
// package embed, have a hash of what is in them. The type comes from the name, or from the file's first 512 bytes, and
// browsers are told not to guess (nosniff). A directory is redirected to its name with a slash, and is its index.html.
//
// On this package's server a file leaves by [plexor.Conn.SendFile]. The handler opens files, which may wait for a disk:
// so do not mark it [Inline]. It works under net/http too. A file that turns out shorter than it was breaks the answer
// off, by http.ErrAbortHandler.
func Files(root *os.Root, o FilesOptions) http.Handler {
	return &files{FilesOptions: o, log: sampled(o.Log), open: func(name string) (fs.File, error) {
		// A FIFO is opened for reading without a writer, and told by its mode then. O_NONBLOCK does nothing to files.
		return root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}}
}

// FilesFS is [Files] for any file system, as one of package embed. Beware of os.DirFS: it follows symbolic links to
// wherever they lead.
func FilesFS(fsys fs.FS, o FilesOptions) http.Handler {
	return &files{FilesOptions: o, log: sampled(o.Log), open: func(name string) (fs.File, error) {
		info, err := fs.Stat(fsys, name) // first, for opening a FIFO may wait
		if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
			err = fs.ErrNotExist
		}
		if err != nil {
			return nil, err
		}
		return fsys.Open(name)
	}}
}

type files struct {
	FilesOptions
	log    *slog.Logger
	open   func(name string) (fs.File, error)
	hashes hashes
}

// A file is one that is open, and what is known of it.
type file struct {
	fs.File
	name     string // in the tree
	info     fs.FileInfo
	encoding string // "", "br", "zstd" or "gzip"
}

const indexPage = "index.html"

func (s *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name, ok := s.nameOf(r.URL)
	if !ok {
		http.NotFound(w, r)
		return
	}
	slash := r.URL.Path == "" || strings.HasSuffix(r.URL.Path, "/")
	if path.Base(name) == indexPage && !slash {
		redirect(w, r, "./")
		return
	}
	f, err := s.openFile(name)
	if err != nil {
		s.refuse(w, r, name, err)
		return
	}
	defer f.Close()
	base := path.Base(name)
	switch {
	case f.info.IsDir() && !slash:
		redirect(w, r, base+"/")
	case f.info.IsDir():
		s.directory(w, r, f)
	case slash && base != ".":
		redirect(w, r, "../"+base)
	default:
		s.file(w, r, f)
	}
}

// nameOf is the name in the tree that a URL stands for. ok is false for what stands for none.
func (s *files) nameOf(u *url.URL) (name string, ok bool) {
	if raw := strings.ToLower(u.EscapedPath()); strings.Contains(raw, "%2f") || strings.Contains(raw, "%5c") {
		return "", false // whoever stands before us may take it for another path
	}
	name = strings.Trim(u.Path, "/")
	if strings.ContainsAny(name, "\\\x00") {
		return "", false
	}
	for i, part := range strings.Split(name, "/") {
		switch {
		case part == "..":
			return "", false
		case strings.HasPrefix(part, ".") && part != "." && !s.Hidden && (i > 0 || part != ".well-known"):
			return "", false
		}
	}
	if name = path.Clean(name); !fs.ValidPath(name) {
		return "", false
	}
	return name, true
}

// redirect sends the client to a place beside or below where it is, which may have a colon in its name.
func redirect(w http.ResponseWriter, r *http.Request, to string) {
	u := url.URL{Path: to, RawQuery: r.URL.RawQuery}
	w.Header().Set("Location", u.String())
	w.WriteHeader(http.StatusMovedPermanently)
}

// openFile opens a regular file or a directory.
func (s *files) openFile(name string) (*file, error) {
	f, err := s.open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = f.Close() // nothing was read
		return nil, err
	}
	return &file{File: f, name: name, info: info}, nil
}

// notFound are errors of names that stand for nothing: ENXIO is a socket's or a device's, ENAMETOOLONG no file's.
var notFound = []error{fs.ErrNotExist, fs.ErrInvalid, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG,
	syscall.ENXIO}

// passing are errors of the moment: the process, or the system, has no descriptor or no memory left.
var passing = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM}

// refuse answers that a file can't be had. The client is not told why, or where it would be.
func (s *files) refuse(w http.ResponseWriter, r *http.Request, name string, err error) {
	for _, e := range notFound {
		if errors.Is(err, e) {
			http.NotFound(w, r)
			return
		}
	}
	// An os.Root has no errno for a link that leaves it.
	if p, ok := errors.AsType[*fs.PathError](err); ok && !isErrno(p.Err) && !errors.Is(err, fs.ErrPermission) {
		http.NotFound(w, r)
		return
	}
	if errors.Is(err, fs.ErrPermission) {
		http.Error(w, "403 forbidden", http.StatusForbidden)
		return
	}
	s.log.Error("a file can't be served", "file", name, "err", err)
	for _, e := range passing {
		if errors.Is(err, e) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "503 service unavailable", http.StatusServiceUnavailable)
			return
		}
	}
	http.Error(w, "500 internal server error", http.StatusInternalServerError)
}

func isErrno(err error) bool {
	_, ok := errors.AsType[syscall.Errno](err)
	return ok
}

// directory serves a directory's page, its list, or nothing.
func (s *files) directory(w http.ResponseWriter, r *http.Request, d *file) {
	page, err := s.openFile(path.Join(d.name, indexPage))
	switch {
	case err == nil && !page.info.IsDir():
		defer page.Close()
		s.file(w, r, page)
		return
	case err == nil:
		_ = page.Close() // nothing was read
	case !errors.Is(err, fs.ErrNotExist):
		s.refuse(w, r, d.name, err)
		return
	}
	if !s.List {
		http.NotFound(w, r)
		return
	}
	s.list(w, r, d)
}

// file serves a file, or the one that stands beside it.
func (s *files) file(w http.ResponseWriter, r *http.Request, f *file) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if s.CacheControl != "" {
		h.Set("Cache-Control", s.CacheControl)
	}
	if _, set := h["Content-Type"]; !set { // one that is nil is wanted so
		kind, err := typeOf(f)
		if err != nil {
			s.refuse(w, r, f.name, err)
			return
		}
		h.Set("Content-Type", kind)
	}
	if s.Precompressed && h.Get("Content-Encoding") == "" {
		h.Add("Vary", "Accept-Encoding")
		if beside := s.beside(f, r.Header.Values("Accept-Encoding")); beside != nil {
			defer beside.Close()
			h.Set("Content-Encoding", beside.encoding)
			f = beside
		}
	}
	if h.Get("Etag") == "" {
		if tag := s.tag(f); tag != "" {
			h.Set("Etag", tag)
		}
	}
	if at := f.info.ModTime(); !noTime(at) {
		h.Set("Last-Modified", at.UTC().Format(http.TimeFormat))
	}
	content(w, r, f)
}

// noTime reports whether a time is none: the zero one, or that of the epoch.
func noTime(t time.Time) bool { return t.IsZero() || t.Equal(time.Unix(0, 0)) }

// sniffed is how much of a file tells its type (http.DetectContentType).
const sniffed = 512

// typeOf is a file's media type.
func typeOf(f *file) (string, error) {
	if kind := typeByName(f.name); kind != "" {
		return kind, nil
	}
	s, ok := f.File.(io.Seeker)
	if !ok {
		return "application/octet-stream", nil
	}
	var head [sniffed]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return "", err
	}
	if _, err := s.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	return http.DetectContentType(head[:n]), nil
}
