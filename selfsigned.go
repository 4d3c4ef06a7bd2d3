package plexor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"time"
)

// selfSignedLife is how long a self-signed certificate holds. It lives in memory only, so it ends with its server.
const selfSignedLife = 2 * 365 * 24 * time.Hour

// selfSigned makes a certificate for this machine and the given hosts (names or addresses), with a P-256 key. It is
// its own authority, so that a client can be given it as a root.
func selfSigned(now time.Time, hosts ...string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("plexor: self-signed certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // RFC 5280 section 4.1.2.2: at most 20 octets
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("plexor: self-signed certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "plexor (self-signed)"},
		NotBefore:             now.Add(-time.Hour), // for clients whose clock is behind
		NotAfter:              now.Add(selfSignedLife),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	hosts = append(hosts, "localhost", "127.0.0.1", "::1")
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	seen := make(map[string]bool)
	for _, h := range hosts {
		h, _, _ = strings.Cut(h, "%") // a zone means something on this machine alone
		if h == "" || seen[h] {
			continue
		}
		seen[h] = true
		if ip := net.ParseIP(h); ip == nil {
			template.DNSNames = append(template.DNSNames, h)
		} else if !ip.IsUnspecified() {
			template.IPAddresses = append(template.IPAddresses, ip)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("plexor: self-signed certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("plexor: self-signed certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// fingerprint is the SHA-256 of a certificate as `openssl x509 -fingerprint -sha256` prints it.
func fingerprint(cert tls.Certificate) string {
	sum := sha256.Sum256(cert.Certificate[0])
	return colons(sum[:])
}

// SelfSigned returns the certificate that the server made for itself because a tls:// address had none, and its SHA-256
// fingerprint as openssl prints it ("AB:CD:…"), for a log line that clients can compare with. It is nil and "" while
// no such address was opened. Any goroutine may call it.
func (s *Server) SelfSigned() (cert *tls.Certificate, fingerprint string) {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	return s.own.cert, s.own.fingerprint
}

// NewSelfSigned makes a certificate as a server does that has none, for localhost, this machine's name and the given
// hosts, and its fingerprint. It is for several processes that are to show the same one: put it into TLS.Config.
func NewSelfSigned(hosts ...string) (cert tls.Certificate, print string, err error) {
	if cert, err = selfSigned(time.Now(), hosts...); err != nil {
		return cert, "", err
	}
	return cert, fingerprint(cert), nil
}

// ownCertificate makes the server's own certificate when it is first needed.
func (s *Server) ownCertificate(host string) (tls.Certificate, error) {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	if s.own.cert == nil {
		cert, err := selfSigned(s.time(), host)
		if err != nil {
			return tls.Certificate{}, err
		}
		s.own.cert, s.own.fingerprint = &cert, fingerprint(cert)
	}
	return *s.own.cert, nil
}

// time is by the server's clock.
func (s *Server) time() time.Time {
	if s.Clock != nil {
		return s.Clock.Now()
	}
	return time.Now()
}
