package main

import (
	"bytes"
	"context"
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
	"net/http"
	"testing"
	"time"

	"golang.org/x/crypto/acme/autocert"
)

// TestServe: a certificate that the manager has is served, by HTTP/2 too, and a name that was not given is refused.
func TestServe(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www.example.org"}, DNSNames: []string{"www.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour), IsCA: true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer // as autocert keeps it: the key, and the certificate behind it
	_ = pem.Encode(&file, &pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	_ = pem.Encode(&file, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	cache := autocert.DirCache(t.TempDir())
	if err := cache.Put(context.Background(), "www.example.org", file.Bytes()); err != nil {
		t.Fatal(err)
	}

	policy := autocert.HostWhitelist("www.example.org")
	srv := serve(&autocert.Manager{Prompt: autocert.AcceptTOS, Cache: cache, HostPolicy: policy})
	addr, err := srv.Open("tls://127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr.String())
		},
	}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	res, err := client.Get("https://www.example.org/")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if want := "hello by HTTP/2.0 on www.example.org\n"; string(b) != want || err != nil {
		t.Errorf("%q, %v; want %q", b, err, want)
	}
	if _, err := client.Get("https://other.example.org/"); err == nil {
		t.Error("a name that was not given was served")
	}
}
