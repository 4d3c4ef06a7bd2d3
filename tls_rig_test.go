package plexor_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
)

// An authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	last int64
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, pool: x509.NewCertPool()}
	a.cert, a.key = a.make(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign})
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) make(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.last++
	template.SerialNumber = big.NewInt(a.last)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// issue makes a certificate for 127.0.0.1 and these names.
func (a *authority) issue(names ...string) tls.Certificate {
	a.t.Helper()
	cert, key := a.make(&x509.Certificate{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// write puts a certificate and its key into files.
func (a *authority) write(p plexor.KeyPair, cert tls.Certificate) {
	a.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		p.CertFile: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		p.KeyFile:  {Type: "PRIVATE KEY", Bytes: der},
	} {
		if name == "" {
			continue
		}
		tmp := name + ".new" // so that the file is another one, however coarse its times are
		if err := os.WriteFile(tmp, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
		if err := os.Rename(tmp, name); err != nil {
			a.t.Fatal(err)
		}
	}
}

// files makes names for a pair of files.
func files(t *testing.T, name string) plexor.KeyPair {
	dir := t.TempDir()
	return plexor.KeyPair{CertFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key")}
}

// A tlsBench is a server at a tls address, with a certificate of an authority of its own.
type tlsBench struct {
	*bench
	ca *authority
}

const tlsAddr = "tls://127.0.0.1:0"

// serveTLS starts one. cfg may be nil; the certificate is added.
func serveTLS(t *testing.T, driver string, srv *plexor.Server, cfg *tls.Config, h plexor.Handler) *tlsBench {
	t.Helper()
	ca := newAuthority(t, "the server's")
	if cfg == nil {
		cfg = new(tls.Config)
	}
	cfg.Certificates = append(cfg.Certificates, ca.issue("plexor.test"))
	srv.TLS = &plexor.TLS{Config: cfg}
	return &tlsBench{place{driver, tlsAddr}.serve(t, srv, h), ca}
}

// client is how clients are set up that trust the server.
func (b *tlsBench) client() *tls.Config {
	return &tls.Config{RootCAs: b.ca.pool, ServerName: "plexor.test"}
}

// connect makes the handshake, and fails the test if it can't.
func (b *tlsBench) connect(cfg *tls.Config) *tls.Conn {
	b.t.Helper()
	if cfg == nil {
		cfg = b.client()
	}
	c := b.try(cfg)
	if err := c.Handshake(); err != nil {
		b.t.Fatalf("the client's handshake: %v", err)
	}
	return c
}

// try leaves the handshake to the test.
func (b *tlsBench) try(cfg *tls.Config) *tls.Conn {
	b.t.Helper()
	c := tls.Client(b.dial(), cfg)
	b.t.Cleanup(func() { c.Close() })
	return c
}

// echoTLS is an echo.
var echoTLS = plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) })
