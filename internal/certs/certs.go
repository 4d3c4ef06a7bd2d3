// Package certs reads the certificates of a server, watches their files, and makes one for a server that has none. It
// knows no connection and imports nothing of ours.
package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A Pair names the files of a certificate, with those of the authorities that vouch for it behind it, and of its
// private key, both in PEM. An empty KeyFile means that CertFile holds both.
type Pair struct{ CertFile, KeyFile string }

// keyFile is the file of the key, which may be that of the certificate.
func (p Pair) keyFile() string {
	if p.KeyFile == "" {
		return p.CertFile
	}
	return p.KeyFile
}

// recheckEvery is how often at most the files of certificates are looked at.
const recheckEvery = time.Second

// A Store holds the certificates of one address, and reads them again when their files have changed. Whoever needs
// a certificate looks whether it is time to look at the files: so there is nothing that runs in the background, and a
// server without handshakes leaves the disk alone. Any goroutine may call its methods.
//
// The two files of a pair are seldom replaced in one step, and never both at the same instant. A pair that does not fit
// together is therefore no accident: the old one stays in use, the log is told once for each state of the files, and
// the next change is tried again. A pair that can't be read, for want of a permission or of a descriptor, is tried
// again at each look, for what stands in the way may pass without the files changing; the log is told once for each
// reason.
type Store struct {
	files []Pair
	o     Options
	load  loader // tls.LoadX509KeyPair, but for tests

	certs   atomic.Pointer[[]*tls.Certificate] // as many as files, in their order
	next    atomic.Int64                       // when to look again, in nanoseconds of now
	looking sync.Mutex                         // guards seen; never waited for on a loop
	seen    []pairState                        // that certs were read from, or that were found bad
}

// A loader reads a pair, as tls.LoadX509KeyPair does.
type loader func(certFile, keyFile string) (tls.Certificate, error)

// Options are what a [Store] uses of its server. All but Aside must be given.
type Options struct {
	Now func() time.Time // the server's clock
	Log *slog.Logger     // told of each pair that is taken or refused
	// Aside has look, which reads the disk, run where that holds nobody up, and returns behind it, or when ctx, that of
	// the handshake, has ended. nil: the caller runs it.
	Aside func(ctx context.Context, look func())
}

// A pairState tells whether the files of a pair are still the same.
type pairState struct {
	cert, key fs.FileInfo // nil: it can't be looked at
	unsettled bool        // they changed while they were read, or could not be: like no other state
	told      string      // why they could not be read, as the log was told
}

func statPair(p Pair) (st pairState) {
	st.cert, _ = os.Stat(p.CertFile) // reading it will tell what is wrong
	st.key, _ = os.Stat(p.keyFile())
	return st
}

func (a pairState) same(b pairState) bool {
	return !a.unsettled && !b.unsettled && sameFile(a.cert, b.cert) && sameFile(a.key, b.key)
}

func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	// The time of the last change tells of what leaves the content's time alone: chmod, chown, a file moved into place.
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode() &&
		changeTime(a) == changeTime(b)
}

// NewStore reads all pairs, of which there must be one at least, and fails if one of them is bad. It keeps files.
func NewStore(files []Pair, o Options) (*Store, error) {
	s := &Store{files: files, o: o, load: tls.LoadX509KeyPair, seen: make([]pairState, len(files))}
	certs := make([]*tls.Certificate, len(files))
	for i, p := range files {
		var err error
		if certs[i], s.seen[i], err = loadPair(p, s.load); err != nil {
			return nil, err
		}
	}
	s.certs.Store(&certs)
	s.next.Store(o.Now().Add(recheckEvery).UnixNano())
	return s, nil
}

// Load reads a pair. Its errors name the files.
func Load(p Pair) (*tls.Certificate, error) {
	cert, _, err := loadPair(p, tls.LoadX509KeyPair)
	return cert, err
}

// loadPair reads a pair, and tells of which state.
func loadPair(p Pair, load loader) (*tls.Certificate, pairState, error) {
	st := statPair(p)
	cert, err := load(p.CertFile, p.keyFile())
	st.unsettled = !st.same(statPair(p))
	if err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); ok && !errors.Is(err, fs.ErrNotExist) {
			st.unsettled, st.told = true, err.Error()
		}
		return nil, st, certError(p, err)
	}
	return &cert, st, nil
}

func certError(p Pair, err error) error {
	return fmt.Errorf("TLS certificate %s with key %s: %w", p.CertFile, p.keyFile(), err)
}

// Get is tls.Config.GetCertificate: the first that suits the client (its server name, its algorithms), or else the
// first of all.
func (s *Store) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.refresh(hello.Context())
	certs := *s.certs.Load()
	if len(certs) > 1 {
		for _, c := range certs {
			if hello.SupportsCertificate(c) == nil {
				return c, nil
			}
		}
	}
	return certs[0], nil
}

// GetClient is tls.Config.GetClientCertificate: the first pair, whatever the server asks for. A server that wants
// another one says so, and that tells more than the error for none.
func (s *Store) GetClient(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	s.refresh(info.Context())
	return (*s.certs.Load())[0], nil
}

// refresh looks at the files if it is time to. Who comes meanwhile uses what is there.
func (s *Store) refresh(ctx context.Context) {
	now, next := s.o.Now().UnixNano(), s.next.Load()
	if now < next || !s.next.CompareAndSwap(next, now+int64(recheckEvery)) {
		return
	}
	if s.o.Aside != nil {
		s.o.Aside(ctx, s.look)
	} else {
		s.look()
	}
}

// look reads the pairs that have changed.
func (s *Store) look() {
	s.looking.Lock()
	defer s.looking.Unlock()
	certs := append([]*tls.Certificate(nil), *s.certs.Load()...)
	changed := false
	for i, p := range s.files {
		if statPair(p).same(s.seen[i]) {
			continue
		}
		cert, st, err := loadPair(p, s.load)
		if err != nil {
			told := st.told != "" && st.told == s.seen[i].told
			if s.seen[i] = st; told {
				continue
			}
			s.o.Log.Error("new TLS certificate refused: the one before stays in use",
				"err", errors.Unwrap(err), "cert", p.CertFile, "key", p.keyFile())
			continue
		}
		certs[i], s.seen[i], changed = cert, st, true
		s.o.Log.Info("TLS certificate reloaded", "cert", p.CertFile, "expires", cert.Leaf.NotAfter)
	}
	if changed {
		s.certs.Store(&certs)
	}
}
