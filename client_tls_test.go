package plexor_test

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"runtime"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/certs"
)

// TestClientRoots: the first dials of a process, which read the system's authorities and the client's own certificate.
func TestClientRoots(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		ca := newAuthority(t, "nobody knows")
		cert := ca.issue("localhost")
		b := place{driver: driver, addr: tlsAddr}.serve(t, &plexor.Server{TLS: &plexor.TLS{
			Config: &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert}}},
			plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) }))
		pair := files(t, "client")
		ca.write(pair, ca.issue("client"))
		own := "cert=" + url.QueryEscape(pair.CertFile) + "&key=" + url.QueryEscape(pair.KeyFile)
		sum := sha256.Sum256(cert.Certificate[0])
		pin := "fingerprint=" + url.QueryEscape(certs.Colons(sum[:]))
		for query, trusts := range map[string]bool{"": false, own: false, pin: true, own + "&" + pin: true} {
			c := &plexor.Client{Driver: driver, Network: place{driver: driver}.network(t)}
			plexor.ForgetRoots()
			conn, err := c.Dial(t.Context(), "tls://"+b.addr.String()+"?"+query)
			switch {
			case !trusts && !errors.As(err, new(*tls.CertificateVerificationError)), trusts && err != nil:
				t.Errorf("%q: %v", query, err)
			case trusts:
				send(t, conn, "hello")
				want(t, conn, "hello")
				conn.Close()
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestDialCallbackPanics: of a dial whose callback of TLS panics, or ends its goroutine, nothing is left open.
func TestDialCallbackPanics(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		p := place{driver: driver, addr: tlsAddr}
		b := p.serve(t, new(plexor.Server), plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) }))
		c := &plexor.Client{Driver: driver, Network: p.network(t), Log: slog.New(slog.DiscardHandler)}
		defer c.Close()
		for name, end := range map[string]func(){"panic": func() { panic("of a callback") }, "Goexit": runtime.Goexit} {
			c.Dialer.TLS = &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error {
				end()
				return nil
			}}
			before := b.Stats().Accepted
			if _, err := c.Dial(t.Context(), "tls://"+b.addr.String()); err == nil {
				t.Errorf("%s: no error", name)
			}
			b.await("the end of what a callback left: "+name, func(s plexor.Stats) bool {
				return s.Accepted > before && s.Conns == 0
			})
		}
	})
}
