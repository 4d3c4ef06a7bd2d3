package plexor_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/loop"
)

// TestTLSReload: new certificates are used when their files have changed, and a second has passed; a bad pair leaves
// the old one in use, and is logged once.
func TestTLSReload(t *testing.T) {
	beside(t)
	eachDriver(t, func(t *testing.T, driver string) {
		ca := newAuthority(t, "theirs")
		pair := files(t, "s")
		ca.write(pair, ca.issue("first"))
		clock := loop.NewManualClock(time.Now())
		b := place{driver, "tls://127.0.0.1:0?cert=" + url.QueryEscape(pair.CertFile) + "&key=" +
			url.QueryEscape(pair.KeyFile)}.serve(t,
			&plexor.Server{Clock: clock}, plexor.GreeterFunc(func(c *plexor.Conn) {}))
		wantName := func(when, want string) {
			t.Helper()
			c := tls.Client(b.dial(), &tls.Config{InsecureSkipVerify: true})
			defer c.Close()
			if err := c.Handshake(); err != nil {
				t.Fatal(err)
			}
			if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
				t.Errorf("%s: the certificate is %q, want %q", when, got, want)
			}
		}
		wantName("at first", "first")
		ca.write(pair, ca.issue("second"))
		wantName("within the second", "first")
		clock.Advance(time.Second)
		wantName("after it", "second")

		third := ca.issue("third")
		ca.write(plexor.KeyPair{CertFile: pair.CertFile}, third) // the key comes later
		for range 3 {
			clock.Advance(time.Second)
			wantName("with a certificate that does not fit its key", "second")
		}
		if n := strings.Count(b.log.text(), "new TLS certificate refused"); n != 1 {
			t.Errorf("the log tells %d times of one bad pair:\n%s", n, b.log.text())
		}
		ca.write(pair, third)
		clock.Advance(time.Second)
		wantName("with both", "third")

		if err := os.Remove(pair.CertFile); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
		wantName("without a file", "third")
		b.log.says(t, "level=ERROR", "new TLS certificate refused", "no such file")
		ca.write(pair, ca.issue("fourth"))
		clock.Advance(time.Second)
		wantName("with a file again", "fourth")
	})
}

// TestTLSSelfSigned: a server without a certificate makes one, for its host, and tells its fingerprint.
func TestTLSSelfSigned(t *testing.T) {
	b := place{"", tlsAddr}.serve(t, &plexor.Server{}, nil)
	if cert, fp := b.SelfSigned(); cert != nil || fp != "" {
		t.Errorf("before it is needed: %v %q", cert, fp)
	}
	for range 2 { // both addresses have the same
		a, err := b.Open(tlsAddr, echoTLS)
		if err != nil {
			t.Fatal(err)
		}
		cert, fp := b.SelfSigned()
		pool := x509.NewCertPool()
		pool.AddCert(cert.Leaf)
		for _, name := range []string{"127.0.0.1", "localhost"} {
			c := tls.Client(dial(t, a), &tls.Config{RootCAs: pool, ServerName: name})
			if err := c.Handshake(); err != nil {
				t.Errorf("as %s: %v", name, err)
				continue
			}
			sum := sha256.Sum256(c.ConnectionState().PeerCertificates[0].Raw)
			if got := strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":"); got != fp {
				t.Errorf("the fingerprint is %s, SelfSigned says %s", got, fp)
			}
			c.Close()
		}
	}
}

// TestTLSAddresses: what is wrong is found before anything listens.
func TestTLSAddresses(t *testing.T) {
	ca := newAuthority(t, "theirs")
	pair, other := files(t, "a"), files(t, "b")
	ca.write(pair, ca.issue("a"))
	ca.write(other, ca.issue("b"))
	own := ca.issue("own")
	for _, row := range []struct {
		name, addr string
		tls        *plexor.TLS
		says       string
		is         error
	}{
		{"no file", tlsAddr + "?cert=/nowhere/x", nil, "/nowhere/x", fs.ErrNotExist},
		{"key alone", tlsAddr + "?key=x", nil, "key without cert", nil},
		{"empty", tlsAddr + "?cert=", nil, "cert names no file", nil},
		{"twice", tlsAddr + "?cert=a&cert=b", nil, "cert 2 times", nil},
		{"wrong key", tlsAddr + "?cert=" + pair.CertFile + "&key=" + other.KeyFile, nil, "private key does not match", nil},
		{"unknown option", tlsAddr + "?certificate=x", nil, `unknown option "certificate"`, nil},
		{"a fingerprint to listen with", tlsAddr + "?fingerprint=" + strings.Repeat("AB:", 31) + "AB", nil,
			"for those who dial", nil},
		{"tcp with a certificate", "tcp://127.0.0.1:0?cert=x", nil, `unknown option "cert"`, nil},
		{"two sources", tlsAddr,
			&plexor.TLS{Pairs: []plexor.KeyPair{pair}, Config: &tls.Config{Certificates: []tls.Certificate{own}}},
			"which of them", nil},
		{"whose clients", tlsAddr, &plexor.TLS{Config: &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}},
			"ClientCAs is nil", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			srv := &plexor.Server{TLS: row.tls}
			defer srv.Close()
			_, err := srv.Open(row.addr, echoTLS)
			if err == nil || !strings.Contains(err.Error(), row.says) || row.is != nil && !errors.Is(err, row.is) {
				t.Errorf("Open(%q): %v, want %q", row.addr, err, row.says)
			}
			if _, err := srv.Listen(row.addr); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("Listen(%q): %v, want %q", row.addr, err, row.says)
			}
		})
	}
}
