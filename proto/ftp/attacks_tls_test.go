package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/internal/stage"
)

// secureTalk is a control connection that has switched to TLS, and logged joe in.
func secureTalk(r *rig, cfg *tls.Config) *talk {
	r.t.Helper()
	c := r.talk()
	c.do("AUTH TLS", 234)
	c.upgrade(cfg)
	c.do("PBSZ 0", 200)
	c.do("PROT P", 200)
	c.login("joe")
	return c
}

func (c *talk) upgrade(cfg *tls.Config) {
	c.t.Helper()
	tc := tls.Client(c.nc, cfg)
	if err := tc.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.nc = tc
	c.r.Reset(tc)
}

// clientTLS trusts pool, and has a cache of its own.
func clientTLS(base *tls.Config) *tls.Config {
	cfg := base.Clone()
	cfg.ServerName = "localhost"
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	return cfg
}

// TestUnbound is a theft from the same address: a data connection over TLS that does not resume its control
// connection's session, or that resumes another one's, gets nothing. Each in TLS 1.2 and 1.3.
func TestUnbound(t *testing.T) {
	cert, pool := newCert(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, row := range []struct {
			name     string
			binding  Binding
			before   bool // the session has bound a data connection before
			theft    string
			want     int
			unbound  int64
			resumed  bool
			received string
		}{
			{"require, its own", BindRequire, false, "own", 226, 0, true, "for joe alone"},
			{"require, no ticket", BindRequire, false, "none", 522, 1, false, ""},
			{"require, another session's ticket", BindRequire, false, "other", 522, 1, false, ""},
			{"prefer, no ticket, at first", BindPrefer, false, "none", 226, 0, false, "for joe alone"},
			{"prefer, no ticket, later", BindPrefer, true, "none", 522, 1, false, ""},
			{"prefer, another session's ticket, later", BindPrefer, true, "other", 522, 1, false, ""},
			{"off, no ticket", BindOff, false, "none", 226, 0, false, "for joe alone"},
		} {
			t.Run(fmt.Sprintf("%s/%s", tls.VersionName(version), row.name), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, &Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Binding: row.binding})
				r.file("secret", "for joe alone")
				base := &tls.Config{RootCAs: pool, MinVersion: version, MaxVersion: version}
				own, other := clientTLS(base), clientTLS(base)
				c := secureTalk(r, own)
				if row.before {
					nc := tls.Client(c.passive(), own)
					c.do("RETR secret", 150)
					if b, err := io.ReadAll(nc); err != nil || len(b) == 0 || !nc.ConnectionState().DidResume {
						t.Fatalf("the first: %q, %v, resumed %v", b, err, nc.ConnectionState().DidResume)
					}
					c.want(226)
				}
				cfg := clientTLS(base)
				switch row.theft {
				case "own":
					cfg = own
				case "other":
					secureTalk(r, other)
					cfg = other
				}
				nc := tls.Client(c.passive(), cfg)
				c.do("RETR secret", 150)
				b, err := io.ReadAll(nc)
				if string(b) != row.received || nc.ConnectionState().DidResume != row.resumed {
					t.Errorf("received %q, %v, resumed %v", b, err, nc.ConnectionState().DidResume)
				}
				c.want(row.want)
				if n := r.srv.Stats().Unbound; n != row.unbound {
					t.Errorf("Unbound = %d, want %d", n, row.unbound)
				}
			})
		}
	}
}

// TestTruncatedUpload ends an upload over TLS without close_notify, as anybody on the way can.
func TestTruncatedUpload(t *testing.T) {
	cert, pool := newCert(t)
	r := newRig(t, &Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Binding: BindRequire})
	cfg := clientTLS(&tls.Config{RootCAs: pool})
	c := secureTalk(r, cfg)
	raw := c.passive()
	nc := tls.Client(raw, cfg)
	c.do("STOR up", 150)
	if _, err := io.WriteString(nc, "half of "); err != nil {
		t.Fatal(err)
	}
	raw.Close() // a FIN
	c.want(426)
	r.has("up", "half of ")
	if st := r.srv.Stats(); st.Truncated != 1 || st.Transfers != 0 {
		t.Errorf("stats: %+v", st)
	}
	c.do("REST 8", 350)
	nc = tls.Client(c.passive(), cfg)
	c.do("STOR up", 150)
	if _, err := io.WriteString(nc, "all"); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	c.want(226)
	r.has("up", "half of all")
}

// TestTruncatedDownload is a server that ends a file without close_notify: the client does not take it for whole.
func TestTruncatedDownload(t *testing.T) {
	cert, pool := newCert(t)
	r := newRig(t, &Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	r.file("a", strings.Repeat("x", 100))
	c := r.client(ClientOptions{Security: Explicit, TLS: &tls.Config{RootCAs: pool},
		Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			nc, err := stage.DialContext(ctx, "tcp4", address)
			return &cutConn{Conn: nc, left: 1 << 30}, err
		}})
	var b strings.Builder
	if _, err := c.Retr(t.Context(), "a", 0, &b); err != nil {
		t.Fatal(err)
	}
	// The last record, close_notify, has 24 bytes in TLS 1.3: 5 of header, 2 of alert, 1 of type, 16 of tag.
	plain := c.o.Dial
	var last *cutConn
	c.o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := plain(ctx, network, address)
		last = nc.(*cutConn)
		return nc, err
	}
	if _, err := c.Retr(t.Context(), "a", 0, &b); err != nil {
		t.Fatal(err)
	}
	whole := last.read
	c.o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := plain(ctx, network, address)
		nc.(*cutConn).left = whole - 24
		return nc, err
	}
	b.Reset()
	if _, err := c.Retr(t.Context(), "a", 0, &b); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Retr: %d bytes, %v", b.Len(), err)
	}
}

// A cutConn ends when left bytes have come.
type cutConn struct {
	net.Conn
	read, left int
}

func (c *cutConn) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.read += n
	c.left -= n
	return n, err
}

// TestInjected sends commands behind AUTH in the same packet: they must not become commands inside TLS.
func TestInjected(t *testing.T) {
	cert, _ := newCert(t)
	r := newRig(t, &Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	for _, behind := range []string{"USER joe\r\nPASS secret\r\nDELE a\r\n", "U", "\r\n", "\x00"} {
		c := r.talk()
		c.send("AUTH TLS\r\n" + behind)
		c.want(421)
		c.ended()
	}
	if n := r.srv.Stats().Injected; n != 4 {
		t.Errorf("Injected = %d, want 4", n)
	}
}

// TestAuthForgets has what was said in plain text hold no longer in TLS (RFC 4217, section 4).
func TestAuthForgets(t *testing.T) {
	cert, pool := newCert(t)
	r := newRig(t, &Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	r.file("d/a", "x")
	c := r.in()
	c.do("CWD d", 250)
	c.do("AUTH TLS", 234)
	c.upgrade(clientTLS(&tls.Config{RootCAs: pool}))
	c.do("PWD", 530)
	c.do("PASS secret", 503)
	c.do("AUTH TLS", 503)
	c.login("joe")
	if got := c.do("PWD", 257).Lines[0]; !strings.HasPrefix(got, `"/"`) {
		t.Errorf("PWD: %s", got)
	}
	c.do("REIN", 502)
	c.do("CCC", 534)
}
