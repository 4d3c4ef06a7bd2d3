package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/proto/ftp"
)

// ftpTool runs a program, or skips the test where it is not installed.
func ftpTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s %q: %v, %s", name, args, err, stderr.Bytes())
	}
	return string(out)
}

// TestServeFTP: files of a root, by FTP, by AUTH TLS, and by FTP over TLS from the first byte, with clients that nobody
// here wrote.
func TestServeFTP(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	large := strings.Repeat("0123456789abcdef", 1<<16)
	if err := os.WriteFile(filepath.Join(dir, "large"), []byte(large), 0o600); err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("joe:secret\nann:other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	forEachDriver(t, func(t *testing.T, driver string) {
		t.Parallel()
		s := serve(t, 3, command("serve", "--driver="+driver, "--loops=1",
			"ftp=tcp://127.0.0.1:0?root="+dir+"&users="+users,
			"ftp=tls://127.0.0.1:0?root="+dir+"&user=joe:secret&require=tls,resume", "ftp=tcp://127.0.0.1:0?root="+dir))
		t.Run("curl", func(t *testing.T) {
			for url, args := range map[string][]string{
				"ftp://" + s.host(0) + "/large":  {"-u", "joe:secret"},
				"ftps://" + s.host(1) + "/large": {"-u", "joe:secret", "-k"},
				"ftp://" + s.host(2) + "/large":  nil,
			} {
				if got := ftpTool(t, "curl", append(args, "-sS", url)...); got != large {
					t.Errorf("%s: %d bytes", url, len(got))
				}
			}
			got := ftpTool(t, "curl", "-sS", "-k", "--ssl-reqd", "-u", "ann:other", "ftp://"+s.host(0)+"/")
			if !strings.Contains(got, " large\n") {
				t.Errorf("by AUTH TLS: %q", got)
			}
		})
		t.Run("lftp", func(t *testing.T) {
			up := filepath.Join(t.TempDir(), "up"+driver)
			if err := os.WriteFile(up, []byte("from lftp"), 0o600); err != nil {
				t.Fatal(err)
			}
			ftpTool(t, "lftp", "-c", "set ssl:verify-certificate no; set net:max-retries 1; "+
				"open -u joe,secret ftps://"+s.host(1)+"; put "+up)
			if b, err := os.ReadFile(filepath.Join(dir, filepath.Base(up))); string(b) != "from lftp" {
				t.Errorf("lftp has stored %q, %v", b, err)
			}
		})
		_, err := ftp.Dial(t.Context(), s.host(1), ftp.ClientOptions{Security: ftp.Implicit})
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("a client that knows no such authority: %v", err)
		}
	})
}

// TestFTPOptions are command lines that are refused.
func TestFTPOptions(t *testing.T) {
	dir := t.TempDir()
	at := "ftp=tcp://127.0.0.1:0?root=" + dir
	for arg, want := range map[string]string{
		"ftp=tcp://127.0.0.1:0":             "option root",
		"ftp=udp://127.0.0.1:0?root=" + dir: "tcp and tls",
		"ftp=unix:///tmp/x?root=" + dir:     "tcp and tls",
		at + "/nothing":                     "option root",
		at + "&user=joe":                    "NAME:PASSWORD",
		at + "&users=/nothing":              "option users",
		at + "&anonymous=maybe":             "yes or no",
		at + "&anonymous=no":                "nobody may log in",
		at + "&passive=1":                   "option passive",
		at + "&passive=5-4":                 "option passive",
		at + "&public=host":                 "option public",
		at + "&require=all":                 "option require",
		at + "&cert=/nothing":               "option cert",
		at + "&key=/nothing":                "option key",
		at + "&frame=line":                  "option frame",
		at + "&list=yes":                    "unknown option",
	} {
		_, err := parseOffer(arg)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", arg, err, want)
		}
	}
}

// TestGetFTP: files and a folder, in the three ways to connect, beside what fails; nothing is left of that.
func TestGetFTP(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"a b": "hello", "long": strings.Repeat("x", 1000)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := serve(t, 2, command("serve", "--loops=1", "ftp=tcp://127.0.0.1:0?root="+dir+"&user=joe:secret&anonymous=yes",
		"ftp=tls://127.0.0.1:0?root="+dir+"&user=joe:secret&require=tls,resume"))
	for url, want := range map[string]string{
		"ftp://" + s.host(0) + "/a%20b": "hello", "ftpes://joe:secret@" + s.host(0) + "/a%20b": "hello",
		"ftps://joe:secret@" + s.host(1) + "/a%20b": "hello", "ftp://" + s.host(0) + "/d/": "",
	} {
		if code, stdout, stderr := got(t, "--insecure", "-o", "-", url); code != 0 || stdout != want {
			t.Errorf("%s: exit %d, %q, %s", url, code, stdout, stderr)
		}
	}
	if code, stdout, _ := got(t, "-o", "-", "ftp://"+s.host(0)+"/"); code != 0 || !strings.Contains(stdout, "d/\n") ||
		!strings.Contains(stdout, "a b\n") {
		t.Errorf("the folder: exit %d, %q", code, stdout)
	}
	out := filepath.Join(t.TempDir(), "out")
	code, stdout, _ := got(t, "-o", out, "--most-body", "999", "ftp://"+s.host(0)+"/a%20b", "ftp://"+s.host(0)+"/long",
		"ftp://"+s.host(0)+"/nothing", "ftp://joe:wrong@"+s.host(0)+"/a%20b", "ftps://"+s.host(1)+"/a%20b")
	files, err := os.ReadDir(out)
	if code != 1 || err != nil || len(files) != 1 || strings.Contains(stdout, "wrong") {
		t.Errorf("exit %d, %v, %v, %s", code, files, err, stdout)
	}
	for _, args := range [][]string{{"-X", "PUT"}, {"--body", "x"}, {"-H", "a: b"}} {
		code, _, stderr := got(t, append(args, "ftp://"+s.host(0)+"/a")...)
		if code != 2 || !strings.Contains(stderr, "HTTP") {
			t.Errorf("%q: exit %d, %s", args, code, stderr)
		}
	}
	if code, _, _ := got(t, "ftp://"+s.host(0)+"/a%0d%0aDELE%20long"); code != 2 {
		t.Errorf("a line end in a name: exit %d", code)
	}
}
