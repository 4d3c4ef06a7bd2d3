package natsnode

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/plexor-go/plexor/internal/certs"
)

// TLS is how nodes know each other: each has a certificate that the authority of the cluster has signed, and shows it,
// whether it dials or is dialled. So the certificate must be fit for both (extended key usage serverAuth and
// clientAuth). A node without one is not let in, nor does a node go to one without.
//
// A certificate or key that is replaced is read again; the authority's is read at the start alone.
type TLS struct {
	// CertFile is the certificate of this node, with those of the authorities between it and CAFile's behind it, and
	// KeyFile its private key, both in PEM. KeyFile "": CertFile has both.
	CertFile, KeyFile string
	// CAFile has the certificates of the authorities that vouch for nodes, in PEM. No others do.
	CAFile string
	// ServerName is a name that the certificates of all nodes have; "": each has the name or address to which routes
	// lead. Nodes that were not told of each other find each other by address, so theirs must have that or a ServerName.
	ServerName string
}

// nodes is the configuration of both sides. What the other nodes would refuse is refused here, at once.
func (t *TLS) nodes(log *slog.Logger) (*tls.Config, error) {
	if t.CertFile == "" {
		return nil, errors.New("TLS of a node needs a CertFile")
	}
	c, store, err := t.config(log)
	if err != nil {
		return nil, err
	}
	own, err := store.Get(&tls.ClientHelloInfo{})
	if err != nil {
		return nil, err
	}
	if err := t.fits(own, c.RootCAs); err != nil {
		return nil, fmt.Errorf("other nodes would refuse the certificate %s: %w", t.CertFile, err)
	}
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, c.RootCAs
	return c, nil
}

// forClients is the configuration of a node towards its clients.
func forClients(p certs.Pair, log *slog.Logger) (*tls.Config, error) {
	store, err := certs.NewStore([]certs.Pair{p}, certs.Options{Now: time.Now, Log: log})
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: store.Get}, nil
}

// Client is the configuration of who dials. Without a CertFile it shows no certificate.
func (t *TLS) Client(log *slog.Logger) (*tls.Config, error) {
	c, _, err := t.config(log)
	return c, err
}

func (t *TLS) config(log *slog.Logger) (*tls.Config, *certs.Store, error) {
	if t.CAFile == "" || t.CertFile == "" && t.KeyFile != "" {
		return nil, nil, errors.New("TLS needs a CAFile, and a CertFile if there is a KeyFile")
	}
	text, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool(), ServerName: t.ServerName}
	if !c.RootCAs.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("the CAFile %s has no certificate in PEM", t.CAFile)
	}
	if t.CertFile == "" {
		return c, nil, nil
	}
	store, err := certs.NewStore([]certs.Pair{{CertFile: t.CertFile, KeyFile: t.KeyFile}},
		certs.Options{Now: time.Now, Log: log})
	if err != nil {
		return nil, nil, err
	}
	c.GetCertificate, c.GetClientCertificate = store.Get, store.GetClient
	return c, store, nil
}

// fits reports why a node of the same authority would refuse the certificate.
func (t *TLS) fits(cert *tls.Certificate, roots *x509.CertPool) error {
	between := x509.NewCertPool()
	for _, der := range cert.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		between.AddCert(c)
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		_, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between,
			KeyUsages: []x509.ExtKeyUsage{use}})
		if err != nil {
			return err
		}
	}
	if t.ServerName == "" {
		return nil
	}
	return cert.Leaf.VerifyHostname(t.ServerName)
}
