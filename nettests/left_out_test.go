package nettests

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// TestLeftOut: that what TestMain leaves out is crypto/tls's own doing. A tls.Conn over a connection of package net
// whose Write has timed out fails to write for ever, so a peer that is to echo never hears of it, and nettest, which
// sets no deadline then, waits for the echo for ever. When this fails, there is nothing to leave out any more.
func TestLeftOut(t *testing.T) {
	cert := certificate()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan net.Conn, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			_ = c.(*tls.Conn).Handshake() // the client's tells
		}
		served <- c
	}()
	client, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c := <-served
	defer c.Close()
	if err := c.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Write after the deadline: %v, want a timeout", err)
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Write([]byte("x")); err == nil {
		t.Errorf("Write without a deadline, after one that timed out: %d bytes: crypto/tls goes on, and so may TestConn", n)
	}
}
