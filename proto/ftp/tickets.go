package ftp

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"sync/atomic"
)

// Binding is what a data connection over TLS has to show so that it is known to be of its control connection. A client
// shows it by resuming the control connection's TLS session, or that of a data connection before. Package crypto/tls
// resumes by tickets alone: a client that asks for none, as curl does with TLS 1.2, can't show it.
type Binding uint8

const (
	// BindPrefer takes data connections that do not resume, as long as none of the session has: so a client that can
	// not (Python's ftplib) works, and one that can is safe from the second transfer on at the latest.
	BindPrefer Binding = iota
	// BindRequire refuses those that do not resume, with 522.
	BindRequire
	// BindOff does not look.
	BindOff
)

// A binding is what tells a session's tickets from others.
type binding struct {
	id      [idSize]byte
	resumed atomic.Bool // a data connection has shown one
	state   *tls.ConnectionState
}

// idMark stands before an id in a ticket's Extra, which others may use, too.
const (
	idMark = "plexor ftp\x00"
	idSize = 16
)

func newBinding() *binding {
	b := new(binding)
	_, _ = rand.Read(b.id[:]) // it does not fail
	return b
}

// extra is what a ticket has.
func (b *binding) extra() []byte { return append([]byte(idMark), b.id[:]...) }

// shown reports whether a ticket is of this session.
func (b *binding) shown(st *tls.SessionState) bool {
	want := b.extra()
	for _, x := range st.Extra {
		if bytes.Equal(x, want) {
			return true
		}
	}
	return false
}

// controlTLS is the configuration of a control connection: its tickets have the session's id. The keys are those of
// Server.TLS itself, so that all sessions have the same.
func (s *Server) controlTLS(b *binding) *tls.Config {
	if s.Binding == BindOff {
		return s.TLS
	}
	cfg := s.TLS.Clone()
	cfg.WrapSession = s.wrap(b)
	cfg.UnwrapSession = s.TLS.DecryptTicket // it may have been another session's: nothing follows from that
	return cfg
}

func (s *Server) wrap(b *binding) func(tls.ConnectionState, *tls.SessionState) ([]byte, error) {
	return func(cs tls.ConnectionState, st *tls.SessionState) ([]byte, error) {
		st.Extra = append(st.Extra, b.extra())
		return s.TLS.EncryptTicket(cs, st)
	}
}

// dataTLS is that of a data connection. shown is set if it resumes a session with b's id; with another one's ticket it
// does not resume.
func (s *Server) dataTLS(b *binding, shown *bool) *tls.Config {
	if s.Binding == BindOff {
		return s.TLS
	}
	cfg := s.TLS.Clone()
	cfg.WrapSession = s.wrap(b)
	cfg.UnwrapSession = func(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		st, err := s.TLS.DecryptTicket(identity, cs)
		if err != nil || st == nil || !b.shown(st) {
			return nil, err
		}
		*shown = true
		return st, nil
	}
	return cfg
}
