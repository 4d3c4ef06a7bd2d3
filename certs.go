package plexor

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

	"github.com/plexor-go/plexor/coro"
)

// recheckEvery is how often at most the files of certificates are looked at.
const recheckEvery = time.Second

// A certStore holds the certificates of one address, and reads them again when their files have changed. Whoever needs
// a certificate looks whether it is time to look at the files: so there is nothing that runs in the background, and a
// server without handshakes leaves the disk alone.
//
// The two files of a pair are seldom replaced in one step, and never both at the same instant. A pair that does not fit
// together is therefore no accident: the old one stays in use, the log is told once for each state of the files, and the
// next change is tried again. A pair that can't be read, for want of a permission or of a descriptor, is tried again at
// each look, for what stands in the way may pass without the files changing; the log is told once for each reason.
type certStore struct {
	files []KeyPair
	now   func() time.Time
	log   *slog.Logger
	load  func(certFile, keyFile string) (tls.Certificate, error) // tls.LoadX509KeyPair, but for tests

	certs   atomic.Pointer[[]*tls.Certificate] // as many as files, in their order
	next    atomic.Int64                       // when to look again, in nanoseconds of now
	looking sync.Mutex                         // guards seen; never waited for on a loop
	seen    []pairState                        // that certs were read from, or that were found bad
}

// A pairState tells whether the files of a pair are still the same.
type pairState struct {
	cert, key fs.FileInfo // nil: it can't be looked at
	unsettled bool        // they changed while they were read, or could not be: like no other state
	told      string      // why they could not be read, as the log was told
}

func statPair(p KeyPair) (st pairState) {
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
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode() && changeTime(a) == changeTime(b)
}

// keyFile is the file of the key, which may be that of the certificate.
func (p KeyPair) keyFile() string {
	if p.KeyFile == "" {
		return p.CertFile
	}
	return p.KeyFile
}

// newCertStore reads all pairs, and fails if one of them is bad.
func newCertStore(files []KeyPair, now func() time.Time, log *slog.Logger) (*certStore, error) {
	s := &certStore{files: files, now: now, log: log, load: tls.LoadX509KeyPair, seen: make([]pairState, len(files))}
	certs := make([]*tls.Certificate, len(files))
	for i, p := range files {
		var err error
		if certs[i], s.seen[i], err = loadPair(p, s.load); err != nil {
			return nil, err
		}
	}
	s.certs.Store(&certs)
	s.next.Store(now().Add(recheckEvery).UnixNano())
	return s, nil
}

// loadPair reads a pair, and tells of which state.
func loadPair(p KeyPair, load func(certFile, keyFile string) (tls.Certificate, error)) (*tls.Certificate, pairState, error) {
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

func certError(p KeyPair, err error) error {
	return fmt.Errorf("TLS certificate %s with key %s: %w", p.CertFile, p.keyFile(), err)
}

// onCoroutine marks a handshake's context whose callbacks run on a coroutine, and may wait with that context. Its value is
// the worker.
type onCoroutine struct{}

// get is tls.Config.GetCertificate: the first that suits the client (its server name, its algorithms), or else the
// first of all.
func (s *certStore) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
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

// refresh looks at the files if it is time to. The disk may be slow, so a coroutine does it off its loop; who comes
// meanwhile uses what is there.
func (s *certStore) refresh(ctx context.Context) {
	now, next := s.now().UnixNano(), s.next.Load()
	if now < next || !s.next.CompareAndSwap(next, now+int64(recheckEvery)) {
		return
	}
	w, ok := ctx.Value(onCoroutine{}).(*worker)
	if !ok {
		s.look()
		return
	}
	// That the handshake's time is up, it will find out itself.
	_, _ = coro.AwaitIn(ctx, w.reads, func() (struct{}, error) {
		s.look()
		return struct{}{}, nil
	})
}

// look reads the pairs that have changed.
func (s *certStore) look() {
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
			s.log.Error("new TLS certificate refused: the one before stays in use", "err", errors.Unwrap(err), "cert", p.CertFile, "key", p.keyFile())
			continue
		}
		certs[i], s.seen[i], changed = cert, st, true
		s.log.Info("TLS certificate reloaded", "cert", p.CertFile, "expires", cert.Leaf.NotAfter)
	}
	if changed {
		s.certs.Store(&certs)
	}
}
