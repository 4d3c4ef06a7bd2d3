package smtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// PlainServer is the server's side of PLAIN (RFC 4616): check is given the name and password, and as whom the client
// wants to act; identity is empty if as itself. An error refuses.
func PlainServer(check func(ctx context.Context, identity, user, password string) error) Exchange {
	return &plainServer{check: check}
}

type plainServer struct {
	check func(ctx context.Context, identity, user, password string) error
	asked bool
}

func (x *plainServer) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	if response == nil && !x.asked {
		x.asked = true
		return nil, false, nil
	}
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 || len(parts[2]) == 0 {
		return nil, false, &Error{501, Enhanced{5, 5, 2}, "that is not what PLAIN sends"}
	}
	err := x.check(ctx, string(parts[0]), string(parts[1]), string(parts[2]))
	return nil, err == nil, err
}

// LoginServer is the server's side of LOGIN, which is no standard and in wide use. check is given the name and
// password.
func LoginServer(check func(ctx context.Context, user, password string) error) Exchange {
	return &loginServer{check: check}
}

type loginServer struct {
	check func(ctx context.Context, user, password string) error
	user  *string
	asked bool
}

func (x *loginServer) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	switch {
	case response == nil && !x.asked:
		x.asked = true
		return []byte("Username:"), false, nil
	case x.user == nil:
		user := string(response)
		x.user = &user
		return []byte("Password:"), false, nil
	}
	err := x.check(ctx, *x.user, string(response))
	return nil, err == nil, err
}

// XOAuth2Server is the server's side of XOAUTH2, by which the large mail providers take the tokens of OAuth 2. check is
// given the name and the token.
func XOAuth2Server(check func(ctx context.Context, user, token string) error) Exchange {
	return &xoauth2Server{check: check}
}

type xoauth2Server struct {
	check  func(ctx context.Context, user, token string) error
	asked  bool
	failed error // which the client was told by a challenge, that it answers
}

func (x *xoauth2Server) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	switch {
	case x.failed != nil:
		return nil, false, x.failed
	case response == nil && !x.asked:
		x.asked = true
		return nil, false, nil
	}
	const userKey, authKey, bearer = "user=", "auth=", "Bearer "
	parts := bytes.Split(response, []byte{1})
	if len(parts) != 4 || !bytes.HasPrefix(parts[0], []byte(userKey)) || !bytes.HasPrefix(parts[1], []byte(authKey)) ||
		len(parts[2])+len(parts[3]) > 0 {
		return nil, false, &Error{501, Enhanced{5, 5, 2}, "that is not what XOAUTH2 sends"}
	}
	kind := parts[1][len(authKey):]
	if len(kind) < len(bearer) || !bytes.EqualFold(kind[:len(bearer)], []byte(bearer)) {
		return nil, false, &Error{501, Enhanced{5, 5, 2}, "that is not a bearer's token"}
	}
	err := x.check(ctx, string(parts[0][len(userKey):]), string(kind[len(bearer):]))
	if err == nil {
		return nil, true, nil
	}
	x.failed = err
	return []byte(`{"status":"401","schemes":"bearer"}`), false, nil
}

// A Credential is the client's side of an authentication. It may be used again, for one at a time.
type Credential interface {
	// Start returns the mechanism's name, and the first response; nil: the server speaks first. plain is that passwords
	// would go over the network as they are: an error ends it before anything is sent.
	Start(plain bool) (mechanism string, initial []byte, err error)
	// Next takes a challenge and returns the answer. An error cancels.
	Next(challenge []byte) (response []byte, err error)
	// Done is called when the server says that it is content. An error is that it has not proved that it knows the
	// password, where the mechanism has that.
	Done() error
}

// ErrPlainPassword is a [Credential] that won't send its password over a connection without TLS.
var ErrPlainPassword = errors.New("smtp: there is no TLS, and the password would go over the network as it is")

// errChallenge is a server that asks for more than the mechanism has.
var errChallenge = errors.New("smtp: the server's challenge is none of this mechanism")

// Plain is a name and a password, sent by PLAIN (RFC 4616), over TLS alone. identity is as whom to act; empty: as user.
func Plain(identity, user, password string) Credential {
	return &passwords{name: "PLAIN", first: []byte(identity + "\x00" + user + "\x00" + password)}
}

// Login is a name and a password, sent by LOGIN, over TLS alone.
func Login(user, password string) Credential {
	return &passwords{name: "LOGIN", next: [][]byte{[]byte(user), []byte(password)}}
}

// XOAuth2 is a name and a token, sent by XOAUTH2, over TLS alone.
func XOAuth2(user, token string) Credential {
	return &passwords{name: "XOAUTH2", first: []byte("user=" + user + "\x01auth=Bearer " + token + "\x01\x01"),
		next: [][]byte{{}}}
}

// Unsafe is a Credential whose password may be sent without TLS: to a server on the same machine, in a test.
func Unsafe(c Credential) Credential { return unsafeCredential{c} }

type unsafeCredential struct{ Credential }

func (u unsafeCredential) Start(bool) (string, []byte, error) { return u.Credential.Start(false) }

// passwords are a Credential that says what it knows.
type passwords struct {
	name  string
	first []byte
	next  [][]byte // answers to challenges
	at    int      // the next one
}

func (p *passwords) Start(plain bool) (string, []byte, error) {
	if plain {
		return p.name, nil, ErrPlainPassword
	}
	p.at = 0
	return p.name, p.first, nil
}

func (p *passwords) Next(challenge []byte) ([]byte, error) {
	if p.at == len(p.next) {
		return nil, fmt.Errorf("%w: %q", errChallenge, challenge)
	}
	p.at++
	return p.next[p.at-1], nil
}

func (p *passwords) Done() error { return nil }
