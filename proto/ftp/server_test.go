package ftp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestSession(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("a.txt", "hello\n")
	c := r.in()
	if got := c.get("RETR a.txt"); got != "hello\n" {
		t.Errorf("RETR: %q", got)
	}
	c.put("STOR b.txt", "some text", 226)
	r.has("b.txt", "some text")
	if got := c.get("LIST"); strings.Count(got, "\r\n") != 2 {
		t.Errorf("LIST: %q", got)
	}
	if got := c.get("NLST"); got != "a.txt\r\nb.txt\r\n" && got != "b.txt\r\na.txt\r\n" {
		t.Errorf("NLST: %q", got)
	}
	c.do("QUIT", 221)
	c.ended()
}

// TestPassiveRange has one port for data: who comes second gets none, until the first is done.
func TestPassiveRange(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := addrPort(ln.Addr()).Port()
	ln.Close()
	r := newRig(t, &Server{FirstPort: port, LastPort: port, Public: netip.MustParseAddr("192.0.2.7")})
	r.file("a", "x")
	c, d := r.in(), r.in()
	c.send("PASV\r\n")
	first := c.reply()
	if first.Code == 425 {
		t.Skip("somebody else has taken the port")
	}
	at, err := ParsePASV(first.Lines[0])
	if want := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), port); at != want || err != nil {
		t.Errorf("PASV tells %v, %v, want %v", at, err, want)
	}
	d.do("PASV", 425)
	if got, err := ParseEPSV(c.do("EPSV", 229).Lines[0]); got != port || err != nil { // its own is given back before
		t.Errorf("EPSV tells %d, %v, want %d", got, err, port)
	}
	c.do("ABOR", 226)
	if got := d.get("RETR a"); got != "x" {
		t.Errorf("RETR: %q", got)
	}
}

// TestOptions are servers whose options contradict each other.
func TestOptions(t *testing.T) {
	users := new(Accounts)
	for name, srv := range map[string]*Server{
		"no users":              {},
		"implicit without TLS":  {Users: users, Implicit: true},
		"required without TLS":  {Users: users, RequireTLS: true},
		"binding, no tickets":   {Users: users, TLS: &tls.Config{SessionTicketsDisabled: true}},
		"a range that is empty": {Users: users, FirstPort: 2, LastPort: 1},
	} {
		a, b := net.Pipe()
		if err := srv.Serve(t.Context(), a); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
		b.Close()
	}
	a, b := net.Pipe() // no address of IP
	defer b.Close()
	users.Add("joe", "secret", &User{Name: "joe", FS: Dir(nil)})
	go func() { _ = (&Server{Users: users}).Serve(t.Context(), a) }()
	c := &talk{t, b, bufio.NewReader(b)}
	c.want(220)
	c.login("joe")
	c.do("PASV", 522)
	c.do("EPSV", 425)
	c.do("PORT 127,0,0,1,200,0", 504)
	c.do("QUIT", 221)
}

// TestContext ends sessions, and their transfers, with the context.
func TestContext(t *testing.T) {
	r := newRig(t, &Server{})
	r.sparse("big", bigger)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cause := errors.New("mine")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		nc, err := ln.Accept()
		if err == nil {
			err = r.srv.Serve(ctx, nc)
		}
		ended <- err
	}()
	c := dialTalk(t, ln.Addr().String())
	c.want(220)
	c.login("joe")
	data := c.passive()
	c.do("RETR big", 150)
	cancel(cause)
	if err := <-ended; !errors.Is(err, cause) {
		t.Errorf("Serve: %v", err)
	}
	if _, err := io.Copy(io.Discard, data); err == nil {
		t.Error("the data has ended as if it were whole")
	}
}

// TestRecords is what Done is told.
func TestRecords(t *testing.T) {
	var mu sync.Mutex
	var got []string
	r := newRig(t, &Server{Done: func(x Record) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, fmt.Sprintf("%s %s %s %d %d %v", x.User, x.Command, x.Path, x.Bytes, x.Code, x.Err == nil))
	}})
	c := r.talk()
	c.do("USER joe", 331)
	c.do("PASS wrong", 530)
	c.login("joe")
	c.put("STOR a", "hello", 226)
	c.get("RETR a")
	c.do("EPSV", 229)
	c.do("STOR b", 150)
	c.do("ABOR", 426)
	c.want(226)
	mu.Lock()
	defer mu.Unlock()
	want := []string{"joe PASS  0 530 false", "joe PASS  0 230 true",
		"joe STOR /a 5 226 true", "joe RETR /a 5 226 true", "joe STOR /b 0 426 false"}
	if !slices.Equal(got, want) {
		t.Errorf("Done: %q, want %q", got, want)
	}
}
