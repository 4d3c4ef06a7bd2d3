package plexor

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"

	"github.com/plexor-go/plexor/internal/certs"
)

// TLS is how a [Server] speaks TLS at its addresses of the form
//
//	tls://host:port?cert=FILE&key=FILE
//
// which are tcp addresses, with the same options, on which each connection begins with a handshake. The handler
// runs only when that has succeeded, so it sees nothing of a peer that failed; [Conn.ConnectionState] tells what was
// agreed.
//
// The certificate is the address's own (cert, and key, which may be left out if the same file holds both), else that of
// Pairs, else that of Config. If there is none at all, the server makes a self-signed pair when it starts, whose
// fingerprint [Server.SelfSigned] tells.
type TLS struct {
	// Pairs are the certificates. A client gets the first that suits the name it asks for (SNI, RFC 6066 section 3) and
	// its algorithms, or else the first. The files are looked at again when a client needs a certificate, at
	// most once a second, and read again when they have changed. A new pair that is bad is logged, and the one before
	// stays in use; so replace the two files in any order.
	Pairs []KeyPair
	// Config is all else: ALPN (NextProtos), client certificates (ClientAuth, ClientCAs), versions. nil means the
	// defaults of crypto/tls. It is cloned, and must not have certificates of its own (Certificates, GetCertificate)
	// when there are Pairs. Session tickets are on, with keys that change daily, unless it says otherwise, or
	// [Server.SetSessionTicketKeys] was called, as by package proc's workers.
	//
	// Its callbacks run on the connection's coroutine, and hold up the loop unless they wait by package coro:
	// coro.Await(hello.Context(), …) is the way to ask a disk or a vault.
	Config *tls.Config
}

// A KeyPair names the files of a certificate, with those of the authorities that vouch for it behind it, and of its
// private key, both in PEM. An empty KeyFile means that CertFile holds both.
type KeyPair struct{ CertFile, KeyFile string }

// An ownPair is the certificate that a server made for itself.
type ownPair struct {
	mu          sync.Mutex
	cert        *tls.Certificate
	fingerprint string
}

const tlsScheme = "tls://"

// cutTLS makes the tcp address of a tls one.
func cutTLS(text string) (tcp string, ok bool) {
	if len(text) >= len(tlsScheme) && strings.EqualFold(text[:len(tlsScheme)], tlsScheme) {
		return "tcp://" + text[len(tlsScheme):], true
	}
	return text, false
}

// cutPair takes cert and key out of an address's query.
func cutPair(q url.Values) (p KeyPair, err error) {
	for _, key := range []string{"cert", "key"} {
		if q.Has(key) && q.Get(key) == "" {
			return p, fmt.Errorf("%s names no file", key)
		}
	}
	p = KeyPair{q.Get("cert"), q.Get("key")}
	if p.CertFile == "" && p.KeyFile != "" {
		return p, errors.New("key without cert")
	}
	delete(q, "cert")
	delete(q, "key")
	return p, nil
}

// secureWith makes the endpoint's configuration: so a missing file is found before anything listens.
func (ep *endpoint) secureWith(s *Server) error {
	if !ep.secure() {
		return nil
	}
	fail := func(err error) error { return fmt.Errorf("plexor: %s: %w", ep.text, err) }
	if ep.pin != nil {
		return fail(errors.New("fingerprint is for those who dial"))
	}
	var given TLS
	if s.TLS != nil {
		given = *s.TLS
	}
	cfg := new(tls.Config)
	if given.Config != nil {
		cfg = given.Config.Clone()
	}
	if h, ok := ep.handler.(ALPNHandler); ok && len(cfg.NextProtos) == 0 {
		cfg.NextProtos = h.NextProtos()
	}
	own := len(cfg.Certificates) > 0 || cfg.GetCertificate != nil
	if own && len(given.Pairs) > 0 {
		return fail(errors.New("Server.TLS has both Pairs and certificates in Config: which of them is meant?"))
	}
	var pairs []certs.Pair
	if ep.pair.CertFile != "" {
		pairs, own = []certs.Pair{certs.Pair(ep.pair)}, false
	} else {
		for _, p := range given.Pairs {
			pairs = append(pairs, certs.Pair(p))
		}
	}
	switch {
	case len(pairs) > 0:
		log := s.Log
		if log == nil {
			log = slog.Default()
		}
		store, err := certs.NewStore(pairs, certs.Options{Now: s.time, Log: log, Aside: aside})
		if err != nil {
			return fail(err)
		}
		cfg.Certificates, cfg.GetCertificate = nil, store.Get
	case !own && cfg.GetConfigForClient == nil:
		cert, err := s.ownCertificate(ep.addr.Host)
		if err != nil {
			return fail(err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	if cfg.ClientAuth >= tls.VerifyClientCertIfGiven && cfg.ClientCAs == nil && cfg.GetConfigForClient == nil {
		return fail(errors.New("Server.TLS.Config verifies client certificates, but its ClientCAs is nil: the system's " +
			"authorities would vouch for clients"))
	}
	ep.tls, ep.ownTickets = cfg, hasTicketKeys(cfg)
	return nil
}
