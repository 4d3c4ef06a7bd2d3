// Package goftp has proto/ftp talk with jlaffaye/ftp, a client, and with goftp.io/server, a server.
package goftp

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	jlaffaye "github.com/jlaffaye/ftp"
	goftp "goftp.io/server/v2"
	"goftp.io/server/v2/driver/file"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/ftpd"
	"github.com/plexor-go/plexor/proto/ftp"
)

// patience is how long what must come may take.
const patience = 20 * time.Second

// configs are those of TLS, of a server and of a client that trusts it.
func configs(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	// One entry: the control connection and those for data have one name, and so one session between them.
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: roots, ServerName: "example.com",
		ClientSessionCache: tls.NewLRUClientSessionCache(1)}
}

// TestTheirClient stores, fetches, lists and renames on our server, which over TLS requires that sessions are resumed.
func TestTheirClient(t *testing.T) {
	for _, kind := range []string{"plain", "explicit", "implicit"} {
		t.Run(kind, func(t *testing.T) {
			cfg, ccfg := configs(t)
			dir := t.TempDir()
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			users := new(ftp.Accounts)
			users.Add("joe", "secret", &ftp.User{Name: "joe", FS: ftp.Dir(root)})
			s := &ftp.Server{Users: users, Log: slog.New(slog.DiscardHandler)}
			o := []jlaffaye.DialOption{jlaffaye.DialWithTimeout(patience)}
			switch kind {
			case "explicit":
				s.TLS, s.RequireTLS, s.Binding = cfg, true, ftp.BindRequire
				o = append(o, jlaffaye.DialWithExplicitTLS(ccfg))
			case "implicit":
				s.TLS, s.Implicit, s.Binding = cfg, true, ftp.BindRequire
				o = append(o, jlaffaye.DialWithTLS(ccfg))
			}
			srv := &plexor.Server{Loops: 1}
			defer srv.Close()
			a, err := srv.Open("tcp://127.0.0.1:0", ftpd.Handler(s))
			if err != nil {
				t.Fatal(err)
			}
			c, err := jlaffaye.Dial(a.String(), o...)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Login("joe", "secret"); err != nil {
				t.Fatal(err)
			}
			use(t, c, dir)
			if err := c.Quit(); err != nil {
				t.Error(err)
			}
		})
	}
}

func use(t *testing.T, c *jlaffaye.ServerConn, dir string) {
	t.Helper()
	text := strings.Repeat("what goes up\n", 50_000)
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for range 2 {
		must("Stor", c.Stor("up", strings.NewReader(text)))
		if got, err := os.ReadFile(filepath.Join(dir, "up")); string(got) != text {
			t.Fatalf("%d bytes were stored, %v", len(got), err)
		}
		r, err := c.RetrFrom("up", 100)
		must("RetrFrom", err)
		got, err := io.ReadAll(r)
		must("what was fetched", errors.Join(err, r.Close()))
		if string(got) != text[100:] {
			t.Fatalf("%d bytes came", len(got))
		}
	}
	must("Append", c.Append("up", strings.NewReader("more")))
	must("StorFrom", c.StorFrom("up", strings.NewReader("MORE!"), uint64(len(text))))
	n, err := c.FileSize("up")
	if must("FileSize", err); int(n) != len(text)+5 {
		t.Errorf("the size is %d", n)
	}
	must("Stor, of nothing", c.Stor("empty", strings.NewReader("")))
	must("MakeDir", c.MakeDir("d"))
	must("ChangeDir", c.ChangeDir("d"))
	if p, err := c.CurrentDir(); p != "/d" {
		t.Errorf("CurrentDir: %q, %v", p, err)
	}
	must("ChangeDirToParent", c.ChangeDirToParent())
	must("Rename", c.Rename("up", "d/moved"))
	e, err := c.GetEntry("d/moved")
	if must("GetEntry", err); e.Type != jlaffaye.EntryTypeFile || int(e.Size) != len(text)+5 {
		t.Errorf("GetEntry: %+v", e)
	}
	at := time.Date(2017, 9, 21, 1, 34, 10, 0, time.UTC)
	must("SetTime", c.SetTime("d/moved", at))
	if got, err := c.GetTime("d/moved"); !got.Equal(at) {
		t.Errorf("GetTime: %v, %v", got, err)
	}
	all, err := c.List("/")
	must("List", err)
	if len(all) != 2 {
		t.Errorf("List has %d", len(all))
	}
	names, err := c.NameList("/d")
	if must("NameList", err); !slices.Equal(names, []string{"/d/moved"}) {
		t.Errorf("NameList: %q", names)
	}
	r, err := c.Retr("d/moved") // which is given up
	must("Retr", err)
	_, err = io.ReadFull(r, make([]byte, 10))
	must("its beginning", err)
	_ = r.Close() // it has to say that it was not whole
	must("NoOp, behind that", c.NoOp())
	must("RemoveDirRecur", c.RemoveDirRecur("d"))
	must("Delete", c.Delete("empty"))
	if entries, err := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// startTheirs starts one of their servers, and returns its address. With TLS it makes its listener itself.
func startTheirs(t *testing.T, dir string, cfg *tls.Config) string {
	t.Helper()
	driver, err := file.NewDriver(dir)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().(*net.TCPAddr)
	ln.Close() // nobody else takes the port so soon
	s, err := goftp.NewServer(&goftp.Options{Driver: driver, Auth: &goftp.SimpleAuth{Name: "joe", Password: "secret"},
		Perm: goftp.NewSimplePerm("a", "b"), Logger: new(goftp.DiscardLogger), Hostname: "127.0.0.1", Port: addr.Port,
		TLS: cfg != nil, TLSConfig: cfg, ExplicitFTPS: true})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.ListenAndServe() }()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		nc, err := net.Dial("tcp", addr.String())
		if err == nil {
			nc.Close()
			break
		}
		if len(ended) > 0 || time.Now().After(end) {
			t.Fatalf("it does not serve: %v", err)
		}
	}
	t.Cleanup(func() {
		_ = s.Shutdown() // it says that it was closed
		<-ended
	})
	return addr.String()
}

// TestTheirServer has our client store, fetch and list on theirs. TLS from the first byte is not tried: their server
// refuses PBSZ then, and would send data in plain text.
func TestTheirServer(t *testing.T) {
	for _, kind := range []string{"plain", "explicit"} {
		t.Run(kind, func(t *testing.T) {
			cfg, ccfg := configs(t)
			o := ftp.ClientOptions{User: "joe", Password: "secret", TLS: ccfg, Security: ftp.Explicit}
			if kind == "plain" {
				cfg, o.Security = nil, ftp.PlainText
			}
			dir := t.TempDir()
			c, err := ftp.Dial(t.Context(), startTheirs(t, dir, cfg), o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			useOurs(t, c, dir)
		})
	}
}

func useOurs(t *testing.T, c *ftp.Client, dir string) {
	t.Helper()
	text := strings.Repeat("what goes up\n", 50_000)
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for range 2 {
		_, err := c.Stor(t.Context(), "up", 0, strings.NewReader(text))
		must("Stor", err)
		if got, err := os.ReadFile(filepath.Join(dir, "up")); string(got) != text {
			t.Fatalf("%d bytes were stored, %v", len(got), err)
		}
		var b bytes.Buffer
		_, err = c.Retr(t.Context(), "up", 100, &b)
		if must("Retr", err); b.String() != text[100:] {
			t.Fatalf("%d bytes came", b.Len())
		}
	}
	must("Mkdir", c.Mkdir(t.Context(), "d"))
	all, err := c.ReadDir(t.Context(), "/")
	if must("ReadDir", err); len(all) != 2 {
		t.Errorf("ReadDir: %+v", all)
	}
	mine := errors.New("mine")
	if _, err := c.Retr(t.Context(), "up", 0, failing{mine}); !errors.Is(err, mine) {
		t.Errorf("Retr, given up: %v", err)
	}
	if n, err := c.Size(t.Context(), "up"); int(n) != len(text) || err != nil {
		t.Errorf("behind that: Size: %d, %v", n, err)
	}
	must("Rename", c.Rename(t.Context(), "up", "d/moved"))
	must("Remove", c.Remove(t.Context(), "d/moved"))
	must("Rmdir", c.Rmdir(t.Context(), "d"))
}

// A failing is a writer that fails.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
