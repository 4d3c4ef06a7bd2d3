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
	start func(driver string) (srv io.Closer, addr net.Addr, err error)
}

var faces = []face{
	{"stream", opened(plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(io.Discard, c) }))},
	{"messages", opened(plexor.Messages(frame.Fixed{Size: 1}, func(*plexor.Conn, []byte) error { return nil }))},
	{"turns", opened(plexor.Turns(func(c *plexor.Conn) error {
		var b [1024]byte
		_, err := c.Read(b[:])
		return err
	}))},
	{"shared", opened(plexor.HandlerFunc(func(c *plexor.Conn) { go drain(c.Shared()) }))},
	{"listen", func(driver string) (io.Closer, net.Addr, error) {
		srv := newServer(driver)
		ln, err := srv.Listen(address)
		if err != nil {
			return nil, nil, errors.Join(err, srv.Close())
		}
		go drainAll(ln)
		return srv, ln.Addr(), nil
	}},
}

// bare is the same by package net and crypto/tls, to compare with.
var bare = face{"net", func(string) (io.Closer, net.Addr, error) {
	cert, _, err := plexor.NewSelfSigned("127.0.0.1")
	if err != nil {
		return nil, nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	go drainAll(tls.NewListener(small{ln}, &tls.Config{Certificates: []tls.Certificate{cert}}))
	return ln, ln.Addr(), nil
}}

// small gives accepted connections the buffers that address asks for.
type small struct{ net.Listener }

func (s small) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err == nil {
		err = errors.Join(c.(*net.TCPConn).SetReadBuffer(16<<10), c.(*net.TCPConn).SetWriteBuffer(16<<10))
	}
	return c, err
}

const address = "tls://127.0.0.1:0?sndbuf=16k&rcvbuf=16k"

func newServer(driver string) *plexor.Server {
	return &plexor.Server{Driver: driver, Loops: 1, Stall: -1} // it shares its processors with the client
}

func opened(h plexor.Handler) func(driver string) (io.Closer, net.Addr, error) {
	return func(driver string) (io.Closer, net.Addr, error) {
		srv := newServer(driver)
		addr, err := srv.Open(address, h)
		if err != nil {
			return nil, nil, errors.Join(err, srv.Close())
		}
		return srv, addr, nil
	}
}

func drainAll(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return // the server has ended
		}
		go drain(c)
	}
}

func drain(c net.Conn) {
	_, _ = io.Copy(io.Discard, c) // it ends with the connection
	_ = c.Close()
}

// attack serves by a face and sends updates until the server takes no more for the time of wait. grew is by how much
// the heap of this process has then grown.
func attack(driver string, f face, updates int, wait time.Duration) (sent, grew int, err error) {
	v, err := begin(driver, f)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, v.end()) }()
	before := heap()
	sent, _, err = v.send(updates, wait)
	return sent, heap() - before, err
}

// errStill says that the server does not go on.
var errStill = errors.New("the server took nothing")

// goOn is attack, but that the client then reads, and sends more updates: at is how many had been taken when the server
// stopped, longest how long it took nothing at most from then on.
func goOn(driver string, f face, updates, more int, wait, limit time.Duration) (at int, longest time.Duration,
	err error) {
	v, err := begin(driver, f)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, v.end()) }()
	if at, _, err = v.send(updates, wait); err != nil || at >= updates {
		return at, 0, err
	}
	go func() { _, _ = io.Copy(io.Discard, v.raw) }() // it ends with the connection
	sent, longest, err := v.send(more, limit)
	if err == nil && sent < more {
		err = fmt.Errorf("%w: for %v after %d updates, though its answers were read", errStill, limit, at+sent)
	}
	return at, longest, err
}

// A visit is a server and the attacker's connection to it.
type visit struct {
	srv  io.Closer
	raw  net.Conn
	s    *sender
	left []byte // of an update that was sent in part
}

// begin starts a server that uses its connections by a face, and makes the handshake.
func begin(driver string, f face) (*visit, error) {
	srv, addr, err := f.start(driver)
	if err != nil {
		return nil, err
	}
	v := &visit{srv: srv}
	if v.raw, err = (&net.Dialer{Control: smallSegments}).Dial("tcp", addr.String()); err != nil {
		return nil, errors.Join(err, srv.Close())
	}
	// Small buffers, so that few updates fill them.
	err = errors.Join(v.raw.(*net.TCPConn).SetReadBuffer(16<<10), v.raw.(*net.TCPConn).SetWriteBuffer(16<<10))
	if err == nil {
		v.s, err = handshake(v.raw)
	}
	if err != nil {
		return nil, errors.Join(err, v.end())
	}
	return v, nil
}

func (v *visit) end() error { return errors.Join(v.raw.Close(), v.srv.Close()) }

// segment is the largest segment of the attacker's connections, in both directions, in bytes: an Ethernet's.
//
// Loopback's own are of 32 KiB with these buffers, and a receiver of 32 KiB that holds anything has no room for one: it
// drops it, and the acknowledgement in it too. When both ends are full, each drops what the other sends, and both
// retransmit ever more seldom (tcp_input.c, tcp_timer.c). On Linux 6.18 a connection then stood still for 100 s and
// longer, under package net and crypto/tls as under this engine: ss -tinm showed at both ends "timer:(on,12sec,6)
// rto:13056 backoff:6 unacked:1 lost:1" over "skmem:(r34816,rb32768,…,d58)". With small segments none of 20 did.
const segment = 1400

// together is how many updates go into a write: what fills a segment. A receiver counts each segment with what the
// system keeps beside its bytes. When each update was a segment of its own, the server's system had promised more room
// than it had, dropped what came, and with it the acknowledgements of the client, which lay beyond its window then; so
// each end sent the same again, ever more seldom, for longer than two minutes.
const together = segment / 52

// send sends updates until they find no room for the time of wait. longest is the longest that a write took.
func (v *visit) send(updates int, wait time.Duration) (sent int, longest time.Duration, err error) {
	for ; sent < updates; sent += together {
		if len(v.left) == 0 {
			for range together {
				if v.left, err = v.s.update(v.left); err != nil {
					return sent, longest, err
				}
			}
		}
		begun := time.Now()
		if err := v.raw.SetWriteDeadline(begun.Add(wait)); err != nil {
			return sent, longest, err
		}
		n, err := v.raw.Write(v.left)
		v.left = v.left[n:]
		longest = max(longest, time.Since(begun))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return sent, longest, nil
		}
		if err != nil {
			return sent, longest, err
		}
	}
	return sent, longest, nil
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
		return nil, fmt.Errorf("the handshake agreed on %s: this attack knows TLS_AES_128_GCM_SHA256",
			tls.CipherSuiteName(suite))
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

// update appends a KeyUpdate that asks for an answer, and a byte of data under the new key, without which crypto/tls
// counts the updates as useless and ends the connection at the sixteenth.
func (s *sender) update(out []byte) ([]byte, error) {
	const handshakeRecord, dataRecord = 22, 23
	out = s.record(out, handshakeRecord, []byte{24, 0, 0, 1, 1}) // key_update, its length, update_requested
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
