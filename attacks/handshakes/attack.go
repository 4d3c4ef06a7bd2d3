package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/loop"
)

type attack struct {
	loops          int           // of a server of its own
	timeout        time.Duration // likewise: Limits.HandshakeTimeout
	silent, honest int           // clients
	every, wait    time.Duration
}

// bare is the name of the server that package net and crypto/tls make.
const bare = "net"

// targets are what is attacked: what was asked for, or all that works here.
func targets(only string) (names []string) {
	if only != "" {
		return []string{only}
	}
	for _, d := range loop.Drivers() {
		if d.Err == nil {
			names = append(names, d.Name)
		}
	}
	return append(names, bare)
}

// fitting leaves room for both ends of all silent clients in this process: select(2) takes no descriptor from 1024 on.
func (a attack) fitting(target string) attack {
	if target == "select" {
		a.silent = min(a.silent, 400)
	}
	return a
}

// serveAndRun attacks a server of this process, which answers nothing but handshakes.
func (a attack) serveAndRun(target string) (served int, err error) {
	cert, err := certificate()
	if err != nil {
		return 0, err
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	if target == bare {
		return a.bareAndRun(cfg)
	}
	srv := &plexor.Server{Driver: target, Loops: a.loops, TLS: &plexor.TLS{Config: cfg},
		Limits: plexor.Limits{HandshakeTimeout: a.timeout}, Log: slog.New(slog.DiscardHandler)}
	defer func() { err = errors.Join(err, srv.Close()) }()
	addr, err := srv.Open("tls://127.0.0.1:0", plexor.HandlerFunc(func(c *plexor.Conn) {
		_, _ = io.Copy(io.Discard, c) // its end is the client's to judge
	}))
	if err != nil {
		return 0, err
	}
	return a.run(addr.String())
}

// bareAndRun is serveAndRun on package net: a goroutine a connection.
func (a attack) bareAndRun(cfg *tls.Config) (served int, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				_, _ = io.Copy(io.Discard, tls.Server(c, cfg)) // likewise
				_ = c.Close()
			})
		}
	})
	served, err = a.run(ln.Addr().String())
	err = errors.Join(err, ln.Close())
	all.Wait()
	return served, err
}

// run attacks the server at addr and returns how many honest handshakes were done.
func (a attack) run(addr string) (served int, err error) {
	for range a.silent {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		p, err := hello()
		if err != nil {
			return 0, err
		}
		if _, err := c.Write(p); err != nil && !errors.Is(err, net.ErrClosed) {
			return 0, fmt.Errorf("a silent client: %w", err)
		}
	}
	var done atomic.Int64
	var all sync.WaitGroup
	for i := range a.honest {
		if i > 0 {
			time.Sleep(a.every)
		}
		all.Go(func() {
			if a.shake(addr) == nil {
				done.Add(1)
			}
		})
	}
	all.Wait()
	return int(done.Load()), nil
}

// shake makes an honest handshake.
func (a attack) shake(addr string) error {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: a.wait}, Config: &tls.Config{InsecureSkipVerify: true}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

// errSilent ends a handshake behind its first flight.
var errSilent = errors.New("nothing more is sent")

// hello is a ClientHello in its record, as package crypto/tls makes it.
func hello() ([]byte, error) {
	r := new(recorder)
	if err := tls.Client(r, &tls.Config{InsecureSkipVerify: true}).Handshake(); !errors.Is(err, errSilent) {
		return nil, fmt.Errorf("making a ClientHello: %w", err)
	}
	return r.sent, nil
}

// A recorder keeps what is written; its peer never answers.
type recorder struct {
	net.Conn // nil: nothing else is called
	sent     []byte
}

func (r *recorder) Read([]byte) (int, error) { return 0, errSilent }

func (r *recorder) Write(p []byte) (int, error) {
	r.sent = append(r.sent, p...)
	return len(p), nil
}

// certificate makes one that nobody trusts.
func certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
