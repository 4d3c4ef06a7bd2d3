//go:build !linux

package loop

import "github.com/plexor-go/plexor/sock"

// loanSet is Linux's: elsewhere the borrower alone finds that its peer has died.
type loanSet struct{}

func (l *Loop) watchLoan(*Conn) error { return nil }

func (l *Loop) unwatchLoan(*Conn, sock.Socket) {}
