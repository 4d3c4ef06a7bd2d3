package ftp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"net"
)

// Users decides who may log in.
type Users interface {
	// Login is called with the name and the password that a client gave, where it may block. ErrLogin says that they do
	// not fit, and any other error that it can't be said now. It must not change the User later; several sessions may
	// share one.
	Login(ctx context.Context, l Login) (*User, error)
}

// ErrLogin is a name and a password that do not fit.
var ErrLogin = errors.New("ftp: no such user, or not this password")

// A Login is what a client has said of itself.
type Login struct {
	Name, Password string
	Host           string // of HOST (RFC 7151); "": none
	Remote         net.Addr
	TLS            *tls.ConnectionState // nil: plain text
}

// A User is who has logged in.
type User struct {
	Name string
	FS   FileSystem
	// ReadOnly refuses all commands that change something.
	ReadOnly bool
	// Rate bounds each transfer, in bytes a second; 0: none.
	Rate int64
	// MostFile is the longest file that may be uploaded, in bytes; 0: any.
	MostFile int64
	// Quota, if set, bounds what is stored.
	Quota *Quota
}

// Accounts are users in memory. The zero value has none. It must not change while it is in use.
type Accounts struct {
	byName map[string]account
}

type account struct {
	password [sha256.Size]byte
	any      bool
	user     *User
}

// Add adds a user, or replaces the one of that name.
func (a *Accounts) Add(name, password string, u *User) {
	a.put(name, account{password: sha256.Sum256([]byte(password)), user: u})
}

// Anonymous lets everybody in as "anonymous" and "ftp", with any password, to read.
func (a *Accounts) Anonymous(fsys FileSystem) {
	u := &User{Name: "anonymous", FS: fsys, ReadOnly: true}
	a.put("anonymous", account{any: true, user: u})
	a.put("ftp", account{any: true, user: u})
}

func (a *Accounts) put(name string, x account) {
	if a.byName == nil {
		a.byName = make(map[string]account)
	}
	a.byName[name] = x
}

// Login is of Users. It takes as long for a name that there is not.
func (a *Accounts) Login(_ context.Context, l Login) (*User, error) {
	x, known := a.byName[l.Name]
	given := sha256.Sum256([]byte(l.Password))
	same := subtle.ConstantTimeCompare(given[:], x.password[:]) == 1
	if !known || !same && !x.any {
		return nil, ErrLogin
	}
	return x.user, nil
}
