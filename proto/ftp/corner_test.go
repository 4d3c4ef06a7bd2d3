package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEmptyFiles go in both directions, in both types.
func TestEmptyFiles(t *testing.T) {
	r := newRig(t, &Server{})
	c := r.in()
	for _, typ := range []string{"TYPE I", "TYPE A"} {
		c.do(typ, 200)
		c.put("STOR up", "", 226)
		r.has("up", "")
		if got := c.get("RETR up"); got != "" {
			t.Errorf("%s: RETR: %q", typ, got)
		}
		c.put("STOR up", "x", 226)
	}
}

// An ownFile is a file of which the system knows nothing: sendfile is not for it.
type ownFile struct{ File }

type ownFS struct{ FileSystem }

func (f ownFS) Open(name string) (File, error) { return own(f.FileSystem.Open(name)) }

func (f ownFS) Create(name string, how Creation) (File, error) {
	return own(f.FileSystem.Create(name, how))
}

func own(f File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return ownFile{f}, nil
}

// TestOwnFiles has files that are no *os.File.
func TestOwnFiles(t *testing.T) {
	r := newRig(t, &Server{})
	r.user.FS = ownFS{r.user.FS}
	text := strings.Repeat("0123456789abcde\n", 20_000)
	c := r.in()
	c.put("STOR a", text, 226)
	r.has("a", text)
	if got := c.get("RETR a"); got != text {
		t.Errorf("RETR: %d bytes", len(got))
	}
	c.do("REST 100", 350)
	if got := c.get("RETR a"); got != text[100:] {
		t.Errorf("RETR behind REST: %d bytes", len(got))
	}
	c.do("TYPE A", 200)
	if got := c.get("RETR a"); got != strings.ReplaceAll(text, "\n", "\r\n") {
		t.Errorf("RETR in ASCII: %d bytes", len(got))
	}
}

// TestLoginDuringTransfer says USER and REIN in the midst of a download: it goes to its end, and then they are done.
func TestLoginDuringTransfer(t *testing.T) {
	t.Parallel()
	r := newRig(t, &Server{})
	r.sparse("big", bigger)
	c := r.in()
	for _, line := range []string{"USER joe", "REIN"} {
		data := c.passive()
		c.do("RETR big", 150)
		c.send(line + "\r\nPWD\r\n")
		if n, err := io.Copy(io.Discard, data); n != bigger || err != nil {
			t.Errorf("%s: %d bytes, %v", line, n, err)
		}
		c.want(226)
		c.want(map[string]int{"USER joe": 331, "REIN": 220}[line])
		c.want(530)
		if line == "REIN" {
			break
		}
		c.do("PASS secret", 230)
	}
	c.login("joe")
}

// TestUniqueLeavesNothing refuses STOU: no file is made.
func TestUniqueLeavesNothing(t *testing.T) {
	r := newRig(t, &Server{})
	c := r.talk()
	c.login("reader")
	c.passive()
	c.do("STOU x", 550)
	c = r.in()
	c.passive()
	c.do("REST 1", 350)
	c.do("STOU x", 554)
	if entries, err := os.ReadDir(r.dir); len(entries) != 0 || err != nil {
		t.Errorf("there is %v, %v", entries, err)
	}
}

// An oddFS has a file and a folder of a strange time.
type oddFS struct {
	FileSystem
	at time.Time
}

func (f oddFS) Stat(name string) (fs.FileInfo, error) {
	if name == "." {
		return info{name, 0, fs.ModeDir | 0o755, f.at}, nil
	}
	return info{name, 1, 0o644, f.at}, nil
}

func (f oddFS) ReadDir(_ string, each func(fs.FileInfo) error) error {
	return each(info{"odd", 1, 0o644, f.at})
}

// TestOddTimes has files from before all calendars, and behind them: what is told of them is of the form that it has
// to be, or is left out.
func TestOddTimes(t *testing.T) {
	for year, want := range map[int]string{-5000: "00000101000000", 1684: "16840101000000", 20_000: "99991231235959"} {
		r := newRig(t, &Server{})
		r.user.FS = oddFS{r.user.FS, time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)}
		c := r.in()
		if got := c.do("MDTM odd", 213).Lines[0]; got != want {
			t.Errorf("the year %d: MDTM tells %s, want %s", year, got, want)
		}
		if got := c.do("MLST odd", 250).Lines[1]; !strings.Contains(got, "modify="+want+";") {
			t.Errorf("the year %d: MLST tells %q", year, got)
		}
		c.do("STAT /", 212)
		if _, err := ParseFacts(strings.TrimSuffix(c.get("MLSD"), "\r\n")); err != nil {
			t.Errorf("the year %d: %v", year, err)
		}
		e, err := ParseLIST(c.get("LIST"), time.Now())
		if err != nil || e.Name != "odd" {
			t.Errorf("the year %d: LIST has %+v, %v", year, e, err)
		}
	}
}

// TestBothFamilies listens on all addresses, of both families by one socket, and is asked by IPv4.
func TestBothFamilies(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("a", "x")
	r.addr = strings.Replace(serve(t, r.srv, "[::]:0"), "[::]", "127.0.0.1", 1)
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Skip("IPv4 does not get to a socket of IPv6 here:", err)
	}
	nc.Close()
	c := r.in()
	at, err := ParsePASV(c.do("PASV", 227).Lines[0])
	if err != nil || at.Addr() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		t.Errorf("PASV tells %v, %v", at, err)
	}
	c.do("EPSV 2", 522)
	c.do("EPSV 1", 229)
	if got := c.get("RETR a"); got != "x" {
		t.Errorf("RETR: %q", got)
	}
	for _, eprt := range []bool{true, false} {
		k := r.client(ClientOptions{Listen: new(net.ListenConfig).Listen})
		var b strings.Builder
		if _, err := k.Retr(t.Context(), "a", 0, &b); err != nil || b.String() != "x" {
			t.Errorf("active, EPRT %v: %q, %v", eprt, b.String(), err)
		}
	}
}

// TestQuickConnections has connections that are reset at once, for control and for data.
func TestQuickConnections(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("a", "x")
	quick := func(nc net.Conn) {
		_ = nc.(*net.TCPConn).SetLinger(0) // so that its close resets it
		nc.Close()
	}
	for range 10 {
		nc, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		quick(nc)
	}
	c := r.in()
	for range 10 {
		quick(c.passive())
		c.do("RETR a", 150)
		if r := c.reply(); r.Code != 226 && r.Code != 425 && r.Code != 426 { // it is in the sockets, or it is not
			t.Errorf("RETR into a reset: %v", r)
		}
	}
	if got := c.get("RETR a"); got != "x" {
		t.Errorf("RETR: %q", got)
	}
	for end := time.Now().Add(patience); r.srv.Stats().Sessions != 1; c.do("NOOP", 200) {
		if time.Now().After(end) {
			t.Fatalf("there are %d sessions", r.srv.Stats().Sessions)
		}
	}
}

// TestPortAndGone says PORT, and goes.
func TestPortAndGone(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("a", "x")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := r.in()
	c.send("PORT " + string(AppendPort(nil, addrPort(ln.Addr()))) + "\r\nRETR a\r\n")
	c.nc.Close()
	d := r.in()
	for end := time.Now().Add(patience); r.srv.Stats().Sessions != 1; d.do("NOOP", 200) {
		if time.Now().After(end) {
			t.Fatalf("there are %d sessions", r.srv.Stats().Sessions)
		}
	}
}

// A scarceListener is one whose Accept finds no descriptor.
type scarceListener struct{ net.Listener }

func (scarceListener) Accept() (net.Conn, error) {
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
}

// TestNoDescriptors has none left at PASV, and when the data connection comes: the replies say that the same may work
// later, and it does.
func TestNoDescriptors(t *testing.T) {
	state := 0
	srv := &Server{}
	srv.Listen = func(ctx context.Context, address string) (net.Listener, error) {
		if state == 0 {
			return nil, &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if state == 1 && err == nil {
			ln = scarceListener{ln}
		}
		return ln, err
	}
	r := newRig(t, srv)
	r.file("a", "x")
	c := r.in()
	c.do("PASV", 425)
	c.do("EPSV", 425)
	c.do("RETR a", 425)
	state = 1
	c.passive()
	c.do("RETR a", 150)
	c.want(425)
	state = 2
	if got := c.get("RETR a"); got != "x" {
		t.Errorf("RETR: %q", got)
	}
	if !strings.Contains(r.log.String(), "too many open files") {
		t.Errorf("the log has %s", r.log)
	}
}

// TestPortsAreGivenBack sets passive ports up again and again, uses none, and goes: none is left open.
func TestPortsAreGivenBack(t *testing.T) {
	var open []net.Listener
	srv := &Server{Listen: func(ctx context.Context, address string) (net.Listener, error) {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		open = append(open, ln)
		return ln, err
	}}
	r := newRig(t, srv)
	r.file("a", "x")
	c := r.in()
	for _, line := range []string{"PASV 227", "EPSV 229", "PASV 227", "ABOR 226", "EPSV 229", "RETR nope 550", "PASV 227",
		"PORT 127,0,0,1,200,1 200", "EPSV 229", "REIN 220"} {
		i := strings.LastIndexByte(line, ' ')
		code := int(line[i+1]-'0')*100 + int(line[i+2]-'0')*10 + int(line[i+3]-'0')
		c.do(line[:i], code)
	}
	c.login("joe")
	c.do("EPSV", 229)
	c.do("QUIT", 221)
	c.ended()
	for end := time.Now().Add(patience); r.srv.Stats().Sessions != 0; {
		if time.Now().After(end) {
			t.Fatal("the session is there still")
		}
	}
	for i, ln := range open {
		_ = ln.(*net.TCPListener).SetDeadline(time.Now())
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the port %d is open: %v", i, err)
		}
	}
}

// TestHalfClosedData has clients that end their half of a download's connection: they get all. The other half of an
// upload is nobody's.
func TestHalfClosedData(t *testing.T) {
	r := newRig(t, &Server{})
	r.sparse("big", bigger)
	c := r.in()
	data := c.passive()
	if err := data.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.do("RETR big", 150)
	if n, err := io.Copy(io.Discard, data); n != bigger || err != nil {
		t.Errorf("RETR: %d bytes, %v", n, err)
	}
	c.want(226)
	data = c.passive()
	c.do("STOR up", 150)
	write(t, data, "all")
	if err := data.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.want(226)
	r.has("up", "all")
}

// TestTransferIsNotIdle has transfers that last longer than a session may be idle, and a session that is idle behind
// one.
func TestTransferIsNotIdle(t *testing.T) {
	t.Parallel()
	const idle = 600 * time.Millisecond
	r := newRig(t, &Server{Limits: Limits{IdleTime: idle}})
	c := r.in()
	data := c.passive()
	c.do("STOR up", 150)
	for end := time.Now().Add(2 * idle); time.Now().Before(end); {
		write(t, data, "x")
		_ = data.SetReadDeadline(time.Now().Add(idle / 10))
		if _, err := data.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the data connection: %v", err)
		}
	}
	data.Close()
	c.want(226)
	c.want(421) // from then on
	c.ended()
}

// TestNoLimits has none of time: nothing ends by itself, and all of it works.
func TestNoLimits(t *testing.T) {
	r := newRig(t, &Server{Limits: Limits{LoginTime: -1, IdleTime: -1, DataWait: -1, StallTime: -1, LeastRate: -1,
		WriteTime: -1, FailDelay: -1}})
	r.file("a", "x")
	c := r.in()
	c.do("EPSV", 229)
	c.do("PORT 127,0,0,1,200,1", 200)
	if got := c.get("RETR a"); got != "x" {
		t.Errorf("RETR: %q", got)
	}
	c.put("STOR b", "y", 226)
	c.do("QUIT", 221)
}

// TestControlShutdown ends TLS on the control connection, and goes on in plain text: nothing of that is done.
func TestControlShutdown(t *testing.T) {
	cert, pool := newCert(t)
	r := newRig(t, &Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	r.file("a", "x")
	c := r.talk()
	plain := c.nc
	c.do("AUTH TLS", 234)
	c.upgrade(clientTLS(&tls.Config{RootCAs: pool}))
	c.login("joe")
	if err := c.nc.(*tls.Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_ = plain.SetDeadline(time.Now().Add(patience)) // CloseWrite has moved it
	if _, err := io.WriteString(plain, "DELE a\r\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, plain) // the end, or a reset
	r.has("a", "x")
}

// TestControlLost breaks the control connection in the midst of a transfer, which ends with it (RFC 959, section 2.3).
func TestControlLost(t *testing.T) {
	done := make(chan Record, 3)
	r := newRig(t, &Server{Done: func(x Record) {
		if x.Command == "RETR" {
			done <- x
		}
	}})
	r.sparse("big", bigger)
	for _, lose := range []func(nc halfCloser) error{halfCloser.Close, halfCloser.CloseWrite,
		func(nc halfCloser) error { return errors.Join(nc.SetLinger(0), nc.Close()) }} {
		c := r.in()
		data := c.passive()
		c.do("RETR big", 150)
		if err := lose(c.nc.(halfCloser)); err != nil {
			t.Fatal(err)
		}
		<-done // who reads on before may have it all
		if n, err := io.Copy(io.Discard, data); n == bigger || err == nil {
			t.Errorf("got %d bytes, %v", n, err)
		}
	}
}
