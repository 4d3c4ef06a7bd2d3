package ipc

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
)

// A sim is a Python of one form or the other, written after CPython's source for the tests alone.
type sim struct {
	modern bool
	c      net.Conn
	key    []byte
}

func (s sim) send(p []byte) error {
	_, err := s.c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(p))), p...))
	return err
}

func (s sim) recv() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(s.c, head[:]); err != nil {
		return nil, err
	}
	p := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(s.c, p)
	return p, err
}

func (s sim) mac(msg []byte, modern bool) []byte {
	h := hmac.New(md5.New, s.key)
	if modern {
		h = hmac.New(sha256.New, s.key)
	}
	h.Write(msg)
	return h.Sum(nil)
}

func (s sim) deliver() error {
	msg := make([]byte, 20)
	if s.modern {
		msg = make([]byte, 40)
	}
	rand.Read(msg)
	if s.modern {
		msg = append([]byte("{sha256}"), msg...)
	}
	if err := s.send(append([]byte("#CHALLENGE#"), msg...)); err != nil {
		return err
	}
	reply, err := s.recv()
	if err != nil {
		return err
	}
	want := s.mac(msg, false)
	if s.modern && len(reply) != 16 {
		want = append([]byte("{sha256}"), s.mac(msg, true)...)
	}
	if !bytes.Equal(reply, want) {
		s.send([]byte("#FAILURE#"))
		return ErrAuth
	}
	return s.send([]byte("#WELCOME#"))
}

func (s sim) answer() error {
	msg, err := s.recv()
	if err != nil {
		return err
	}
	msg, ok := bytes.CutPrefix(msg, []byte("#CHALLENGE#"))
	if !ok {
		return fmt.Errorf("no challenge: %q", msg)
	}
	reply := s.mac(msg, false)
	if s.modern && len(msg) != 20 {
		reply = append([]byte("{sha256}"), s.mac(msg, true)...)
	}
	if err := s.send(reply); err != nil {
		return err
	}
	verdict, err := s.recv()
	if err != nil {
		return err
	}
	if string(verdict) != "#WELCOME#" {
		return ErrAuth
	}
	return nil
}

// TestPythonForms: either form of Python, in either part, with the right key and with wrong ones.
func TestPythonForms(t *testing.T) {
	for _, form := range []struct {
		name   string
		modern bool
	}{{"until 3.11", false}, {"from 3.12", true}} {
		for _, key := range []struct {
			name, key string
			ok        bool
		}{{"right", "secret", true}, {"wrong", "guess", false}} {
			t.Run("client "+form.name+", key "+key.name, func(t *testing.T) {
				leak.Check(t)
				l, err := ListenPython("tcp://127.0.0.1:0", PythonOptions{AuthKey: []byte("secret"), Log: quiet})
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				nc, err := net.Dial("tcp", strings.TrimPrefix(l.Addr(), "tcp://"))
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				nc.SetDeadline(time.Now().Add(patience))
				s := sim{form.modern, nc, []byte(key.key)}
				err = s.answer()
				if err == nil {
					err = s.deliver()
				}
				if key.ok != (err == nil) || !key.ok && !errors.Is(err, ErrAuth) {
					t.Fatalf("handshake: %v", err)
				}
				if key.ok {
					c, err := l.Accept(limited(t))
					if err != nil {
						t.Fatal(err)
					}
					c.Close()
				}
			})
			t.Run("listener "+form.name+", key "+key.name, func(t *testing.T) {
				leak.Check(t)
				nl, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer nl.Close()
				theirs := make(chan error, 1)
				go func() {
					nc, err := nl.Accept()
					if err != nil {
						theirs <- err
						return
					}
					defer nc.Close()
					nc.SetDeadline(time.Now().Add(patience))
					s := sim{form.modern, nc, []byte(key.key)}
					if err = s.deliver(); err == nil {
						err = s.answer()
					}
					theirs <- err
				}()
				c, err := DialPython(limited(t), "tcp://"+nl.Addr().String(), PythonOptions{AuthKey: []byte("secret")})
				if key.ok != (err == nil) || !key.ok && !errors.Is(err, ErrAuth) {
					t.Errorf("DialPython: %v", err)
				}
				if err == nil {
					c.Close()
				}
				if err := receive(t, theirs, "the listener"); key.ok != (err == nil) {
					t.Errorf("the listener: %v", err)
				}
			})
		}
	}
}

// TestPythonMutual: a listener that lets everybody in, but does not know the key, is refused.
func TestPythonMutual(t *testing.T) {
	leak.Check(t)
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	go func() {
		nc, err := nl.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(patience))
		s := sim{true, nc, []byte("unknown")}
		s.send(append([]byte("#CHALLENGE#{sha256}"), make([]byte, 40)...))
		s.recv()
		s.send([]byte("#WELCOME#")) // whatever it was
		s.answer()
	}()
	if c, err := DialPython(limited(t), "tcp://"+nl.Addr().String(),
		PythonOptions{AuthKey: []byte("secret")}); !errors.Is(err, ErrAuth) {
		t.Errorf("DialPython: %v, %v, want ErrAuth", c, err)
	}
}

// TestPythonAnswers: what is no handshake is refused, on either side.
func TestPythonAnswers(t *testing.T) {
	challenge := append([]byte(challengeDigest), make([]byte, 40)...)
	for _, row := range []struct{ name, answer string }{
		{"empty", ""}, {"short", "abc"}, {"15 bytes", strings.Repeat("x", 15)}, {"16 bytes", strings.Repeat("x", 16)},
		{"unknown digest", "{crc32}" + strings.Repeat("x", 32)}, {"no digest", "{}" + strings.Repeat("x", 32)},
		{"not closed", "{sha256" + strings.Repeat("x", 32)}, {"no mac", "{sha256}"},
		{"wrong mac", "{sha256}" + strings.Repeat("x", 32)},
		{"truncated mac", "{sha256}" + string(mac(digests["sha256"], []byte("k"), challenge))[:31]},
	} {
		if err := verify([]byte("k"), challenge, []byte(row.answer)); err == nil {
			t.Errorf("%s: verify(%q) = nil", row.name, row.answer)
		}
	}
	for name := range digests {
		full := append([]byte("{"+name+"}"), make([]byte, 40)...)
		reply, err := answer([]byte("k"), append([]byte(challengeMark), full...))
		if err == nil {
			err = verify([]byte("k"), full, reply)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, row := range []struct{ name, msg string }{
		{"empty", ""}, {"no mark", strings.Repeat("x", 60)}, {"short", challengeMark + strings.Repeat("x", 19)},
		{"no digest", challengeMark + strings.Repeat("x", 21)},
		{"unknown digest", challengeMark + "{crc32}" + strings.Repeat("x", 40)},
	} {
		if reply, err := answer([]byte("k"), []byte(row.msg)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: answer(%q) = %q, %v, want ErrMalformed", row.name, row.msg, reply, err)
		}
	}
}
