package plexor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/certs"
)

// clientTLS makes c, which was dialled and has said nothing yet, a connection over TLS. cfg may be nil; it is not
// changed. What it leaves open comes from the address:
//
//	tls://host:port?cert=FILE&key=FILE&fingerprint=AB:CD:…
//
// the server's name from the host, the client's certificate from cert and key, and from fingerprint the one certificate
// that is trusted, whoever has signed it and whatever its names. ctx, which carries the task, bounds it.
func (ep *endpoint) clientTLS(ctx context.Context, c *Conn, cfg *tls.Config) error {
	if cfg = cfg.Clone(); cfg == nil {
		cfg = new(tls.Config)
	}
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = strings.Cut(ep.addr.Host, "%") // the zone of an address is not its certificate's affair
		if cfg.ServerName == "" {
			cfg.ServerName = "localhost" // so it is with sock.Connect
		}
	}
	if ep.pair.CertFile != "" {
		if len(cfg.Certificates) > 0 || cfg.GetClientCertificate != nil {
			return fmt.Errorf("plexor: %s: there is a client certificate in the tls.Config already: which of them is meant?",
				ep.text)
		}
		cert, err := coro.AwaitIn(ctx, c.raw.w.reads, func() (*tls.Certificate, error) {
			return certs.Load(certs.Pair(ep.pair))
		})
		if err != nil {
			return err
		}
		cfg.Certificates = []tls.Certificate{*cert}
	}
	if ep.pin != nil {
		pinned(cfg, ep.pin)
	}
	return handshakeFailed(c.startTLS(ctx, cfg))
}

// handshakeFailed is err as it is told of a tls address, at which nobody called StartTLS. If the certificate was
// refused, it says how to trust that one alone.
func handshakeFailed(err error) error {
	op, ok := err.(*net.OpError)
	if !ok {
		return err
	}
	said := *op
	said.Op = "handshake"
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(e.UnverifiedCertificates) > 0 {
		sum := sha256.Sum256(e.UnverifiedCertificates[0].Raw)
		said.Err = fmt.Errorf("%w (if this is the certificate that you expect, trust it alone by ?fingerprint=%s in the "+
			"address)",
			op.Err, certs.Colons(sum[:]))
	}
	return &said
}

// rootsLoaded: package x509 has the system's authorities.
var rootsLoaded atomic.Bool

// loadRoots has package x509 read the system's authorities, some hundred files or kilobytes, before the first handshake
// does so and holds up the loop.
func (w *worker) loadRoots(ctx context.Context) error {
	if rootsLoaded.Load() {
		return nil
	}
	_, err := coro.AwaitIn(ctx, w.reads, func() (struct{}, error) {
		_, _ = x509.SystemCertPool() // what is wrong with it the handshake will tell
		rootsLoaded.Store(true)
		return struct{}{}, nil
	})
	return err
}

// pinned makes cfg trust the certificate with this SHA-256 alone. The pin stands for the whole chain of trust, which is
// why crypto/tls is told to verify none.
func pinned(cfg *tls.Config, pin []byte) {
	also := cfg.VerifyConnection
	cfg.InsecureSkipVerify = true
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		if got := sha256.Sum256(cs.PeerCertificates[0].Raw); !bytes.Equal(got[:], pin) {
			return fmt.Errorf("plexor: the server's certificate has the fingerprint %s, and not the one that was asked for",
				certs.Colons(got[:]))
		}
		if also != nil {
			return also(cs)
		}
		return nil
	}
}

// cutFingerprint takes fingerprint out of an address's query: a SHA-256 in hexadecimal, with or without colons.
func cutFingerprint(q url.Values) ([]byte, error) {
	if !q.Has("fingerprint") {
		return nil, nil
	}
	pin, err := hex.DecodeString(strings.ReplaceAll(q.Get("fingerprint"), ":", ""))
	if err != nil || len(pin) != sha256.Size {
		return nil, errors.New("fingerprint is no SHA-256 in hexadecimal, as openssl x509 -fingerprint -sha256 prints it")
	}
	delete(q, "fingerprint")
	return pin, nil
}
