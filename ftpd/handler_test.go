package ftpd_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/ftpd"
	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proto/ftp"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

const patience = time.Minute

// drivers runs f on each that works here.
func drivers(t *testing.T, f func(t *testing.T, driver string)) {
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			f(t, d.Name)
		})
	}
}

// serve serves s, with the files of a folder for joe, and returns the address and the folder.
func serve(t *testing.T, s *ftp.Server, srv *plexor.Server) (addr, dir string) {
	t.Helper()
	dir = t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	users, _ := s.Users.(*ftp.Accounts)
	if users == nil {
		users = new(ftp.Accounts)
	}
	users.Add("joe", "secret", &ftp.User{Name: "joe", FS: ftp.Dir(root)})
	s.Users, s.Log = users, slog.New(slog.DiscardHandler)
	a, err := srv.Open("tcp://127.0.0.1:0", ftpd.Handler(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return a.String(), dir
}

// TestServe: transfers in both directions, plain and over TLS, on every driver.
func TestServe(t *testing.T) {
	cert, _, err := plexor.NewSelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	drivers(t, func(t *testing.T, driver string) {
		for name, s := range map[string]*ftp.Server{"plain": {}, "explicit": {TLS: cfg, Binding: ftp.BindRequire},
			"implicit": {TLS: cfg, Binding: ftp.BindRequire, Implicit: true}} {
			o := ftp.ClientOptions{User: "joe", Password: "secret", TLS: &tls.Config{RootCAs: pool, ServerName: "localhost"}}
			switch {
			case s.Implicit:
				o.Security = ftp.Implicit
			case s.TLS != nil:
				o.Security = ftp.Explicit
			}
			addr, dir := serve(t, s, &plexor.Server{Driver: driver, Loops: 2})
			c, err := ftp.Dial(t.Context(), addr, o)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for range 2 {
				if _, err := c.Stor(t.Context(), "big", 0, bytes.NewReader(big)); err != nil {
					t.Fatalf("%s: Stor: %v", name, err)
				}
				if got, err := os.ReadFile(filepath.Join(dir, "big")); !bytes.Equal(got, big) {
					t.Fatalf("%s: stored %d bytes, %v", name, len(got), err)
				}
				var b bytes.Buffer
				if _, err := c.Retr(t.Context(), "big", 5, &b); err != nil || !bytes.Equal(b.Bytes(), big[5:]) {
					t.Fatalf("%s: Retr: %d bytes, %v", name, b.Len(), err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			_, err = c.Retr(ctx, "big", 0, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }))
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: aborted: %v", name, err)
			}
			if all, err := c.ReadDir(t.Context(), "/"); err != nil || len(all) != 1 {
				t.Errorf("%s: ReadDir behind the abort: %v, %v", name, all, err)
			}
			if err := c.Close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A talk is a control connection.
type talk struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
}

func dial(t *testing.T, addr string) *talk {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	return &talk{t, nc, bufio.NewReader(nc)}
}

func (c *talk) want(code string) string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, code) {
		c.t.Fatalf("the reply is %q, %v, want %s", line, err, code)
	}
	return line
}

func (c *talk) do(line, code string) string {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, line+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	return c.want(code)
}

// TestTooLate: who is silent for too long is told so.
func TestTooLate(t *testing.T) {
	drivers(t, func(t *testing.T, driver string) {
		s := &ftp.Server{Limits: ftp.Limits{LoginTime: 100 * time.Millisecond}}
		addr, _ := serve(t, s, &plexor.Server{Driver: driver, Loops: 1})
		c := dial(t, addr)
		c.want("220")
		c.do("USER joe", "331")
		c.want("421")
		if _, err := c.r.ReadByte(); err != io.EOF {
			t.Errorf("behind 421: %v", err)
		}
		if n := s.Stats().TimedOut; n != 1 {
			t.Errorf("TimedOut = %d", n)
		}
	})
}

// TestTooLateBehindTLS makes the handshake that comes first, and says nothing.
func TestTooLateBehindTLS(t *testing.T) {
	cert, _, err := plexor.NewSelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	drivers(t, func(t *testing.T, driver string) {
		for wait := 300 * time.Millisecond; ; wait *= 2 {
			s := &ftp.Server{TLS: cfg, Implicit: true, Limits: ftp.Limits{LoginTime: wait}}
			addr, _ := serve(t, s, &plexor.Server{Driver: driver, Loops: 1})
			c := dial(t, addr)
			tc := tls.Client(c.nc, &tls.Config{InsecureSkipVerify: true})
			if err := tc.Handshake(); err != nil && wait < patience { // a busy machine was too late with that
				continue
			}
			c.nc = tc
			c.r.Reset(tc)
			c.want("220")
			c.want("421")
			return
		}
	})
}

// TestTooLateBeforeTLS: who is to begin with TLS, and says nothing, gets no reply in plain text.
func TestTooLateBeforeTLS(t *testing.T) {
	cert, _, err := plexor.NewSelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	drivers(t, func(t *testing.T, driver string) {
		s := &ftp.Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Implicit: true,
			Limits: ftp.Limits{LoginTime: 50 * time.Millisecond}}
		addr, _ := serve(t, s, &plexor.Server{Driver: driver, Loops: 1})
		c := dial(t, addr)
		if got, err := io.ReadAll(c.nc); err != nil || len(got) > 0 {
			t.Errorf("the server has said %q, %v", got, err)
		}
	})
}

// TestShutdown has sessions that rest, that transfer, and whose command is stuck in the file system when the server
// ends: nothing of theirs is left behind, and nothing is touched twice.
func TestShutdown(t *testing.T) {
	drivers(t, func(t *testing.T, driver string) {
		stuck, fsys := make(chan struct{}), make(chan struct{})
		users := new(ftp.Accounts)
		users.Add("stuck", "x", &ftp.User{Name: "stuck", FS: stuckFS{entered: fsys, free: stuck}})
		s := &ftp.Server{Users: users}
		log := new(bytes.Buffer)
		srv := &plexor.Server{Driver: driver, Loops: 1, Stall: -1, Log: slog.New(slog.NewTextHandler(log, nil))}
		addr, dir := serve(t, s, srv)
		if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 64<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		var talks []*talk
		for _, user := range []string{"joe", "joe", "stuck"} {
			c := dial(t, addr)
			c.want("220")
			c.do("USER "+user, "331")
			c.do("PASS "+map[string]string{"joe": "secret", "stuck": "x"}[user], "230")
			talks = append(talks, c)
		}
		var port int
		line := talks[1].do("EPSV", "229")
		if _, err := fmt.Sscanf(line[strings.Index(line, "(")+1:], "|||%d|", &port); err != nil {
			t.Fatal(err)
		}
		data, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer data.Close()
		talks[1].do("TYPE I", "200")
		talks[1].do("RETR big", "150")
		if _, err := io.WriteString(talks[2].nc, "SIZE x\r\n"); err != nil {
			t.Fatal(err)
		}
		<-fsys
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		close(stuck)
		for end := time.Now().Add(patience); s.Stats().Sessions != 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("sessions are left: %+v", s.Stats())
			}
		}
		if _, err := io.Copy(io.Discard, data); err == nil {
			t.Error("the transfer has ended as if it were whole")
		}
		if log.Len() > 0 {
			t.Errorf("the log has %s", log)
		}
	})
}

// A stuckFS stands still in Stat.
type stuckFS struct {
	ftp.FileSystem
	entered, free chan struct{}
}

func (s stuckFS) Stat(string) (os.FileInfo, error) {
	close(s.entered)
	<-s.free
	return nil, os.ErrNotExist
}

// TestDrain: at Shutdown who waits is told so, and a transfer goes on to its end, behind which its client is told.
func TestDrain(t *testing.T) {
	drivers(t, func(t *testing.T, driver string) {
		srv := &plexor.Server{Driver: driver, Loops: 1}
		addr, dir := serve(t, new(ftp.Server), srv)
		const size = 16 << 20
		if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		waits, new := dial(t, addr), dial(t, addr)
		new.want("220")
		waits.want("220")
		waits.do("USER joe", "331")
		waits.do("PASS secret", "230")
		c := dial(t, addr)
		c.want("220")
		c.do("USER joe", "331")
		c.do("PASS secret", "230")
		c.do("TYPE I", "200")
		var port int
		line := c.do("EPSV", "229")
		if _, err := fmt.Sscanf(line[strings.Index(line, "(")+1:], "|||%d|", &port); err != nil {
			t.Fatal(err)
		}
		data, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer data.Close()
		c.do("RETR big", "150")
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- srv.Shutdown(ctx) }()
		waits.want("421")
		new.want("421")
		if n, err := io.Copy(io.Discard, data); n != size || err != nil {
			t.Errorf("got %d bytes, %v", n, err)
		}
		c.want("226")
		c.want("421")
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestDial is a client of coroutines: it fetches, stores, and is cancelled in the midst of both, with the whole on one
// loop beside its server.
func TestDial(t *testing.T) {
	cert, _, err := plexor.NewSelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<19)
	drivers(t, func(t *testing.T, driver string) {
		for name, security := range map[string]ftp.Security{"plain": ftp.PlainText, "explicit": ftp.Explicit,
			"implicit": ftp.Implicit} {
			s := &ftp.Server{TLS: cfg, Implicit: security == ftp.Implicit, Binding: ftp.BindRequire}
			addr, dir := serve(t, s, &plexor.Server{Driver: driver, Loops: 1})
			err := plexor.RunOn(t.Context(), loop.Options{Driver: driver}, func(ctx context.Context) error {
				c, err := ftp.Dial(ctx, addr, ftp.ClientOptions{User: "joe", Password: "secret", Security: security,
					TLS: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}, Dial: ftpd.Dial})
				if err != nil {
					return err
				}
				defer c.Close()
				for range 2 {
					if _, err := c.Stor(ctx, "big", 0, bytes.NewReader(big)); err != nil {
						return fmt.Errorf("Stor: %w", err)
					}
					var b bytes.Buffer
					if _, err := c.Retr(ctx, "big", 0, &b); err != nil || !bytes.Equal(b.Bytes(), big) {
						return fmt.Errorf("Retr: %d bytes, %w", b.Len(), err)
					}
				}
				ended, cancel := context.WithCancel(ctx)
				_, err = c.Retr(ended, "big", 0, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }))
				if !errors.Is(err, context.Canceled) {
					return fmt.Errorf("Retr, cancelled: %w", err)
				}
				mine := errors.New("mine")
				_, err = c.Stor(ctx, "part", 0, io.MultiReader(strings.NewReader("part"), failing{mine}))
				if !errors.Is(err, mine) {
					return fmt.Errorf("Stor, broken off: %w", err)
				}
				_, err = c.ReadDir(ctx, "/")
				return err
			})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if st := s.Stats(); st.Transfers != 5 {
				t.Errorf("%s: %+v", name, st)
			}
			if b, err := os.ReadFile(filepath.Join(dir, "part")); len(b) > 4 || err != nil {
				t.Errorf("%s: the part is %q, %v", name, b, err)
			}
		}
	})
}

// failing is a Reader.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
