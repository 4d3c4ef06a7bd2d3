package web_test

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/web"
)

// tree makes a root with these files, all of one time, and returns its folder too.
func tree(t *testing.T, content map[string]string) (*os.Root, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	for name, p := range content {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(p), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, fileTime, fileTime); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

var fileTime = time.Date(2024, 5, 6, 7, 8, 9, 10, time.UTC)

// ask asks h, with fields of the header as name, value, ….
func ask(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://host/", nil)
	u, err := url.ParseRequestURI(target)
	if err != nil {
		u = &url.URL{Path: target}
	}
	r.URL = u
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestFilesOutside: no path leads out of the root, to hidden names, or to what is no file; and no answer tells where
// the root is.
func TestFilesOutside(t *testing.T) {
	root, dir := tree(t, map[string]string{"a.txt": "a", "sub/b.txt": "b", ".env": "secret", ".git/config": "secret",
		"sub/.htaccess": "secret", ".well-known/x": "known", "..a": "secret", "A": "A", "sub/.well-known/x": "secret"})
	if err := os.WriteFile(filepath.Join(dir, "..", "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"out": "../secret", "far": filepath.Join(dir, "..", "secret"), "up": "..",
		"in": "a.txt", "loop": "loop", "etc": "/etc", "self": "/proc/self"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	h := web.Files(root, web.FilesOptions{List: true})
	for _, target := range []string{
		"/../secret", "/..", "/../", "/sub/../../secret", "/sub/..", "/./../secret", "//../secret", "/..//secret",
		"/%2e%2e/secret", "/%2e%2e%2fsecret", "/..%2fsecret", "/..%2Fsecret", "/sub%2f..%2f..%2fsecret", "/sub/%2e./a.txt",
		"/..%5csecret", "/..\\secret", "/sub%5cb.txt", "/sub\\b.txt", "/%5c%5chost/share", "/c:/windows", "/C:\\a.txt",
		"/a.txt%00", "/a.txt%00.html", "/%00", "/sub%2fb.txt", "/%2fetc/passwd", "//etc/passwd", "/a.txt/b",
		"/a.txt/../a.txt",
		"/...", "/....//secret", "/%252e%252e/secret", "/%c0%ae%c0%ae/secret", "/%uff0e%uff0e/secret", "/a.txt::$DATA",
		"/.env", "/.git/config", "/.git/", "/sub/.htaccess", "/.%65nv", "/..a", "/sub/.well-known/x",
		"/out", "/far", "/up/secret", "/up/", "/loop", "/etc/passwd", "/etc/", "/self/environ", "/nothing", "/nothing/",
		"/" + strings.Repeat("x", 300), "/" + strings.Repeat("x/", 3000), "/a.txt;b", "/~root", "/sub/b.txt%0d%0aX:%20y",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			w := ask(h, method, target)
			if w.Code != http.StatusNotFound && !(strings.HasPrefix(target, "/up") && w.Code == http.StatusMovedPermanently) {
				t.Errorf("%s %s: %d, want 404", method, target, w.Code)
			}
			if all := fmt.Sprint(w.Header()) + w.Body.String(); strings.Contains(all, "secret\n") || strings.Contains(all, dir) {
				t.Errorf("%s %s: %s", method, target, all)
			}
		}
	}
	for target, want := range map[string]string{"/a.txt": "a", "/in": "a", "/sub/b.txt": "b", "/.well-known/x": "known",
		"/sub//b.txt": "b", "/%61.txt": "a", "/a%2etxt": "a", "/A": "A"} {
		if w := ask(h, "GET", target); w.Code != 200 || w.Body.String() != want {
			t.Errorf("GET %s: %d %q, want %q", target, w.Code, w.Body, want)
		}
	}
	if w := ask(web.Files(root, web.FilesOptions{Hidden: true}), "GET", "/.env"); w.Body.String() != "secret" {
		t.Errorf("with Hidden: %d %q", w.Code, w.Body)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND"} {
		if w := ask(h, method, "/a.txt"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
	}
}

// TestFilesRedirects: to directories with their slash and to files without one, nowhere else.
func TestFilesRedirects(t *testing.T) {
	root, _ := tree(t, map[string]string{"dir/index.html": "page", "dir/a": "a", "empty/x/y": "", "javascript:x/a": "a"})
	h := web.Files(root, web.FilesOptions{})
	for target, want := range map[string]string{"/dir": "dir/", "/dir?q=1": "dir/?q=1", "/dir/a/": "../a",
		"/dir/index.html": "./", "/javascript:x": "./javascript:x/", "//dir": "dir/"} {
		if w := ask(h, "GET", target); w.Code != http.StatusMovedPermanently || w.Header().Get("Location") != want {
			t.Errorf("GET %s: %d to %q, want %q", target, w.Code, w.Header().Get("Location"), want)
		}
	}
	w := ask(h, "GET", "/dir/")
	if w.Body.String() != "page" || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("GET /dir/: %d %q %v", w.Code, w.Body, w.Header())
	}
	if w := ask(h, "GET", "/empty/"); w.Code != http.StatusNotFound {
		t.Errorf("a list that nobody asked for: %d %q", w.Code, w.Body)
	}
}

// TestFilesList: sorted, escaped, bounded, without hidden names.
func TestFilesList(t *testing.T) {
	t.Parallel()
	root, dir := tree(t, map[string]string{"b": "", "a/x": "", ".c": "", "<b>&\"'": "", "x:y": "", "many/x": ""})
	h := web.Files(root, web.FilesOptions{List: true})
	w := ask(h, "GET", "/")
	want := `<a href="%3Cb%3E&amp;%22%27">&lt;b&gt;&amp;&#34;&#39;</a>
<a href="a/">a/</a>
<a href="b">b</a>
<a href="many/">many/</a>
<a href="./x:y">x:y</a>
</pre>
`
	if got := w.Body.String(); !strings.HasSuffix(got, "<pre>\n"+want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if w := ask(h, "HEAD", "/"); w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %q %v", w.Body, w.Header())
	}
	for i := range 1100 {
		if err := os.WriteFile(filepath.Join(dir, "many", fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := ask(h, "GET", "/many/").Body.String()
	if strings.Count(got, "<a ") != 1000 || !strings.Contains(got, "and more") {
		t.Errorf("a list of 1101 names has %d", strings.Count(got, "<a "))
	}
}

// TestFilesConditions: RFC 9110, sections 13 and 14.
func TestFilesConditions(t *testing.T) {
	root, _ := tree(t, map[string]string{"f.txt": "0123456789", "zero.txt": ""})
	h := web.Files(root, web.FilesOptions{CacheControl: "max-age=60"})
	tag := ask(h, "GET", "/f.txt").Header().Get("Etag")
	at, before, after := fileTime.Format(http.TimeFormat), fileTime.Add(-time.Hour).Format(http.TimeFormat),
		fileTime.Add(time.Hour).Format(http.TimeFormat)
	if !strings.HasPrefix(tag, `"`) {
		t.Fatalf("the tag is %s", tag)
	}
	for _, row := range []struct {
		name   string
		header []string
		code   int
		body   string
		ranged string
	}{
		{"none", nil, 200, "0123456789", ""},
		{"tag", []string{"If-None-Match", tag}, 304, "", ""},
		{"weak tag", []string{"If-None-Match", "W/" + tag}, 304, "", ""},
		{"tags", []string{"If-None-Match", `"x", W/"y",` + tag}, 304, "", ""},
		{"two fields", []string{"If-None-Match", `"x"`, "If-None-Match", tag}, 304, "", ""},
		{"any tag", []string{"If-None-Match", "*"}, 304, "", ""},
		{"another tag", []string{"If-None-Match", `"x"`, "If-Modified-Since", after}, 200, "0123456789", ""},
		{"no tag", []string{"If-None-Match", tag[1:]}, 200, "0123456789", ""},
		{"not modified", []string{"If-Modified-Since", at}, 304, "", ""},
		{"modified", []string{"If-Modified-Since", before}, 200, "0123456789", ""},
		{"no time", []string{"If-Modified-Since", "yesterday"}, 200, "0123456789", ""},
		{"match", []string{"If-Match", tag}, 200, "0123456789", ""},
		{"match weakly", []string{"If-Match", "W/" + tag}, 412, "", ""},
		{"match any", []string{"If-Match", "*"}, 200, "0123456789", ""},
		{"no match", []string{"If-Match", `"x"`, "If-Unmodified-Since", after}, 412, "", ""},
		{"unmodified", []string{"If-Unmodified-Since", at}, 200, "0123456789", ""},
		{"modified since", []string{"If-Unmodified-Since", before}, 412, "", ""},
		{"both", []string{"If-Match", tag, "If-None-Match", tag}, 304, "", ""},
		{"range", []string{"Range", "bytes=2-4"}, 206, "234", "bytes 2-4/10"},
		{"open range", []string{"Range", "bytes=8-"}, 206, "89", "bytes 8-9/10"},
		{"last", []string{"Range", "bytes=-3"}, 206, "789", "bytes 7-9/10"},
		{"last of more", []string{"Range", "bytes=-30"}, 206, "0123456789", "bytes 0-9/10"},
		{"beyond", []string{"Range", "bytes=5-99999999999"}, 206, "56789", "bytes 5-9/10"},
		{"behind", []string{"Range", "bytes=10-"}, 416, "", "bytes */10"},
		{"none of last", []string{"Range", "bytes=-0"}, 416, "", "bytes */10"},
		{"backwards", []string{"Range", "bytes=4-2"}, 416, "", "bytes */10"},
		{"signed", []string{"Range", "bytes=+1-2"}, 416, "", "bytes */10"},
		{"too long", []string{"Range", "bytes=99999999999999999999-"}, 416, "", "bytes */10"},
		{"lines", []string{"Range", "lines=1-2"}, 200, "0123456789", ""},
		{"one of two is there", []string{"Range", "bytes=1-2,20-30"}, 206, "12", "bytes 1-2/10"},
		{"wasteful", []string{"Range", "bytes=0-,0-,0-"}, 200, "0123456789", ""},
		{"a hundred and more", []string{"Range", "bytes=" + strings.Repeat("0-0,", 101)}, 200, "0123456789", ""},
		{"if it is that", []string{"Range", "bytes=1-1", "If-Range", tag}, 206, "1", "bytes 1-1/10"},
		{"if it is weakly", []string{"Range", "bytes=1-1", "If-Range", "W/" + tag}, 200, "0123456789", ""},
		{"if it is another", []string{"Range", "bytes=1-1", "If-Range", `"x"`}, 200, "0123456789", ""},
		{"if of that time", []string{"Range", "bytes=1-1", "If-Range", at}, 206, "1", "bytes 1-1/10"},
		{"if of another time", []string{"Range", "bytes=1-1", "If-Range", after}, 200, "0123456789", ""},
		{"if it is nothing", []string{"Range", "bytes=1-1", "If-Range", "x"}, 200, "0123456789", ""},
		{"range of a match", []string{"Range", "bytes=1-1", "If-None-Match", tag}, 304, "", ""},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			w := ask(h, method, "/f.txt", row.header...)
			body := w.Body.String()
			if w.Code >= 400 {
				body = ""
			}
			want := row.body
			if method == "HEAD" {
				want = ""
			}
			if w.Code != row.code || body != want || w.Header().Get("Content-Range") != row.ranged {
				t.Errorf("%s, %s: %d %q %q, want %d %q %q", row.name, method, w.Code, body, w.Header().Get("Content-Range"),
					row.code, want, row.ranged)
			}
			if length := w.Header().Get("Content-Length"); w.Code < 300 && length != fmt.Sprint(len(row.body)) {
				t.Errorf("%s, %s: Content-Length %s, want %d", row.name, method, length, len(row.body))
			}
			if x := w.Header(); w.Code < 400 && (x.Get("Etag") != tag || x.Get("Cache-Control") != "max-age=60") {
				t.Errorf("%s, %s: %d with %v", row.name, method, w.Code, x)
			}
		}
	}
	if w := ask(h, "GET", "/zero.txt", "Range", "bytes=0-"); w.Code != 200 {
		t.Errorf("a range of an empty file: %d", w.Code)
	}
}

// TestFilesParts: several ranges come as parts, and the length is that of all.
func TestFilesParts(t *testing.T) {
	root, _ := tree(t, map[string]string{"f.txt": "0123456789"})
	w := ask(web.Files(root, web.FilesOptions{}), "GET", "/f.txt", "Range", "bytes=0-1, 4-5 ,-1")
	kind, params, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if w.Code != 206 || kind != "multipart/byteranges" || w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
		t.Fatalf("%d %v %v, %d bytes", w.Code, w.Header(), err, w.Body.Len())
	}
	r := multipart.NewReader(w.Body, params["boundary"])
	for _, want := range []string{"01 bytes 0-1/10", "45 bytes 4-5/10", "9 bytes 9-9/10"} {
		p, err := r.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(p)
		if got := string(b) + " " + p.Header.Get("Content-Range"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if _, err := r.NextPart(); err != io.EOF {
		t.Errorf("behind the parts: %v", err)
	}
}

// TestFilesEncodings: the client gets what it likes best of what stands beside a file.
func TestFilesEncodings(t *testing.T) {
	root, _ := tree(t, map[string]string{"a.js": "plain", "a.js.br": "br", "a.js.gz": "gzip", "a.js.zst": "zstd",
		"b.js": "plain", "b.js.gz": "gzip", "c.js": "plain", "c.js.gz/x": "", "d": "<html>"})
	h := web.Files(root, web.FilesOptions{Precompressed: true})
	for _, row := range []struct{ path, accept, want string }{
		{"/a.js", "", "plain"}, {"/a.js", "gzip, br, zstd", "br"}, {"/a.js", "gzip;q=1.0, br;q=0.5", "gzip"},
		{"/a.js", "br;q=0, *", "zstd"}, {"/a.js", "*;q=0", "plain"}, {"/a.js", "deflate", "plain"},
		{"/a.js", "identity", "plain"},
		{"/a.js", "GZIP", "gzip"}, {"/a.js", "x-gzip", "gzip"}, {"/a.js", "gzip;q=2", "plain"},
		{"/a.js", "gzip;q=nan", "plain"},
		{"/b.js", "br, gzip", "gzip"}, {"/b.js", "br", "plain"}, {"/c.js", "gzip", "plain"}, {"/d", "gzip", "<html>"},
	} {
		w := ask(h, "GET", row.path, "Accept-Encoding", row.accept)
		encoding := w.Header().Get("Content-Encoding")
		if w.Body.String() != row.want || encoding != "" && encoding != row.want ||
			w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s, %q: %q, want %q; %v", row.path, row.accept, w.Body, row.want, w.Header())
		}
		kind, wanted := w.Header().Get("Content-Type"), "text/javascript"
		if row.path == "/d" {
			wanted = "text/html"
		}
		if !strings.HasPrefix(kind, wanted) {
			t.Errorf("%s, %q: the type is %q", row.path, row.accept, kind)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", row.path, w.Header())
		}
	}
	tags := map[string]bool{}
	for _, accept := range []string{"", "br", "gzip", "zstd"} {
		tags[ask(h, "GET", "/a.js", "Accept-Encoding", accept).Header().Get("Etag")] = true
	}
	if len(tags) != 4 {
		t.Errorf("four encodings have the tags %v", tags)
	}
}

//go:embed files_test.go
var embedded embed.FS

// TestFilesEmbedded: what has no time has a tag of its content, and no Last-Modified.
func TestFilesEmbedded(t *testing.T) {
	h := web.FilesFS(embedded, web.FilesOptions{})
	w := ask(h, "GET", "/files_test.go")
	want, _ := embedded.ReadFile("files_test.go")
	tag := w.Header().Get("Etag")
	if !bytes.Equal(w.Body.Bytes(), want) || len(tag) != 34 || w.Header().Get("Last-Modified") != "" {
		t.Errorf("%d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
	}
	if w := ask(h, "GET", "/files_test.go", "If-None-Match", tag); w.Code != 304 {
		t.Errorf("with its own tag: %d", w.Code)
	}
	changed := web.FilesFS(fstest.MapFS{"files_test.go": {Data: []byte("x")}}, web.FilesOptions{})
	if other := ask(changed, "GET", "/files_test.go").Header().Get("Etag"); other == tag || other == "" {
		t.Errorf("the tag of another file is %s", other)
	}
}

// TestFilesServed: by net/http and by this package, on goroutines and inline, large and small files arrive, whole and
// in part.
func TestFilesServed(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	root, _ := tree(t, map[string]string{"small": "small", "large.bin": content})
	files := web.Files(root, web.FilesOptions{})
	try := func(t *testing.T, c *http.Client, url string) {
		defer c.CloseIdleConnections()
		for _, row := range []struct{ path, ranges, want string }{{"/small", "", "small"}, {"/large.bin", "", content},
			{"/large.bin", "bytes=5-700000", content[5:700001]}, {"/small", "bytes=1-2", "ma"}} {
			req, _ := http.NewRequest("GET", url+row.path, nil)
			if row.ranges != "" {
				req.Header.Set("Range", row.ranges)
			}
			if _, got := get(t, c, req); got != row.want {
				t.Errorf("%s %s: %d bytes, want %d", row.path, row.ranges, len(got), len(row.want))
			}
		}
	}
	t.Run("net/http", func(t *testing.T) {
		srv := httptest.NewServer(files)
		defer srv.Close()
		try(t, &http.Client{Transport: new(http.Transport)}, srv.URL)
	})
	eachWay(t, files.ServeHTTP, func(t *testing.T, p *place) {
		try(t, p.client(t, false), p.url(p.serve(t, web.Options{})))
	})
}

// A shrinker truncates a file before the first byte of it is sent.
type shrinker struct {
	http.ResponseWriter
	name string
}

func (s shrinker) WriteHeader(code int) {
	_ = os.Truncate(s.name, 10)
	s.ResponseWriter.WriteHeader(code)
}

// TestFilesBrokenOff: a file that is shorter than it was is not taken for whole.
func TestFilesBrokenOff(t *testing.T) {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	root, dir := tree(t, map[string]string{"f": strings.Repeat("x", 300_000)})
	files := web.Files(root, web.FilesOptions{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		files.ServeHTTP(shrinker{w, filepath.Join(dir, "f")}, r)
	})
	addr := serve(t, &plexor.Server{Loops: 1}, "tcp://127.0.0.1:0", h, web.Options{Log: quiet})
	res, err := http.Get("http://" + addr + "/f")
	if err != nil {
		return // not even the head had left
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err == nil || len(b) > 10 {
		t.Errorf("read %d bytes, %v", len(b), err)
	}
}
