package ipc

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
)

// The proof of a key in multiprocessing.connection (CPython's Lib/multiprocessing/connection.py, deliver_challenge and
// answer_challenge). Each line is a frame; the listener asks first, then the client:
//
//	asks      "#CHALLENGE#" challenge
//	answers   HMAC(key, challenge)
//	asks      "#WELCOME#", or "#FAILURE#"
//
// Until Python 3.11 a challenge is 20 random bytes and the MAC is HMAC-MD5 (RFC 2104), 16 bytes. From 3.12 on a
// challenge is "{sha256}" and 40 random bytes, and the answer is "{sha256}" and HMAC-SHA-256 over the whole challenge,
// braces included; the digest's name may be another one of those in digests. The two get on with each other: an old
// answerer takes the braces for part of the challenge and sends 16 bytes of HMAC-MD5, which a new one that asks
// accepts; and to a challenge of 20 bytes, which is shorter than any with braces, a new one answers in the old way.
// This side is a new one.
//
// That old clients are let in with HMAC-MD5 is no way in for those without the key: what breaks MD5 are collisions, and
// a MAC does not rest on there being none.

const (
	challengeMark = "#CHALLENGE#"
	welcome       = "#WELCOME#"
	failure       = "#FAILURE#"

	challengeDigest = "{sha256}"
	challengeRandom = 40  // bytes
	oldChallenge    = 20  // bytes: of the form until 3.11
	oldAnswer       = 16  // bytes: HMAC-MD5
	maxHandshake    = 256 // bytes: the longest message before the key is proved, as in Python
)

var digests = map[string]func() hash.Hash{
	"md5":      md5.New,
	"sha256":   sha256.New,
	"sha384":   sha512.New384,
	"sha3_256": func() hash.Hash { return sha3.New256() },
	"sha3_384": func() hash.Hash { return sha3.New384() },
}

// ErrAuth is a key that one side does not know.
var ErrAuth = errors.New("authentication failed: the keys of the two sides differ")

// deliverChallenge has the peer prove the key.
func deliverChallenge(ctx context.Context, c *PythonConn, key []byte) error {
	challenge := append(make([]byte, 0, len(challengeDigest)+challengeRandom), challengeDigest...)
	challenge = challenge[:cap(challenge)]
	_, _ = rand.Read(challenge[len(challengeDigest):]) // it never fails
	if err := c.send(ctx, append([]byte(challengeMark), challenge...)); err != nil {
		return fmt.Errorf("send a challenge: %w", err)
	}
	answer, err := c.s.next(ctx, c.recvOp)
	if err != nil {
		return fmt.Errorf("receive the answer to a challenge: %w", err)
	}
	if err := verify(key, challenge, answer); err != nil {
		_ = c.send(ctx, []byte(failure)) // err is the one to tell
		return err
	}
	if err := c.send(ctx, []byte(welcome)); err != nil {
		return fmt.Errorf("send a welcome: %w", err)
	}
	return nil
}

// answerChallenge proves the key to the peer.
func answerChallenge(ctx context.Context, c *PythonConn, key []byte) error {
	msg, err := c.s.next(ctx, c.recvOp)
	if err != nil {
		return fmt.Errorf("receive a challenge: %w", err)
	}
	reply, err := answer(key, msg)
	if err != nil {
		return err
	}
	if err := c.send(ctx, reply); err != nil {
		return fmt.Errorf("answer a challenge: %w", err)
	}
	verdict, err := c.s.next(ctx, c.recvOp)
	switch {
	case err != nil:
		return fmt.Errorf("receive the verdict on an answer: %w", err)
	case string(verdict) == failure:
		return fmt.Errorf("%w: the peer said so", ErrAuth)
	case string(verdict) != welcome:
		return fmt.Errorf("%w: neither a welcome nor a failure", ErrMalformed)
	}
	return nil
}

// answer is what answers a message that should be a challenge.
func answer(key, msg []byte) ([]byte, error) {
	challenge, ok := bytes.CutPrefix(msg, []byte(challengeMark))
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: no challenge came (does the peer have a key?)", ErrMalformed)
	case len(challenge) < oldChallenge:
		return nil, fmt.Errorf("%w: a challenge of %d bytes is too short", ErrMalformed, len(challenge))
	case len(challenge) == oldChallenge:
		return mac(md5.New, key, challenge), nil
	}
	name, _, err := braces(challenge)
	if err != nil {
		return nil, err
	}
	return append([]byte("{"+name+"}"), mac(digests[name], key, challenge)...), nil
}

// verify tells whether answer is the right one.
func verify(key, challenge, answer []byte) error {
	name, got := "md5", answer
	if len(answer) != oldAnswer {
		var err error
		if name, got, err = braces(answer); err != nil {
			return err
		}
	}
	if !hmac.Equal(mac(digests[name], key, challenge), got) { // in constant time
		return ErrAuth
	}
	return nil
}

// braces splits "{digest}rest".
func braces(p []byte) (name string, rest []byte, err error) {
	inner, opened := bytes.CutPrefix(p, []byte("{"))
	before, rest, closed := bytes.Cut(inner, []byte("}"))
	if !opened || !closed || digests[string(before)] == nil {
		return "", nil, fmt.Errorf("%w: a challenge or answer with none of the digests that Python knows", ErrMalformed)
	}
	return string(before), rest, nil
}

func mac(h func() hash.Hash, key, msg []byte) []byte {
	m := hmac.New(h, key)
	m.Write(msg)
	return m.Sum(nil)
}
