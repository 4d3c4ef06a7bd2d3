package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/plexor-go/plexor/proto/websocket"
)

// fetch gets a page, with header fields as name, value, ….
func fetch(t *testing.T, url string, header ...string) (*http.Response, string) {
	t.Helper()
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	c := &http.Client{Timeout: patience, Transport: &http.Transport{Protocols: p,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer c.CloseIdleConnections()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// TestServeHTTP: files of a root, by HTTP/1 and over TLS by HTTP/2, and a page that shows the request, with its log and
// its counters.
func TestServeHTTP(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	for name, p := range map[string][]byte{"a b.txt": []byte("hello"), "large": large, ".hidden": []byte("secret")} {
		if err := os.WriteFile(filepath.Join(dir, name), p, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	forEachDriver(t, func(t *testing.T, driver string) {
		t.Parallel()
		s := serve(t, 3, command("serve", "--driver="+driver, "--loops=1",
			"http=tcp://127.0.0.1:0?root="+dir+"&list=yes&access=combined&metrics=/metrics",
			"http=tls://127.0.0.1:0?root="+dir, "http=tcp://127.0.0.1:0"))
		files, secure, shows := "http://"+s.host(0), "https://"+s.host(1), "http://"+s.host(2)
		if res, got := fetch(t, files+"/a%20b.txt", "User-Agent", "x\"y"); got != "hello" || res.ProtoMajor != 1 {
			t.Errorf("got %q by %s", got, res.Proto)
		}
		if _, got := fetch(t, files+"/"); !strings.Contains(got, `<a href="a%20b.txt">`) || strings.Contains(got, "hidden") {
			t.Errorf("the list is %q", got)
		}
		if res, _ := fetch(t, files+"/.hidden"); res.StatusCode != http.StatusNotFound {
			t.Errorf("a hidden file: %s", res.Status)
		}
		if _, got := fetch(t, files+"/metrics"); !strings.Contains(got, `requests_total{method="GET",code="404"} 1`) {
			t.Errorf("the counters are %s", got)
		}
		res, got := fetch(t, secure+"/large", "Range", "bytes=16-")
		if got != string(large[16:]) || res.ProtoMajor != 2 {
			t.Errorf("got %d bytes by %s", len(got), res.Proto)
		}
		res, got = fetch(t, shows+"/x?y=<z>", "Accept", "*/*", "X-A", "<b>")
		if !strings.HasPrefix(got, "GET /x?y=<z> HTTP/1.1\nHost: ") || !strings.Contains(got, "\nX-A: <b>\n") ||
			!strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("the request is shown as %q, %v", got, res.Header)
		}
		if _, got = fetch(t, shows+"/x?y=<z>", "Accept", "text/html"); !strings.Contains(got, "GET /x?y=&lt;z&gt; HTTP/1.1") {
			t.Errorf("the page is %q", got)
		}
		if curl, err := exec.LookPath("curl"); err == nil {
			out, err := exec.Command(curl, "-sS", "--path-as-is", "-m", "30", files+"/large", files+"/../large").Output()
			if err != nil || !bytes.HasPrefix(out, large) || !bytes.HasSuffix(out, []byte("404 page not found\n")) {
				t.Errorf("curl: %d bytes, %v", len(out), err)
			}
		}
		s.signal(syscall.SIGTERM)
		if code := s.exit(); code != 0 {
			t.Errorf("exit %d after SIGTERM, want 0", code)
		}
		if strings.Contains(s.text(), "level=WARN") || strings.Contains(s.text(), "level=ERROR") {
			t.Errorf("the log:\n%s", s.text())
		}
		for _, line := range []string{`target=/a%20b.txt proto=HTTP/1.1 status=200 bytes=5`, `agent="x\\\"y"`} {
			if !strings.Contains(s.text(), line) {
				t.Errorf("the log has no %s:\n%s", line, s.text())
			}
		}
	})
}

// TestBenchHTTP: bench loads what serve http= serves, in plain text and over TLS, and tells of statuses.
func TestBenchHTTP(t *testing.T) {
	t.Parallel()
	s := serve(t, 2, command("serve", "--loops=1", "http=tcp://127.0.0.1:0", "http=tls://127.0.0.1:0"))
	for _, row := range []struct {
		args []string
		code int
	}{
		{[]string{"http://" + s.host(0) + "/x?y=z", "--depth=4", "--header=X-A: b, c"}, 0},
		{[]string{"https://" + s.host(1) + "/", "--insecure", "--body=hello"}, 0},
		{[]string{"http://" + s.host(0) + "/", "--reconnect", "--conns=2"}, 0},
		{[]string{"http://" + s.host(0) + "/", "--status=404"}, 1},
		{[]string{"tcp://" + s.host(0), "--method=GET"}, 2},
		{[]string{"http://" + s.host(0) + "/", "--frame=line"}, 2},
	} {
		out, err := command(append([]string{"bench", "-n", "40", "-q"}, row.args...)...).CombinedOutput()
		code := 0
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			code = e.ExitCode()
		}
		if code != row.code {
			t.Errorf("%v: exit %d, want %d: %s", row.args, code, row.code, out)
		}
	}
}

// TestBenchWebSocket: bench sends messages to a WebSocket and takes the same back, plain, compressed and over TLS.
func TestBenchWebSocket(t *testing.T) {
	t.Parallel()
	echo := &websocket.Sockets[struct{}]{
		Options: websocket.Options{Deflate: new(websocket.Deflate), Protocols: []string{"a"}},
		Message: func(s *websocket.Socket, _ struct{}, m websocket.Message) error { return s.Send(m) }}
	plain, secure := httptest.NewServer(echo), httptest.NewTLSServer(echo)
	defer plain.Close()
	defer secure.Close()
	ws, wss := "ws"+strings.TrimPrefix(plain.URL, "http"), "wss"+strings.TrimPrefix(secure.URL, "https")
	for _, row := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{ws + "/x", "--depth=4", "--header=Origin: " + plain.URL, "--protocol=b", "--protocol=a"}, 0,
			"in frames (websocket)"},
		{[]string{ws, "--deflate", "--text", "--size=1000"}, 0, "permessage-deflate"},
		{[]string{wss + "/", "--insecure", "--rate=1000", "--timeout=1m"}, 0, ""},
		{[]string{ws, "--reconnect", "--conns=2"}, 0, ""},
		{[]string{ws, "--header=Origin: http://evil.example"}, 1, "status 403"},
		{[]string{ws, "--frame=line"}, 2, "frame"},
		{[]string{ws, "--expect=upper"}, 2, "expect"},
	} {
		out, err := command(append([]string{"bench", "-n", "40", "-q"}, row.args...)...).CombinedOutput()
		code := 0
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			code = e.ExitCode()
		}
		if code != row.code || !strings.Contains(string(out), row.says) {
			t.Errorf("%v: exit %d, want %d and %q: %s", row.args, code, row.code, row.says, out)
		}
	}
}
