package web

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"
)

// content answers with a file whose header is set: as the conditions of the request say, and as much as it asks for.
func content(w http.ResponseWriter, r *http.Request, f *file) {
	h := w.Header()
	switch check(r, h.Get("Etag"), f.info.ModTime()) {
	case http.StatusPreconditionFailed:
		plain(h)
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	case http.StatusNotModified:
		h.Del("Content-Type")
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	size := f.info.Size()
	_, seeks := f.File.(io.Seeker)
	var ranges []byteRange
	if seeks {
		h.Set("Accept-Ranges", "bytes")
		var err error
		if ranges, err = rangesOf(r, h.Get("Etag"), f.info.ModTime(), size); err != nil {
			plain(h)
			h.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
			http.Error(w, "416 range not satisfiable", http.StatusRequestedRangeNotSatisfiable)
			return
		}
	}
	switch len(ranges) {
	case 0:
		f.head(w, http.StatusOK, size)
		send(w, r, f, byteRange{0, size})
	case 1:
		h.Set("Content-Range", ranges[0].of(size))
		f.head(w, http.StatusPartialContent, ranges[0].n)
		send(w, r, f, ranges[0])
	default:
		parts(w, r, f, ranges)
	}
}

// plain takes back what is said of a file that is not sent.
func plain(h http.Header) {
	for _, name := range []string{"Cache-Control", "Content-Encoding", "Content-Type", "Etag", "Last-Modified"} {
		h.Del(name)
	}
}

// head begins the answer. The length is not ours to say where somebody around us encodes.
func (f *file) head(w http.ResponseWriter, status int, length int64) {
	if h := w.Header(); h.Get("Content-Encoding") == f.encoding {
		h.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	w.WriteHeader(status)
}

// A fileSender is a ResponseWriter to which the system can send a file.
type fileSender interface {
	SendFile(f *os.File, off, n int64) (int64, error)
}

// send sends a part of a file. One that can't be sent whole breaks the answer off, whose length was promised.
func send(w http.ResponseWriter, r *http.Request, f *file, part byteRange) {
	if r.Method == http.MethodHead || part.n == 0 {
		return
	}
	if err := copyPart(w, f, part); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// leastSent is from which length on, in bytes, a file is left to the system to send: a shorter one goes with its head.
const leastSent = 64 << 10

func copyPart(w io.Writer, f *file, part byteRange) error {
	open, isFile := f.File.(*os.File)
	if to, ok := w.(fileSender); ok && isFile && part.n >= leastSent {
		if _, err := to.SendFile(open, part.from, part.n); err == nil || !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	if at, ok := f.File.(io.Seeker); ok {
		if _, err := at.Seek(part.from, io.SeekStart); err != nil {
			return err
		}
	}
	_, err := io.CopyN(w, f.File, part.n) // by io.ReaderFrom, if w has it
	return err
}

// parts answers with several ranges (RFC 9110, section 14.6).
func parts(w http.ResponseWriter, r *http.Request, f *file, ranges []byteRange) {
	h, size := w.Header(), f.info.Size()
	kind := h.Get("Content-Type")
	header := func(p byteRange) textproto.MIMEHeader {
		return textproto.MIMEHeader{"Content-Range": {p.of(size)}, "Content-Type": {kind}}
	}
	// What is not sent is counted first, for the length.
	var length counter
	m := multipart.NewWriter(&length)
	boundary := m.Boundary()
	for _, p := range ranges {
		_, _ = m.CreatePart(header(p)) // a counter takes all
		length += counter(p.n)
	}
	_ = m.Close()
	h.Set("Content-Type", "multipart/byteranges; boundary="+boundary)
	f.head(w, http.StatusPartialContent, int64(length))
	if r.Method == http.MethodHead {
		return
	}
	m = multipart.NewWriter(w)
	_ = m.SetBoundary(boundary) // it was one
	for _, p := range ranges {
		if _, err := m.CreatePart(header(p)); err != nil {
			panic(http.ErrAbortHandler)
		}
		send(w, r, f, p)
	}
	_ = m.Close() // a client that is gone hears nothing more
}

// A counter counts what is written.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// check looks at the conditions of a request, in the order of RFC 9110, section 13.2.2. It is the status that they ask
// for, or 0.
func check(r *http.Request, tag string, modified time.Time) int {
	switch match := r.Header.Values("If-Match"); {
	case len(match) > 0:
		if !matches(match, tag, false) {
			return http.StatusPreconditionFailed
		}
	default:
		if at, ok := timeOf(r, "If-Unmodified-Since"); ok && !noTime(modified) && modified.Truncate(time.Second).After(at) {
			return http.StatusPreconditionFailed
		}
	}
	switch match := r.Header.Values("If-None-Match"); {
	case len(match) > 0:
		if matches(match, tag, true) {
			return http.StatusNotModified
		}
	default:
		if at, ok := timeOf(r, "If-Modified-Since"); ok && !noTime(modified) && !modified.Truncate(time.Second).After(at) {
			return http.StatusNotModified
		}
	}
	return 0
}

func timeOf(r *http.Request, field string) (time.Time, bool) {
	t, err := http.ParseTime(r.Header.Get(field))
	return t, err == nil
}

// matches reports whether a tag is among those of a field; weakly, if W/ makes no difference. What is no list of tags
// matches nothing behind the place where it is none.
func matches(values []string, tag string, weak bool) bool {
	for _, v := range values {
		for v = strings.TrimLeft(v, " \t,"); v != ""; v = strings.TrimLeft(v, " \t,") {
			if v[0] == '*' {
				return true
			}
			one, rest, ok := cutTag(v)
			if !ok {
				break
			}
			if same(one, tag, weak) {
				return true
			}
			v = rest
		}
	}
	return false
}

// same compares tags (RFC 9110, section 8.8.3.2).
func same(a, b string, weak bool) bool {
	if weak {
		a, b = strings.TrimPrefix(a, "W/"), strings.TrimPrefix(b, "W/")
	}
	return a == b && a != "" && !strings.HasPrefix(a, "W/")
}

// cutTag takes an entity tag off the front.
func cutTag(v string) (tag, rest string, ok bool) {
	from := 0
	if strings.HasPrefix(v, "W/") {
		from = 2
	}
	if len(v) <= from || v[from] != '"' {
		return "", "", false
	}
	for i := from + 1; i < len(v); i++ {
		switch c := v[i]; {
		case c == '"':
			return v[:i+1], v[i+1:], true
		case c < 0x21 || c == 0x7f:
			return "", "", false
		}
	}
	return "", "", false
}

// A byteRange is a part of a file.
type byteRange struct{ from, n int64 }

// of is the part as Content-Range says it.
func (p byteRange) of(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", p.from, p.from+p.n-1, size)
}

// mostRanges bounds how many parts an answer has. Who asks for more gets the whole.
const mostRanges = 100

var errNoOverlap = errors.New("web: no range of the file")

// rangesOf are the parts that a request asks for. None: the whole; so it is where the request has no Range, one that is
// none of bytes, one for another version (If-Range), or more than the whole in pieces. An error: none of them is there.
func rangesOf(r *http.Request, tag string, modified time.Time, size int64) ([]byteRange, error) {
	spec, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !ok || !sameVersion(r.Header.Get("If-Range"), tag, modified) {
		return nil, nil
	}
	list := strings.Split(spec, ",")
	if len(list) > mostRanges {
		return nil, nil
	}
	var ranges []byteRange
	var sum int64
	asked := 0
	for _, one := range list {
		if one = textproto.TrimString(one); one == "" {
			continue
		}
		p, ok := parseRange(one, size)
		if !ok {
			return nil, errNoOverlap
		}
		asked++
		if p.n > 0 {
			ranges = append(ranges, p)
			sum += p.n
		}
	}
	switch {
	case asked > 0 && len(ranges) == 0 && size > 0:
		return nil, errNoOverlap
	case sum > size:
		return nil, nil
	}
	return ranges, nil
}

// sameVersion reports whether If-Range names the file as it is: by a strong tag, or by its very time.
func sameVersion(condition, tag string, modified time.Time) bool {
	if condition == "" {
		return true
	}
	if one, _, ok := cutTag(condition); ok {
		return same(one, tag, false)
	}
	t, err := http.ParseTime(condition)
	return err == nil && !noTime(modified) && t.Equal(modified.Truncate(time.Second))
}

// parseRange is one of a list: from-to, from- or -last. Its length is 0 where the file has no such bytes.
func parseRange(s string, size int64) (p byteRange, ok bool) {
	a, b, ok := strings.Cut(s, "-")
	a, b = textproto.TrimString(a), textproto.TrimString(b)
	if !ok || a == "" && b == "" {
		return p, false
	}
	if a == "" {
		last, ok := number(b)
		last = min(last, size)
		return byteRange{size - last, last}, ok
	}
	from, ok := number(a)
	if !ok || from >= size {
		return p, ok
	}
	to := size - 1
	if b != "" {
		n, ok := number(b)
		if !ok || n < from {
			return p, false
		}
		to = min(n, to)
	}
	return byteRange{from, to - from + 1}, true
}

// number is digits alone, with no sign.
func number(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
