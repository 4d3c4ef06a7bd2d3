package web

import (
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// mostListed bounds how many names of a directory are listed: those that come first where there are more are the
// system's choice.
const mostListed = 1000

// list answers with the names in a directory.
func (s *files) list(w http.ResponseWriter, r *http.Request, d *file) {
	dir, ok := d.File.(fs.ReadDirFile)
	if !ok {
		http.NotFound(w, r)
		return
	}
	entries, err := dir.ReadDir(mostListed + 1)
	if err != nil && err != io.EOF {
		s.refuse(w, r, d.name, err)
		return
	}
	var names []string
	for _, e := range entries[:min(len(entries), mostListed)] {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, ".") && !s.Hidden:
		case e.IsDir():
			names = append(names, name+"/")
		case e.Type().IsRegular() || e.Type()&fs.ModeSymlink != 0:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'") // what a name smuggles past us runs nowhere
	var b strings.Builder
	b.WriteString("<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n")
	for _, name := range names {
		u := url.URL{Path: name} // which puts ./ before a name with a colon
		fmt.Fprintf(&b, "<a href=\"%s\">%s</a>\n", html.EscapeString(u.String()), html.EscapeString(name))
	}
	if len(entries) > mostListed {
		fmt.Fprintf(&b, "and more than these %d\n", mostListed)
	}
	b.WriteString("</pre>\n")
	h.Set("Content-Length", fmt.Sprint(b.Len()))
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, b.String()) // a client that is gone hears nothing more
	}
}
