package plexor

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/certs"
)

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
	if cert, err = certs.SelfSigned(time.Now(), hosts...); err != nil {
		return cert, "", fmt.Errorf("plexor: %w", err)
	}
	return cert, certs.Fingerprint(cert), nil
}

// ownCertificate makes the server's own certificate when it is first needed.
func (s *Server) ownCertificate(host string) (tls.Certificate, error) {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	if s.own.cert == nil {
		cert, err := certs.SelfSigned(s.time(), host)
		if err != nil {
			return tls.Certificate{}, err
		}
		s.own.cert, s.own.fingerprint = &cert, certs.Fingerprint(cert)
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

// onCoroutine marks a handshake's context whose callbacks run on a coroutine, and may wait with that context. Its value
// is the worker.
type onCoroutine struct{}

// aside runs a look at the disk, which may be slow, off the loop if a coroutine makes the handshake of ctx.
func aside(ctx context.Context, look func()) {
	w, ok := ctx.Value(onCoroutine{}).(*worker)
	if !ok {
		look()
		return
	}
	// That the handshake's time is up, it will find out itself.
	_, _ = coro.AwaitIn(ctx, w.reads, func() (struct{}, error) {
		look()
		return struct{}{}, nil
	})
}
