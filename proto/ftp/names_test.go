package ftp

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/internal/stage"
)

// TestNames are names that are unusual, through all that tells or takes one.
func TestNames(t *testing.T) {
	r := newRig(t, &Server{})
	c := r.client(ClientOptions{})
	ctx := t.Context()
	latin := "latin\xff1" // in Telnet a byte 0xFF is doubled
	if runtime.GOOS != "linux" {
		latin = "latin" // there names are in UTF-8
	}
	for _, name := range []string{latin, "größe", "文件", "😀", " leading", "trailing ", "two  spaces", "a;b=c;", "-la",
		"[x]",
		"it's \"that\"",
		"tab\there", "\x1b[31m", "\\back", "...", "a%20b", "-"} {
		if _, err := c.Stor(ctx, name, 0, strings.NewReader("x")); err != nil {
			t.Errorf("Stor %q: %v", name, err)
			continue
		}
		var b strings.Builder
		if _, err := c.Retr(ctx, name, 0, &b); err != nil || b.String() != "x" {
			t.Errorf("Retr %q: %q, %v", name, b.String(), err)
		}
		if e, err := c.Stat(ctx, name); err != nil || e.Name != "/"+name || e.Size != 1 {
			t.Errorf("Stat %q: %+v, %v", name, e, err)
		}
		if strings.Contains(name, "\\") { // as a name from a server it may be a path here, and is left out
			continue
		}
		for _, mlsd := range []bool{true, false} {
			c.mlsd = mlsd
			all, err := c.ReadDir(ctx, "/")
			if err != nil || !slices.ContainsFunc(all, func(e Entry) bool { return e.Name == name }) {
				t.Errorf("ReadDir has no %q: %+v, %v", name, all, err)
			}
		}
		c.mlsd = true
		names, err := c.Names(ctx, "")
		if err != nil || !slices.Contains(names, name) {
			t.Errorf("Names has no %q: %q, %v", name, names, err)
		}
		if err := c.Remove(ctx, name); err != nil {
			t.Errorf("Remove %q: %v", name, err)
		}
	}
}

// TestNLST has names as RETR takes them, with patterns and in folders.
func TestNLST(t *testing.T) {
	r := newRig(t, &Server{})
	for _, name := range []string{"a.txt", "b.txt", "c", "d/e.txt", "d/f"} {
		r.file(name, "x")
	}
	c := r.in()
	for line, want := range map[string]string{
		"NLST": "a.txt b.txt c d", "NLST *.txt": "a.txt b.txt", "NLST d": "d/e.txt d/f", "NLST d/": "d/e.txt d/f",
		"NLST d/*.txt": "d/e.txt", "NLST /d": "/d/e.txt /d/f", "NLST /*.txt": "/a.txt /b.txt", "NLST a.txt": "a.txt",
		"NLST -a": "a.txt b.txt c d", "NLST [ab].*": "a.txt b.txt", "NLST *.none": "", "NLST /d/e.txt": "/d/e.txt",
	} {
		names := strings.Fields(c.get(line))
		slices.Sort(names)
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// TestIPv6 is a session by IPv6: EPSV and EPRT, and no PASV.
func TestIPv6(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("a", "x")
	r.addr = serve(t, r.srv, "[::1]:0")
	c := r.in()
	c.do("PASV", 522)
	c.do("EPSV 1", 522)
	c.do("EPSV 2", 229)
	c.do("PORT 127,0,0,1,200,0", 504)
	if got := c.get("RETR a"); got != "x" {
		t.Errorf("RETR: %q", got)
	}
	for _, o := range []ClientOptions{{}, {Listen: stage.ListenAt}} {
		var b strings.Builder
		if _, err := r.client(o).Retr(t.Context(), "a", 0, &b); err != nil || b.String() != "x" {
			t.Errorf("Retr: %q, %v", b.String(), err)
		}
	}
}

// TestUntrusted has a client that knows no such authority, or wants another host.
func TestUntrusted(t *testing.T) {
	cert, pool := newCert(t)
	r := newRig(t, &Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	for name, cfg := range map[string]*tls.Config{"authority": {ServerName: "localhost"},
		"host": {RootCAs: pool, ServerName: "other"}} {
		_, err := Dial(t.Context(), r.addr, ClientOptions{Security: Explicit, TLS: cfg, Dial: stage.DialContext})
		var bad *tls.CertificateVerificationError
		if !errors.As(err, &bad) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	plain := newRig(t, &Server{})
	if _, err := Dial(t.Context(), plain.addr, ClientOptions{Security: Explicit, Dial: stage.DialContext}); err == nil {
		t.Error("a client that wants TLS goes on without")
	}
}

// scripted is a server that says what it is told to, whatever the client does.
func scripted(t *testing.T, lines string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		_, _ = io.WriteString(nc, lines)
		_, _ = io.Copy(io.Discard, nc) // until the client goes
	}()
	return ln.Addr().String()
}

// TestReadAhead has replies behind that to AUTH, in plain text: they are not taken for protected ones.
func TestReadAhead(t *testing.T) {
	addr := scripted(t, "220 hello\r\n234 go\r\n200 PBSZ=0\r\n200 PROT\r\n230 welcome\r\n")
	if _, err := Dial(t.Context(), addr, ClientOptions{Security: Explicit}); !errors.Is(err, ErrReadAhead) {
		t.Errorf("Dial: %v", err)
	}
}

// TestBadServers are servers that a client is not to go on with.
func TestBadServers(t *testing.T) {
	for name, lines := range map[string]string{
		"no FTP":              "SSH-2.0-OpenSSH_9.2p1\r\n",
		"a reply for ever":    "220-a\r\n" + strings.Repeat("x\r\n", 2000),
		"a line for ever":     "220 " + strings.Repeat("x", 10_000),
		"421":                 "421 go away\r\n",
		"no":                  "530 no\r\n",
		"login fails":         "220 hello\r\n331 now the password\r\n530 no\r\n",
		"421 in place of 331": "220 hello\r\n421 go away\r\n",
	} {
		c, err := Dial(t.Context(), scripted(t, lines), ClientOptions{User: "joe"})
		if err == nil {
			t.Errorf("%s: no error", name)
			c.Close()
		}
	}
}

// TestHugeListing is a listing with more entries, and longer lines, than a client takes.
func TestHugeListing(t *testing.T) {
	r, few := newRig(t, &Server{}), newRig(t, &Server{Limits: Limits{Entries: 2}})
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		r.file(name, "")
		few.file(name, "")
	}
	c := r.client(ClientOptions{Limits: ClientLimits{Entries: 3}})
	if all, err := c.ReadDir(t.Context(), ""); !errors.Is(err, ErrReplyTooLong) || len(all) != 3 {
		t.Errorf("ReadDir: %d, %v", len(all), err)
	}
	if _, err := c.Size(t.Context(), "a"); err != nil {
		t.Errorf("behind it: %v", err)
	}
	if n := strings.Count(few.in().get("NLST"), "\n"); n != 2 {
		t.Errorf("the server has told %d", n)
	}
}
