package web_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/web"
)

// program runs a client that nobody here wrote, or skips where it is not installed.
func program(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("there is no %s", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %.200q: %v\n%.3000s", name, args, err, out)
	}
	return string(out)
}

// TestCurl has curl ask in its ways.
func TestCurl(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", 100_000)
	for way, h := range ways(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %d %v", r.Method, r.Proto, len(b), err)
	}) {
		t.Run(way, func(t *testing.T) {
			srv := &plexor.Server{}
			plain := "http://" + serve(t, srv, "tcp://127.0.0.1:0", h, web.Options{}) + "/"
			secure := "https://" + serve(t, &plexor.Server{}, "tls://127.0.0.1:0", h, web.Options{}) + "/"
			for _, c := range []struct {
				want string
				args []string
			}{
				{"GET HTTP/1.1 0 <nil>", []string{plain}},
				{"GET HTTP/1.0 0 <nil>", []string{"--http1.0", plain}},
				{"GET HTTP/1.1 0 <nil>GET HTTP/1.1 0 <nil>", []string{plain, plain}},
				{"POST HTTP/1.1 100000 <nil>", []string{"-d", body, plain}},
				{"POST HTTP/1.1 100000 <nil>", []string{"-H", "Expect: 100-continue", "-d", body, plain}},
				{"POST HTTP/1.1 100000 <nil>", []string{"-H", "Transfer-Encoding: chunked", "-d", body, plain}},
				{"GET HTTP/2.0 0 <nil>", []string{"--http2-prior-knowledge", plain}},
				{"GET HTTP/1.1 0 <nil>", []string{"--http2", plain}}, // by Upgrade, which we do not take
				{"GET HTTP/2.0 0 <nil>", []string{"-k", "--http2", secure}},
				{"POST HTTP/1.1 100000 <nil>", []string{"-k", "--http1.1", "-d", body, secure}},
			} {
				if got := program(t, "curl", append([]string{"-sS"}, c.args...)...); got != c.want {
					t.Errorf("%.60q: %q, want %q", c.args, got, c.want)
				}
			}
		})
	}
}

// TestWrk has many connections ask at once.
func TestWrk(t *testing.T) {
	t.Parallel()
	h := func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") }
	for way, h := range ways(h) {
		if way == "inline" && !portion.Everywhere() {
			continue // its shortest run is a second; TestH2load has both ways
		}
		t.Run(way, func(t *testing.T) {
			addr := serve(t, &plexor.Server{}, "tcp://127.0.0.1:0", h, web.Options{})
			out := program(t, "wrk", "-t1", "-c50", "-d1s", "http://"+addr+"/")
			if strings.Contains(out, "Non-2xx") || strings.Contains(out, "Socket errors") ||
				!strings.Contains(out, "requests in") {
				t.Error(out)
			}
		})
	}
}

// TestCurlSite has curl use what it can: uploads that wait for a word or are chunked, parts of files, what it has seen
// before, trailers, connections that are kept, what is compressed, and several requests at once.
func TestCurlSite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	body := filepath.Join(dir, "body")
	if err := os.WriteFile(body, []byte(bigFile), 0o600); err != nil {
		t.Fatal(err)
	}
	n, m := len(bigFile), bigFile
	eachSite(t, func(t *testing.T, has func(i int) bool, plain, secure string) {
		etag := filepath.Join(t.TempDir(), "etag")
		plain, secure = "http://"+plain, "https://"+secure
		for i, row := range []struct{ name, want, args string }{
			{"upload", summed("PUT", "HTTP/1.1", m), "-T " + body + " PLAIN/sum"},
			{"upload that waits", summed("POST", "HTTP/1.1", m), "-H Expect:100-continue --data-binary @" + body + " PLAIN/sum"},
			{"chunked", summed("PUT", "HTTP/1.1", m), "-T " + body + " -H Transfer-Encoding:chunked PLAIN/sum"},
			{"h2c upload", summed("PUT", "HTTP/2.0", m), "--http2-prior-knowledge -T " + body + " PLAIN/sum"},
			{"h2 upload", summed("PUT", "HTTP/2.0", m), "--http2 -T " + body + " SECURE/sum"},
			{"TLS upload", summed("PUT", "HTTP/1.1", m), "--http1.1 -T " + body + " SECURE/sum"},
			{"HTTP/1.0 upload", summed("PUT", "HTTP/1.0", m), "--http1.0 -T " + body + " PLAIN/sum"},
			{"echo", m, "--data-binary @" + body + " PLAIN/echo"},
			{"chunked echo", m, "-T " + body + " -H Transfer-Encoding:chunked SECURE/echo --http1.1"},
			{"HTTP/1.0 echo", m, "--http1.0 --data-binary @" + body + " PLAIN/echo"},
			{"file", m, "PLAIN/files/big"}, {"TLS file", m, "--http1.1 SECURE/files/big"}, {"h2 file", m, "SECURE/files/big"},
			{"range", m[10:20] + "206", "-r 10-19 -w %{http_code} PLAIN/files/big"},
			{"end of it", m[n-5:] + "206", "-r -5 -w %{http_code} SECURE/files/big"},
			{"HEAD", "200 1048576 0",
				"-I -o /dev/null -w %{http_code}+%header{content-length}+%{size_download} PLAIN/files/big"},
			{"HEAD of a stream", "200", "-I -o /dev/null -w %{http_code} PLAIN/stream"},
			{"none", "204", "-w %{http_code} PLAIN/none"},
			{"again", "plain200304", "--etag-save " + etag + " -w %{http_code} PLAIN/files/a.txt " +
				"--next -sS --etag-compare " + etag + " -w %{http_code} PLAIN/files/a.txt"},
			{"not since", "304", "-z 20250101 -w %{http_code} PLAIN/files/a.txt"},
			{"compressed", "plain gzip", "--compressed -w +%header{content-encoding} PLAIN/files/a.txt"},
			{"h2 compressed", "plain gzip", "--compressed -w +%header{content-encoding} SECURE/files/a.txt"},
			{"stream", "data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n", "-N PLAIN/stream"},
			{"trailers", "5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n", "--raw PLAIN/trailers"},
			{"trailers of h2", "hello42", "-w %header{x-sum} --http2-prior-knowledge PLAIN/trailers"},
			{"reuse", "204:1 204:0 204:0 ", "-w %{http_code}:%{num_connects}+ PLAIN/none PLAIN/none PLAIN/none"},
			{"HTTP/1.0 asks for more", "204:1 204:0 ",
				"--http1.0 -H Connection:keep-alive -w %{http_code}:%{num_connects}+ PLAIN/none PLAIN/none"},
			{"redirect", "seen=yes", "-L -b none PLAIN/redirect"},
			{"at once", "204 204 204 204 ",
				"-Z --no-progress-meter -w %{http_code}+ PLAIN/none SECURE/none PLAIN/none SECURE/none"},
		} {
			if !has(i) {
				continue
			}
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				args := []string{"-q", "-sS", "-k"} // -q: nobody's configuration
				for _, arg := range strings.Fields(strings.NewReplacer("PLAIN", plain, "SECURE", secure).Replace(row.args)) {
					if strings.HasPrefix(arg, "%") || strings.HasPrefix(arg, "+") {
						arg = strings.ReplaceAll(arg, "+", " ")
					}
					args = append(args, arg)
				}
				if got := program(t, "curl", args...); got != row.want {
					t.Errorf("%q: %d bytes, %.80q, want %d, %.80q", args, len(got), got, len(row.want), row.want)
				}
			})
		}
	})
}

// TestH2load has many streams on many connections, and its HTTP/1.1, pipelined.
func TestH2load(t *testing.T) {
	t.Parallel()
	for way, h := range ways(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") }) {
		plain := serve(t, &plexor.Server{}, "tcp://127.0.0.1:0", h, web.Options{})
		secure := serve(t, &plexor.Server{}, "tls://127.0.0.1:0", h, web.Options{})
		runs := [][]string{{"--h1", "http://" + plain}}
		if way == "goroutines" { // by which HTTP/2 is served in any case
			runs = append(runs, []string{"-ph2c", "http://" + plain}, []string{"https://" + secure})
		}
		for _, args := range runs {
			out := program(t, "h2load", append([]string{"-n1000", "-c10", "-m10", "-t1"}, args...)...)
			if !strings.Contains(out, "1000 succeeded, 0 failed, 0 errored, 0 timeout") {
				t.Errorf("%s: h2load %q: %s", way, args, out)
			}
		}
	}
}

// TestAiohttp has Python's aiohttp as the client: testdata/aiohttp_client.py.
func TestAiohttp(t *testing.T) {
	t.Parallel()
	python := ""
	for _, path := range []string{"python3", "/usr/bin/python3"} { // the system's is the one that apt installs modules for
		if exec.Command(path, "-c", "import importlib.util as u, sys; sys.exit(not u.find_spec('aiohttp'))").Run() == nil {
			python = path
			break
		}
	}
	if python == "" {
		t.Skip("there is no python3 with the module aiohttp")
	}
	eachSite(t, func(t *testing.T, has func(i int) bool, plain, secure string) {
		if !has(0) {
			return // a start of Python is dear
		}
		out := program(t, python, "testdata/aiohttp_client.py", "http://"+plain, "https://"+secure)
		if out != "done\ndone\n" {
			t.Errorf("it says %q", out)
		}
	})
}

// TestReverseProxy has httputil's proxy, as it is, stand before a server of ours, with events that come one by one.
func TestReverseProxy(t *testing.T) {
	for _, driver := range drivers(t) {
		next := make(chan bool)
		events := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				w.(http.Flusher).Flush()
				<-next
			}
		}
		back := serve(t, &plexor.Server{Driver: driver}, "tcp://127.0.0.1:0", http.HandlerFunc(events), web.Options{})
		to, _ := url.Parse("http://" + back)
		proxy := httputil.NewSingleHostReverseProxy(to)
		tr := new(http.Transport)
		proxy.Transport = tr
		nc, in := open(t, serve(t, &plexor.Server{Driver: driver}, "tcp://127.0.0.1:0", proxy, web.Options{}))
		if _, err := io.WriteString(nc, plainGet); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(res.Body)
		for i := range 3 {
			for lines.Scan() && lines.Text() == "" {
			}
			if want := fmt.Sprintf("data: %d", i); lines.Text() != want {
				t.Errorf("%s: %q, want %q", driver, lines.Text(), want)
			}
			next <- true
		}
		nc.Close()
		tr.CloseIdleConnections()
	}
}
