package smtp

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// SCRAM-SHA-256 (RFC 5802, RFC 7677): the password is not sent, and the server proves that it knows it, too. There is
// no channel binding. Names and passwords are taken as they are; who has other characters than ASCII in them prepares
// them (RFC 4013) before.

// ScramName is the mechanism's name.
const ScramName = "SCRAM-SHA-256"

// Bounds of an exchange: the iterations that a client does, for a server that asks for more could keep it busy, and the
// least that it accepts (RFC 7677, section 4); the bytes of a nonce, as random, and at most in a message.
const (
	mostIterations  = 1_000_000
	leastIterations = 4096
	nonceBytes      = 18
	mostNonce       = 256
)

// A ScramSecret is what a server keeps of a password.
type ScramSecret struct {
	Salt       []byte
	Iterations int // 4096 or more
	StoredKey  []byte
	ServerKey  []byte
}

// errScramASCII is a name or password that SCRAM would have to prepare.
var errScramASCII = errors.New("smtp: a name or password for SCRAM has other characters than ASCII")

// NewScramSecret makes what is kept of a password, with a salt of its own. The password is of ASCII.
func NewScramSecret(password string, iterations int) (ScramSecret, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // it never fails
	return scramSecret(password, salt, iterations)
}

func scramSecret(password string, salt []byte, iterations int) (ScramSecret, error) {
	if !isASCII(password) {
		return ScramSecret{}, errScramASCII
	}
	if iterations < leastIterations {
		return ScramSecret{}, fmt.Errorf("smtp: %d iterations of SCRAM, of %d at least", iterations, leastIterations)
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return ScramSecret{}, err
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	return ScramSecret{salt, iterations, stored[:], mac(salted, "Server Key")}, nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// ScramServer is the server's side. secret looks up what is kept of a user's password; identity is as whom the client
// wants to act, and empty if as itself. An error refuses. Of a user that is not known, return a secret that is made up,
// always the same for the name: so nobody learns which there are.
func ScramServer(secret func(ctx context.Context, identity, user string) (ScramSecret, error)) Exchange {
	return &scramServer{secret: secret, random: newNonce}
}

type scramServer struct {
	secret func(ctx context.Context, identity, user string) (ScramSecret, error)
	random func() string
	step   int
	s      ScramSecret
	gs2    string // the header, which the client repeats
	nonce  string
	auth   string // the messages that are signed
}

var errScram = &Error{501, Enhanced{5, 5, 2}, "that is not what SCRAM sends"}

func (x *scramServer) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	if response == nil && x.step == 0 {
		return nil, false, nil
	}
	x.step++
	switch x.step {
	case 1:
		challenge, err := x.first(ctx, string(response))
		return challenge, false, err
	case 2:
		challenge, err := x.final(string(response))
		return challenge, false, err
	}
	if len(response) > 0 {
		return nil, false, errScram
	}
	return nil, true, nil
}

// first reads client-first-message (RFC 5802, section 7).
func (x *scramServer) first(ctx context.Context, message string) ([]byte, error) {
	flag, rest, ok := strings.Cut(message, ",")
	if !ok || flag != "n" && flag != "y" { // p=…: a channel binding, which is not offered
		return nil, errScram
	}
	asWhom, bare, ok := strings.Cut(rest, ",")
	if !ok {
		return nil, errScram
	}
	identity := ""
	if asWhom != "" {
		if identity, ok = strings.CutPrefix(asWhom, "a="); !ok {
			return nil, errScram
		}
		if identity, ok = scramUnescape(identity); !ok {
			return nil, errScram
		}
	}
	x.gs2 = flag + "," + asWhom + ","
	parts := strings.Split(bare, ",")
	if len(parts) < 2 || !strings.HasPrefix(parts[0], "n=") || !strings.HasPrefix(parts[1], "r=") { // m=: nobody knows any
		return nil, errScram
	}
	user, ok := scramUnescape(parts[0][2:])
	nonce := parts[1][2:]
	if !ok || user == "" || !isNonce(nonce) || !isASCII(message) {
		return nil, errScram
	}
	var err error
	if x.s, err = x.secret(ctx, identity, user); err != nil {
		return nil, err
	}
	x.nonce = nonce + x.random()
	first := "r=" + x.nonce + ",s=" + base64.StdEncoding.EncodeToString(x.s.Salt) + ",i=" + strconv.Itoa(x.s.Iterations)
	x.auth = bare + "," + first
	return []byte(first), nil
}

// final reads client-final-message, and signs.
func (x *scramServer) final(message string) ([]byte, error) {
	i := strings.LastIndex(message, ",p=")
	if i < 0 {
		return nil, errScram
	}
	without := message[:i]
	proof, err := base64.StdEncoding.Strict().DecodeString(message[i+3:])
	binding := "c=" + base64.StdEncoding.EncodeToString([]byte(x.gs2))
	parts := strings.Split(without, ",")
	if err != nil || len(proof) != sha256.Size || len(parts) < 2 || parts[0] != binding || parts[1] != "r="+x.nonce {
		return nil, errScram
	}
	x.auth += "," + without
	key := mac(x.s.StoredKey, x.auth)
	subtle.XORBytes(key, key, proof)
	stored := sha256.Sum256(key)
	if subtle.ConstantTimeCompare(stored[:], x.s.StoredKey) != 1 {
		return nil, ErrCredentials
	}
	return append([]byte("v="), base64.StdEncoding.EncodeToString(mac(x.s.ServerKey, x.auth))...), nil
}

// Scram is a name and a password, of which the server learns only whether they are right. identity is as whom to act;
// empty: as user.
func Scram(identity, user, password string) Credential {
	return &scramClient{identity: identity, user: user, password: password, random: newNonce}
}

type scramClient struct {
	identity, user, password string
	random                   func() string
	nonce                    string
	step                     int
	gs2, bare                string
	expected                 []byte // of the server
	proved                   bool
}

func (x *scramClient) Start(bool) (string, []byte, error) {
	if !isASCII(x.identity + x.user + x.password) {
		return ScramName, nil, errScramASCII
	}
	x.nonce, x.step, x.proved = x.random(), 0, false
	x.gs2 = "n,,"
	if x.identity != "" {
		x.gs2 = "n,a=" + scramEscape(x.identity) + ","
	}
	x.bare = "n=" + scramEscape(x.user) + ",r=" + x.nonce
	return ScramName, []byte(x.gs2 + x.bare), nil
}

// errScramServer is a server that does not keep to the mechanism, or does not know the password.
var errScramServer = errors.New("smtp: the server has not proved that it knows the password")

func (x *scramClient) Next(challenge []byte) ([]byte, error) {
	x.step++
	switch x.step {
	case 1:
		return x.final(string(challenge))
	case 2:
		proof, ok := bytes.CutPrefix(challenge, []byte("v="))
		got, err := base64.StdEncoding.Strict().DecodeString(string(proof))
		if !ok || err != nil || subtle.ConstantTimeCompare(got, x.expected) != 1 {
			return nil, errScramServer
		}
		x.proved = true
		return []byte{}, nil
	}
	return nil, errScramServer
}

// final answers server-first-message.
func (x *scramClient) final(first string) ([]byte, error) {
	parts := strings.Split(first, ",")
	if len(parts) < 3 || !strings.HasPrefix(parts[0], "r="+x.nonce) || !strings.HasPrefix(parts[1], "s=") ||
		!strings.HasPrefix(parts[2], "i=") {
		return nil, errScramServer
	}
	nonce := parts[0][2:]
	salt, err1 := base64.StdEncoding.Strict().DecodeString(parts[1][2:])
	iterations, err2 := strconv.Atoi(parts[2][2:])
	if err1 != nil || err2 != nil || nonce == x.nonce || !isNonce(nonce) || iterations > mostIterations {
		return nil, errScramServer
	}
	salted, err := pbkdf2.Key(sha256.New, x.password, salt, max(iterations, 1), sha256.Size)
	if err != nil || iterations < leastIterations {
		return nil, errScramServer
	}
	without := "c=" + base64.StdEncoding.EncodeToString([]byte(x.gs2)) + ",r=" + nonce
	auth := x.bare + "," + first + "," + without
	key := mac(salted, "Client Key")
	stored := sha256.Sum256(key)
	subtle.XORBytes(key, key, mac(stored[:], auth))
	x.expected = mac(mac(salted, "Server Key"), auth)
	return []byte(without + ",p=" + base64.StdEncoding.EncodeToString(key)), nil
}

func (x *scramClient) Done() error {
	if !x.proved {
		return errScramServer
	}
	return nil
}

func newNonce() string {
	b := make([]byte, nonceBytes)
	_, _ = rand.Read(b) // it never fails
	return base64.StdEncoding.EncodeToString(b)
}

// isNonce is the rule c-nonce: printable, without a comma.
func isNonce(s string) bool {
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' || s[i] == ',' {
			return false
		}
	}
	return s != "" && len(s) <= mostNonce
}

func scramEscape(s string) string {
	return strings.NewReplacer("=", "=3D", ",", "=2C").Replace(s)
}

// scramUnescape is the name that is meant; false: it has an = that means nothing.
func scramUnescape(s string) (string, bool) {
	plain := strings.NewReplacer("=2C", ",", "=3D", "=").Replace(s)
	return plain, scramEscape(plain) == s && !strings.Contains(s, ",")
}
