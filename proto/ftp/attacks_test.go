package ftp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/stage"
)

// TestBounce has the server asked to connect to others, and to services (RFC 2577, section 3).
func TestBounce(t *testing.T) {
	r := newRig(t, &Server{})
	victim, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("127.0.0.2 is no address here:", err)
	}
	defer victim.Close()
	to := addrPort(victim.Addr())
	c := r.in()
	for _, line := range []string{
		"PORT " + string(AppendPort(nil, to)),
		"EPRT " + string(AppendEPRT(nil, to)),
		"PORT 127,0,0,1,0,22",
		"PORT 127,0,0,1,3,255", // 1023
		"EPRT |1|127.0.0.1|80|",
		"EPRT |2|::1|4000|",
		"EPRT |2|::ffff:127.0.0.2|4000|",
		"PORT 10,0,0,1,8,8",
	} {
		c.do(line, 504)
	}
	c.do("LIST", 425) // nothing was set up
	if n := r.srv.Stats().Bounces; n != 8 {
		t.Errorf("Bounces = %d, want 8", n)
	}
	if err := victim.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if nc, err := victim.Accept(); err == nil {
		t.Errorf("the server has connected: %v", nc.RemoteAddr())
	}
}

// TestNoActive refuses all of them.
func TestNoActive(t *testing.T) {
	r := newRig(t, &Server{NoActive: true})
	c := r.in()
	c.do("PORT 127,0,0,1,200,0", 502)
	c.do("EPRT |1|127.0.0.1|50000|", 502)
}

// TestTheft has another address connect to a passive port first: it gets nothing, and the client its file.
func TestTheft(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("secret", "for joe alone")
	c := r.in()
	port, err := ParseEPSV(c.do("EPSV", 229).Lines[0])
	if err != nil {
		t.Fatal(err)
	}
	to := fmt.Sprintf("127.0.0.1:%d", port)
	thief, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}).Dial("tcp", to)
	if err != nil {
		t.Skip("127.0.0.3 is no address here:", err)
	}
	defer thief.Close()
	c.do("RETR secret", 150)
	if b, _ := io.ReadAll(thief); len(b) > 0 { // a reset or the end: either will do
		t.Errorf("the thief has got %q", b)
	}
	mine, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	if b, err := io.ReadAll(mine); string(b) != "for joe alone" || err != nil {
		t.Errorf("the client has got %q, %v", b, err)
	}
	c.want(226)
	if n := r.srv.Stats().Strangers; n != 1 {
		t.Errorf("Strangers = %d, want 1", n)
	}
}

// TestCharacters has lines that some would take for two, and names that a listing or a log would.
func TestCharacters(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("keep", "x")
	c := r.in()
	c.do("DELE keep\x00", 501)
	c.do("DELE a\rDELE keep", 501)
	c.do("MKD a\r\x00b", 501)
	r.has("keep", "x")
	c.send("MKD a\nDELE keep\r\n")
	c.want(500)
	c.ended()
	r.has("keep", "x")
	r.lacks("a")
	c = r.in()
	c.send("USER joe\n") // netcat
	c.want(500)
	c.ended()
	c = r.in()
	c.send(strings.Repeat("A", 3000))
	c.want(500)
	c.ended()
	if n := r.srv.Stats().BadLines; n != 6 {
		t.Errorf("BadLines = %d, want 6", n)
	}
	if log := r.log.String(); log != "" {
		t.Errorf("the log has %q", log)
	}
}

// TestLogInjection has a name that looks like a line of the log, where a FileSystem's panic is logged.
func TestLogInjection(t *testing.T) {
	r := newRig(t, &Server{})
	r.user.FS = panicFS{r.user.FS}
	c := r.in()
	c.do("SIZE x\tlevel=ERROR msg=\"all is lost\" \x1b[31m", 451)
	if log := r.log.String(); strings.Contains(log, "all is lost") || strings.Contains(log, "\x1b") {
		t.Errorf("the log has %q", log)
	}
	c.do("NOOP", 200)
}

type panicFS struct{ FileSystem }

func (panicFS) Stat(string) (os.FileInfo, error) { panic("mine") }

// TestNamesInListings are names with line ends, which somebody made on the machine itself.
func TestNamesInListings(t *testing.T) {
	r := newRig(t, &Server{})
	name := "a\r\n226 Transfer complete.\r\nb"
	if err := os.WriteFile(filepath.Join(r.dir, name), nil, 0o666); err != nil {
		t.Skip("no such name here:", err)
	}
	r.file("fine", "")
	c := r.in()
	for line, want := range map[string]int{"LIST": 2, "NLST": 1, "MLSD": 1} {
		if got := c.get(line); strings.Count(got, "\n") != want {
			t.Errorf("%s: %q", line, got)
		}
	}
	if got := c.do("STAT /", 212); len(got.Lines) != 4 {
		t.Errorf("STAT: %q", got.Lines)
	}
}

// TestEscapes asks for what is above the root, by all commands that take a path.
func TestEscapes(t *testing.T) {
	r := newRig(t, &Server{})
	out := t.TempDir()
	if err := os.WriteFile(filepath.Join(out, "secret"), []byte("TOP"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"abs": out, "rel": "../" + filepath.Base(out),
		"file": filepath.Join(out, "secret")} {
		if err := os.Symlink(to, filepath.Join(r.dir, name)); err != nil {
			t.Skip("no links here:", err)
		}
	}
	r.file("mine", "x")
	c := r.in()
	for _, p := range []string{"/../secret", "../../../../../../../../etc/passwd", "abs/secret", "rel/secret", "file",
		"abs", "/abs/../../" + filepath.Base(out) + "/secret", "./abs/./secret", "//abs//secret"} {
		for _, cmd := range []string{"RETR", "STOR", "APPE", "LIST", "MLSD", "NLST"} {
			nc := c.passive()
			c.send(cmd + " " + p + "\r\n")
			if rep := c.reply(); rep.Class() == 1 { // it is below the root
				if cmd == "STOR" || cmd == "APPE" {
					nc.Close()
				} else if b, _ := io.ReadAll(nc); strings.Contains(string(b), "TOP") {
					t.Errorf("%s %s: %v, %q", cmd, p, rep, b)
				}
				c.want(226)
			}
			nc.Close()
		}
		for _, cmd := range []string{"SIZE", "MDTM", "MLST", "CWD", "RNFR"} {
			c.send(cmd + " " + p + "\r\n")
			if rep := c.reply(); rep.Class() != 5 && p != "/../secret" { // that is one in the root, by now
				t.Errorf("%s %s: %v", cmd, p, rep)
			}
		}
		c.do("RNFR mine", 350)
		c.send("RNTO " + p + "x\r\n")
		if c.reply().Class() == 2 { // it went to the root, or over a link: back with it
			c.do("RNFR "+p+"x", 350)
			c.do("RNTO mine", 250)
		}
	}
	if b, err := os.ReadFile(filepath.Join(out, "secret")); string(b) != "TOP" {
		t.Errorf("the file outside is %q, %v", b, err)
	}
	entries, err := os.ReadDir(out)
	if len(entries) != 1 {
		t.Errorf("outside there is %v, %v", entries, err)
	}
}

// TestRestBeyond begins behind the end of a file.
func TestRestBeyond(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("a", "12345")
	c := r.in()
	for _, cmd := range []string{"RETR a", "STOR a", "APPE a"} {
		c.passive()
		c.do("REST 6", 350)
		c.do(cmd, 554)
	}
	c.do("REST 99999999999999999999", 501)
	c.do("REST -1", 501)
	c.do("REST 9223372036854775807", 350)
	c.passive()
	c.do("STOR new", 554)
	r.lacks("new")
	r.has("a", "12345")
	c.passive()
	c.do("REST 1", 350)
	c.do("STOU", 554)
}

// TestSlowLogin sends a byte now and then, and does not log in.
func TestSlowLogin(t *testing.T) {
	t.Parallel()
	r := newRig(t, &Server{Limits: Limits{LoginTime: 2 * time.Second, IdleTime: time.Hour}})
	c := r.talk()
	c.do("USER joe", 331)
	c.do("NOOP", 200)
	c.send("PAS")
	c.want(421)
	c.ended()
	if n := r.srv.Stats().TimedOut; n != 1 {
		t.Errorf("TimedOut = %d, want 1", n)
	}
}

// TestIdle is silent behind the login, and then sends a line byte by byte, which is no command either.
func TestIdle(t *testing.T) {
	t.Parallel()
	r := newRig(t, &Server{Limits: Limits{IdleTime: time.Second}})
	c := r.in()
	c.want(421)
	c.ended()
	c = r.in()
	begin := time.Now()
	_ = c.nc.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	for {
		if _, err := c.nc.Write([]byte("A")); err != nil {
			break
		}
		_, err := c.r.Peek(1)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		_ = c.nc.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if time.Since(begin) > patience {
			t.Fatal("bytes of a line keep a session alive")
		}
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(patience))
	c.want(421)
}

// TestGuessing fails to log in.
func TestGuessing(t *testing.T) {
	r := newRig(t, &Server{Limits: Limits{Tries: 3, FailDelay: time.Millisecond}})
	c := r.talk()
	for i, user := range []string{"joe", "nobody", "root"} {
		c.do("USER "+user, 331)
		c.do("PASS wrong", []int{530, 530, 421}[i])
	}
	c.ended()
	if n := r.srv.Stats().FailedLogins; n != 3 {
		t.Errorf("FailedLogins = %d, want 3", n)
	}
}

// TestNotFTP speaks HTTP.
func TestNotFTP(t *testing.T) {
	r := newRig(t, &Server{Limits: Limits{Errors: 3}})
	c := r.talk()
	c.send("GET / HTTP/1.1\r\nHost: x\r\nAccept: y\r\n\r\n")
	c.want(500)
	c.want(500)
	c.want(421)
	c.ended()
}

// TestForeignPASV is a server that tells the address of somebody else: the client connects to the server itself.
func TestForeignPASV(t *testing.T) {
	r := newRig(t, &Server{Public: netip.MustParseAddr("127.0.0.9")})
	r.file("a", "x")
	c := r.client(ClientOptions{})
	c.epsv = false
	var b strings.Builder
	if _, err := c.Retr(t.Context(), "a", 0, &b); err != nil || b.String() != "x" {
		t.Errorf("Retr: %q, %v", b.String(), err)
	}
}

// TestClientArguments has names that would be two commands.
func TestClientArguments(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("keep", "x")
	c := r.client(ClientOptions{})
	ctx := t.Context()
	for _, name := range []string{"a\r\nDELE keep", "a\nDELE keep", "a\rb", "a\x00b"} {
		_, rerr := c.Retr(ctx, name, 0, io.Discard)
		_, derr := c.Do(ctx, "NOOP\r\nDELE keep", "")
		for _, err := range []error{rerr, derr, c.Mkdir(ctx, name), c.Rename(ctx, "keep", name)} {
			if !errors.Is(err, ErrBadCharacter) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	r.has("keep", "x")
	_, err := Dial(ctx, r.addr, ClientOptions{User: "joe\r\nPASS secret", Password: "x",
		Dial: stage.DialContext})
	if !errors.Is(err, ErrBadCharacter) {
		t.Errorf("Dial: %v", err)
	}
}

// TestCrowd logs a user in too often.
func TestCrowd(t *testing.T) {
	r := newRig(t, &Server{Limits: Limits{UserSessions: 2}})
	c := r.in()
	r.in()
	d := r.talk()
	d.do("USER joe", 331)
	d.do("PASS secret", 421)
	d.ended()
	c.do("REIN", 220) // one logs out
	r.in()
	if n := r.srv.Stats().Crowded; n != 1 {
		t.Errorf("Crowded = %d, want 1", n)
	}
}
