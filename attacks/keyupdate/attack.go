package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
)

// A face is a way in which a server uses its connections. Each reads all that comes.
type face struct {
	name  string
	serve func(srv *plexor.Server, addr string) (net.Addr, error)
}

var faces = []face{
	{"stream", opened(plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(io.Discard, c) }))},
	{"messages", opened(plexor.Messages(frame.Fixed{Size: 1}, func(*plexor.Conn, []byte) error { return nil }))},
	{"shared", opened(plexor.HandlerFunc(func(c *plexor.Conn) { go drain(c.Shared()) }))},
	{"listen", func(srv *plexor.Server, addr string) (net.Addr, error) {
		ln, err := srv.Listen(addr)
		if err != nil {
			return nil, err
		}
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return // the server has ended
				}
				go drain(c)
			}
		}()
		return ln.Addr(), nil
	}},
}

func opened(h plexor.Handler) func(*plexor.Server, string) (net.Addr, error) {
	return func(srv *plexor.Server, addr string) (net.Addr, error) { return srv.Open(addr, h) }
}

func drain(c net.Conn) {
	_, _ = io.Copy(io.Discard, c) // it ends with the connection
	_ = c.Close()
}

// attack serves by a face and sends updates until the server takes no more for the time of wait. grew is by how much the
// heap of this process has then grown.
func attack(driver string, f face, updates int, wait time.Duration) (sent, grew int, err error) {
	srv := &plexor.Server{Driver: driver, Loops: 1, Stall: -1} // it shares its processors with the client
	defer func() { err = errors.Join(err, srv.Close()) }()
	a, err := f.serve(srv, "tls://127.0.0.1:0?sndbuf=16k&rcvbuf=16k")
	if err != nil {
		return 0, 0, err
	}
	raw, err := net.Dial("tcp", a.String())
	if err != nil {
		return 0, 0, err
	}
	defer raw.Close()
	// Small buffers, so that few updates fill them.
	if err := errors.Join(raw.(*net.TCPConn).SetReadBuffer(16<<10), raw.(*net.TCPConn).SetWriteBuffer(16<<10)); err != nil {
		return 0, 0, err
	}
	s, err := handshake(raw)
	if err != nil {
		return 0, 0, err
	}
	before := heap()
	for ; sent < updates; sent++ {
		out, err := s.update()
		if err == nil {
			err = raw.SetWriteDeadline(time.Now().Add(wait))
		}
		if err == nil {
			_, err = raw.Write(out)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return sent, 0, err
		}
	}
	return sent, heap() - before, nil
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A sender encrypts what it sends by hand: crypto/tls sends no KeyUpdates that ask for an answer.
type sender struct {
	secret []byte // client_application_traffic_secret_N
	aead   cipher.AEAD
	iv     []byte
	seq    uint64 // of the next record
}

// handshake lets crypto/tls make the handshake, and takes the keys over.
func handshake(raw net.Conn) (*sender, error) {
	var keys bytes.Buffer
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, KeyLogWriter: &keys})
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	if suite := c.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		return nil, fmt.Errorf("the handshake agreed on %s: this attack knows TLS_AES_128_GCM_SHA256", tls.CipherSuiteName(suite))
	}
	for line := range strings.Lines(keys.String()) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(f[2])
			if err != nil {
				return nil, err
			}
			s := &sender{secret: secret}
			return s, s.derive()
		}
	}
	return nil, errors.New("no key was logged")
}

// expand is HKDF-Expand-Label (RFC 8446 section 7.1) without a context.
func expand(secret []byte, label string, n int) ([]byte, error) {
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(append(info, byte(len(label))), label...)
	return hkdf.Expand(sha256.New, secret, string(append(info, 0)), n)
}

func (s *sender) derive() error {
	key, err := expand(s.secret, "key", 16)
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	if s.aead, err = cipher.NewGCM(block); err != nil {
		return err
	}
	s.seq = 0
	s.iv, err = expand(s.secret, "iv", s.aead.NonceSize())
	return err
}

// update is a KeyUpdate that asks for an answer, and a byte of data under the new key, without which crypto/tls counts
// the updates as useless and ends the connection at the sixteenth.
func (s *sender) update() ([]byte, error) {
	const handshakeRecord, dataRecord = 22, 23
	out := s.record(nil, handshakeRecord, []byte{24, 0, 0, 1, 1}) // key_update, its length, update_requested
	var err error
	if s.secret, err = expand(s.secret, "traffic upd", sha256.Size); err != nil {
		return nil, err
	}
	if err := s.derive(); err != nil {
		return nil, err
	}
	return s.record(out, dataRecord, []byte{'x'}), nil
}

// record appends a record (RFC 8446 section 5.2).
func (s *sender) record(out []byte, kind byte, content []byte) []byte {
	nonce := bytes.Clone(s.iv)
	for i := range 8 {
		nonce[len(nonce)-1-i] ^= byte(s.seq >> (8 * i))
	}
	s.seq++
	plain := append(bytes.Clone(content), kind)
	head := []byte{23, 3, 3, 0, byte(len(plain) + s.aead.Overhead())}
	return s.aead.Seal(append(out, head...), nonce, plain, head)
}
