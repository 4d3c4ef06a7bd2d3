package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// got runs plexor get.
func got(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := command(append([]string{"get", "-q"}, args...)...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// TestGet: many URLs, in files, as JSON and as a table; what fails makes the exit code 1, and nothing is written
// outside the folder or over what is there.
func TestGet(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Method+" "+r.Host+" "+r.Header.Get("X-A")+" "+string(body))
	})
	mux.HandleFunc("/missing", http.NotFound)
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1000)) })
	srv := httptest.NewUnstartedServer(mux)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	dir := filepath.Join(t.TempDir(), "out")
	urls := make([]string, 40)
	for i := range urls {
		urls[i] = srv.URL + "/..%2f../a?" + string(rune('a'+i%26))
	}
	code, stdout, stderr := got(t, append([]string{"--insecure", "--json", "-o", dir, "-H", "X-A: b, c", "-H", "Host: h",
		"--body", "text", "--parallel", "3", "--h1"}, urls...)...)
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d, %q", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	for _, line := range lines {
		var f getFetch
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.Status != 200 || f.Proto != "HTTP/1.1" || f.File == "" {
			t.Fatalf("%q, %v", line, err)
		}
		b, err := os.ReadFile(filepath.Join(dir, f.File))
		if err != nil || string(b) != "POST h b, c text" || f.Bytes != int64(len(b)) {
			t.Errorf("%s: %q, %v", f.File, b, err)
		}
	}
	files, err := os.ReadDir(dir)
	if len(lines) != 40 || len(files) != 40 || err != nil {
		t.Errorf("%d lines, %d files, %v", len(lines), len(files), err)
	}
	code, stdout, stderr = got(t, "--insecure", "-o", dir, urls[0], srv.URL+"/b", srv.URL+"/missing", srv.URL+"/loop")
	if code != 1 || !strings.Contains(stderr, "3 of 4 failed") {
		t.Errorf("exit %d, %q", code, stderr)
	}
	for _, want := range []string{`(?m)^200 .*exists`, `(?m)^200 .* [.nctwb]{40} http.*/b > `, `(?m)^404 `,
		`(?m)^- .*stopped after 10 redirects`, `t+.*w+`} {
		if !regexp.MustCompile(want).MatchString(stdout) {
			t.Errorf("%s is not in\n%s", want, stdout)
		}
	}
	code, stdout, stderr = got(t, "--insecure", "-o", "-", srv.URL+"/x")
	if code != 0 || !strings.HasPrefix(stdout, "GET 127.") || !strings.Contains(stderr, "200 ") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, _ = got(t, "--insecure", "--most-body=999", srv.URL+"/long")
	if code != 1 || !strings.Contains(stdout, "longer") {
		t.Errorf("exit %d, %q", code, stdout)
	}
	if code, stdout, _ = got(t, srv.URL); code != 1 || !strings.Contains(stdout, "certificate") {
		t.Errorf("exit %d, %q", code, stdout)
	}
}

// TestGetUsage: mistakes on the command line.
func TestGetUsage(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"gopher://a/"}, "want http://"}, {[]string{"a.example"}, "want http://"},
		{[]string{"http://"}, "want http://"}, {[]string{"127.0.0.1:80"}, "want http://"},
		{[]string{"http://a b/"}, `"http://a b/": invalid character`},
		{[]string{"-H", "a", "http://a/"}, "want NAME: VALUE"}, {[]string{"-H", "a b: c", "http://a/"}, "want NAME: VALUE"},
		{[]string{"-X", "A B", "http://a/"}, "--method"}, {[]string{"--parallel=0", "http://a/"}, "--parallel"},
		{[]string{"-o", "-", "http://a/", "http://b/"}, "one URL"},
		{[]string{"--driver=x", "http://127.0.0.1:1/"}, "--driver"},
		{[]string{"--timeout=-1s", "http://a/"}, "--timeout"}, {[]string{"--most-body=0", "http://a/"}, "--most-body"},
		{nil, "url"},
	} {
		if code, _, stderr := got(t, row.args...); code != exitUsage || !strings.Contains(stderr, row.want) {
			t.Errorf("%q: exit %d, %q", row.args, code, stderr)
		}
	}
}
