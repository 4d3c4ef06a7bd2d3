package ftp

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/stage"
)

// patience is how long what must come may take.
const patience = 3 * time.Minute

// A rig is a server on loopback, with the files of a folder.
type rig struct {
	t    testing.TB
	srv  *Server
	addr string
	dir  string
	root *os.Root
	user *User
	log  *lines
}

// lines is a log that is kept.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newRig serves srv, with the users joe (password secret), reader, who may only read, and anonymous.
func newRig(t testing.TB, srv *Server) *rig {
	t.Helper()
	r := &rig{t: t, srv: srv, dir: t.TempDir(), log: new(lines)}
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	r.root = root
	r.user = &User{Name: "joe", FS: Dir(root)}
	if srv.Users == nil {
		users := new(Accounts)
		users.Add("joe", "secret", r.user)
		users.Add("reader", "secret", &User{Name: "reader", FS: Dir(root), ReadOnly: true})
		users.Anonymous(Dir(root))
		srv.Users = users
	}
	if srv.Limits.FailDelay == 0 {
		srv.Limits.FailDelay = -1
	}
	if srv.Log == nil {
		srv.Log = slog.New(slog.NewTextHandler(r.log, nil))
	}
	r.addr = serve(t, srv, "")
	return r
}

// serve serves srv until the test ends, and returns the address: of loopback or a lab where none is given.
func serve(t testing.TB, srv *Server, addr string) string {
	t.Helper()
	var ln net.Listener
	var err error
	if addr == "" {
		ln, err = stage.Listen(t)
		inLab(t, srv)
	} else {
		ln, err = net.Listen("tcp", addr)
	}
	if err != nil {
		t.Skip("no such address here:", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { _ = srv.Serve(ctx, nc) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		cancel(errors.New("the test is over"))
		wg.Wait()
	})
	return ln.Addr().String()
}

// A halfCloser is what connections of the kernel and of the lab are.
type halfCloser interface {
	net.Conn
	CloseWrite() error
	SetLinger(sec int) error
}

// inLab has a server make its data connections in the lab, where its test takes place in one.
func inLab(t testing.TB, srv *Server) {
	if stage.Of(t.Name()) == nil {
		return
	}
	srv.Listen = func(ctx context.Context, address string) (net.Listener, error) {
		return stage.ListenAt(ctx, "tcp", address)
	}
	srv.Dial = func(ctx context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
		return stage.DialContext(ctx, "tcp", to.String())
	}
}

// file makes one below the root.
func (r *rig) file(name, text string) {
	r.t.Helper()
	p := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o666); err != nil {
		r.t.Fatal(err)
	}
}

// has compares a file below the root.
func (r *rig) has(name, want string) {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil || string(b) != want {
		r.t.Errorf("%s = %.60q of %d bytes, %v, want %.60q of %d", name, b, len(b), err, want, len(want))
	}
}

// lacks is for what must not be there.
func (r *rig) lacks(name string) {
	r.t.Helper()
	if _, err := os.Lstat(filepath.Join(r.dir, name)); !errors.Is(err, os.ErrNotExist) {
		r.t.Errorf("%s is there (%v)", name, err)
	}
}

// A talk is a control connection of which each byte is a test's.
type talk struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

// talk connects, and takes the greeting.
func (r *rig) talk() *talk {
	r.t.Helper()
	c := dialTalk(r.t, r.addr)
	c.want(220)
	return c
}

func dialTalk(t testing.TB, addr string) *talk {
	t.Helper()
	nc, err := stage.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { nc.Close() })
	return &talk{t, nc, bufio.NewReader(nc)}
}

// in connects and logs joe in, TYPE I.
func (r *rig) in() *talk {
	r.t.Helper()
	c := r.talk()
	c.login("joe")
	return c
}

func (c *talk) login(name string) {
	c.t.Helper()
	c.do("USER "+name, 331)
	c.do("PASS secret", 230)
	c.do("TYPE I", 200)
}

func (c *talk) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, s); err != nil {
		c.t.Fatal(err)
	}
}

// reply reads the next reply.
func (c *talk) reply() Reply {
	c.t.Helper()
	var p ReplyParser
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("no reply: %v", err)
		}
		text, ok := strings.CutSuffix(line, "\r\n")
		if !ok {
			c.t.Fatalf("the line %q has no CR LF", line)
		}
		r, done, err := p.Line(text)
		if err != nil {
			c.t.Fatalf("%q: %v", line, err)
		}
		if done {
			return r
		}
	}
}

func (c *talk) want(code int) Reply {
	c.t.Helper()
	r := c.reply()
	if r.Code != code {
		c.t.Fatalf("the reply is %v, want %d", r, code)
	}
	return r
}

// do sends a command, and wants a code.
func (c *talk) do(line string, code int) Reply {
	c.t.Helper()
	c.send(line + "\r\n")
	r := c.reply()
	if r.Code != code {
		c.t.Fatalf("%s: the reply is %v, want %d", line, r, code)
	}
	return r
}

// ended wants the end of the connection.
func (c *talk) ended() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); len(b) > 0 || err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("the connection has more: %q, %v", b, err)
	}
}

// passive sets a data connection up, by EPSV, and makes it.
func (c *talk) passive() net.Conn {
	c.t.Helper()
	port, err := ParseEPSV(c.do("EPSV", 229).Lines[0])
	if err != nil {
		c.t.Fatal(err)
	}
	host, _, _ := net.SplitHostPort(c.nc.RemoteAddr().String())
	nc, err := stage.Dial(net.JoinHostPort(host, fmt.Sprint(port)))
	if err != nil {
		c.t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(patience))
	c.t.Cleanup(func() { nc.Close() })
	return nc
}

// get is a download by a command.
func (c *talk) get(line string) string {
	c.t.Helper()
	nc := c.passive()
	c.do(line, 150)
	b, err := io.ReadAll(nc)
	if err != nil {
		c.t.Fatal(err)
	}
	c.want(226)
	return string(b)
}

// put is an upload.
func (c *talk) put(line, text string, code int) {
	c.t.Helper()
	nc := c.passive()
	c.do(line, 150)
	if _, err := io.WriteString(nc, text); err != nil {
		c.t.Fatal(err)
	}
	nc.Close()
	c.want(code)
}

// newCert is a server's certificate for localhost, and the authorities that a client trusts.
func newCert(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{{127, 0, 0, 1}},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// usersFunc is Users as a function.
type usersFunc func(Login) (*User, error)

func (f usersFunc) Login(_ context.Context, l Login) (*User, error) { return f(l) }
