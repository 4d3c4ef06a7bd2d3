package ftp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bigger is more than the buffers of two sockets take, so that a transfer of it goes on until it is read.
const bigger = 32 << 20

// sparse makes a file of n zeros.
func (r *rig) sparse(name string, n int64) {
	r.t.Helper()
	r.file(name, "")
	if err := os.Truncate(filepath.Join(r.dir, name), n); err != nil {
		r.t.Fatal(err)
	}
}

// TestAbort has a download aborted, in each way that clients do it: the reply of the transfer comes first, then ABOR's.
func TestAbort(t *testing.T) {
	t.Parallel()
	for name, abort := range map[string]func(t *testing.T, nc *net.TCPConn){
		"a line": func(t *testing.T, nc *net.TCPConn) { write(t, nc, "ABOR\r\n") },
		"IP, DM": func(t *testing.T, nc *net.TCPConn) { write(t, nc, "\xff\xf4\xff\xf2ABOR\r\n") },
		"IP, DM as urgent data (RFC 959)": func(t *testing.T, nc *net.TCPConn) {
			write(t, nc, "\xff\xf4\xff")
			urgent(t, nc, "\xf2")
			write(t, nc, "ABOR\r\n")
		},
		"IP, IAC as urgent data (BSD's ftp)": func(t *testing.T, nc *net.TCPConn) {
			write(t, nc, "\xff\xf4")
			urgent(t, nc, "\xff")
			write(t, nc, "\xf2ABOR\r\n")
		},
		"all of it urgent (Python's ftplib)": func(t *testing.T, nc *net.TCPConn) { urgent(t, nc, "ABOR\r\n") },
		"in pieces": func(t *testing.T, nc *net.TCPConn) {
			for _, b := range []byte("\xff\xf4\xff\xf2ABOR\r\n") {
				write(t, nc, string([]byte{b}))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, &Server{})
			r.sparse("big", bigger)
			c := r.in()
			for range 2 {
				data := c.passive()
				c.do("RETR big", 150)
				if _, err := io.ReadFull(data, make([]byte, 100)); err != nil {
					t.Fatal(err)
				}
				abort(t, c.nc.(*net.TCPConn))
				c.want(426)
				c.want(226)
				if _, err := io.Copy(io.Discard, data); err == nil {
					t.Error("the data has ended as if it were whole")
				}
			}
			if got := c.get("RETR big"); len(got) != bigger {
				t.Errorf("behind it: %d bytes", len(got))
			}
			c.do("ABOR", 226)
		})
	}
}

func write(t *testing.T, nc net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(nc, s); err != nil {
		t.Fatal(err)
	}
}

// TestAbortUpload aborts an upload, and one whose data connection was never made.
func TestAbortUpload(t *testing.T) {
	r := newRig(t, &Server{})
	c := r.in()
	data := c.passive()
	c.do("STOR up", 150)
	write(t, data, "part")
	for len(c.do("STAT", 213).Lines) == 0 {
	}
	for !strings.Contains(c.do("STAT", 213).Lines[0], ": 4 bytes") {
	}
	c.do("ABOR", 426)
	c.want(226)
	r.has("up", "part")
	c.do("EPSV", 229)
	c.do("STOR other", 150)
	c.do("ABOR", 426)
	c.want(226)
	c.do("NOOP", 200)
}

// TestMeanwhile sends commands during a transfer: STAT is done at once, others when it is over, in their order.
func TestMeanwhile(t *testing.T) {
	t.Parallel()
	r := newRig(t, &Server{})
	r.sparse("big", bigger)
	c := r.in()
	data := c.passive()
	c.do("RETR big", 150)
	c.send("STAT\r\nNOOP\r\nSTAT\r\nPW")
	c.want(213)
	if n, err := io.Copy(io.Discard, data); n != bigger || err != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
	c.want(226)
	c.want(200)
	c.want(211)
	c.send("D\r\n")
	c.want(257)
	// More than the buffer takes: it is not read before the transfer is over.
	data = c.passive()
	c.do("RETR big", 150)
	done := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c.nc, strings.Repeat("NOOP\r\n", 2000))
		done <- err
	}()
	if n, err := io.Copy(io.Discard, data); n != bigger || err != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
	c.want(226)
	for range 2000 {
		c.want(200)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestPipelined has all commands in one packet, transfers among them.
func TestPipelined(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("a", "x")
	c := r.talk()
	c.send("USER joe\r\nPASS secret\r\nTYPE I\r\nSIZE a\r\nRETR a\r\nQUIT\r\nNOOP\r\n")
	for _, code := range []int{331, 230, 200, 213, 425, 221} {
		c.want(code)
	}
	c.ended()
}

// TestNoDataConnection waits for one that never comes, and for one to nobody.
func TestNoDataConnection(t *testing.T) {
	r := newRig(t, &Server{Limits: Limits{DataWait: 50 * time.Millisecond}})
	r.file("a", "x")
	c := r.in()
	c.do("EPSV", 229)
	c.do("RETR a", 150)
	c.want(425)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := addrPort(ln.Addr())
	ln.Close()
	c.do("PORT "+string(AppendPort(nil, at)), 200)
	c.do("RETR a", 150)
	c.want(425)
	c.do("RETR a", 425) // a setup is for one transfer
}

// TestStalled has clients that neither take nor send. Where the byte that one sends first has not come in time either,
// for the machine is busy, there is more of it.
func TestStalled(t *testing.T) {
	t.Parallel()
	for stall := 50 * time.Millisecond; ; stall *= 8 {
		r := newRig(t, &Server{Limits: Limits{StallTime: stall, LeastRate: 1 << 30}})
		r.sparse("big", bigger)
		c := r.in()
		c.passive()
		c.do("RETR big", 150)
		c.want(426)
		data := c.passive()
		write(t, data, "x")
		c.do("STOR up", 150)
		c.want(426)
		if n := r.srv.Stats().Stalled; n != 2 {
			t.Errorf("Stalled = %d, want 2", n)
		}
		if b, err := os.ReadFile(filepath.Join(r.dir, "up")); err == nil && len(b) == 0 && stall < 2*time.Second {
			continue
		}
		r.has("up", "x")
		return
	}
}

// TestSlowReader has a client that takes a little now and then, for longer than a connection may stand still: it gets
// all. One that takes nothing any more does not hold the transfer up for longer than that.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const stall = 3 * time.Second
	r := newRig(t, &Server{Limits: Limits{StallTime: stall}})
	// Many times what the sockets take: a full one takes more when a third of it is free, and that is soon at this rate.
	text := strings.Repeat("0123456789abcdef", 1<<21)
	r.file("big", text)
	c := r.in()
	data := c.passive()
	_ = data.(interface{ SetReadBuffer(int) error }).SetReadBuffer(64 << 10) // so that it shows
	c.do("RETR big", 150)
	begin := time.Now()
	var got strings.Builder
	for tick := time.NewTicker(25 * time.Millisecond); ; <-tick.C { // a tick that is late makes up for it
		due := int64(len(text)) * int64(time.Since(begin)) / int64(2*stall)
		if _, err := io.CopyN(&got, data, due-int64(got.Len())+1); err != nil {
			if err != io.EOF {
				t.Error(err)
			}
			tick.Stop()
			break
		}
	}
	if d := time.Since(begin); got.String() != text || d < 3*stall/2 {
		t.Errorf("got %d bytes in %v", got.Len(), d)
	}
	c.want(226)
	r.sparse("big", bigger)
	data = c.passive()
	c.do("RETR big", 150)
	if _, err := io.CopyN(io.Discard, data, 1<<20); err != nil {
		t.Error(err)
	}
	begin = time.Now()
	c.want(426)
	if d := time.Since(begin); d > 5*stall {
		t.Errorf("a client that takes nothing holds it up for %v", d)
	}
}

// TestLeastRate has a client that sends a byte now and then: the time that this takes in all is bounded.
func TestLeastRate(t *testing.T) {
	t.Parallel()
	r := newRig(t, &Server{Limits: Limits{StallTime: 300 * time.Millisecond, LeastRate: 1 << 20}})
	c := r.in()
	data := c.passive()
	c.do("STOR up", 150)
	begin := time.Now()
	for end := make(chan struct{}); ; {
		go func() {
			if _, err := c.r.Peek(1); err == nil {
				close(end)
			}
		}()
		for {
			_, err := data.Write([]byte("x"))
			select {
			case <-end:
				c.want(426)
				return
			case <-time.After(20 * time.Millisecond):
			}
			if err == nil && time.Since(begin) > patience {
				t.Fatal("it goes on for ever")
			}
		}
	}
}

// TestRate bounds what a user gets and sends.
func TestRate(t *testing.T) {
	t.Parallel()
	r := newRig(t, &Server{})
	r.user.Rate = 100_000
	r.sparse("a", 50_000)
	c := r.in()
	begin := time.Now()
	if got := c.get("RETR a"); len(got) != 50_000 {
		t.Errorf("got %d bytes", len(got))
	}
	c.put("STOR b", strings.Repeat("x", 20_000), 226)
	if d := time.Since(begin); d < 600*time.Millisecond {
		t.Errorf("70,000 bytes at 100,000 a second took %v", d)
	}
	r.sparse("big", 1<<30)
	data := c.passive()
	c.do("RETR big", 150)
	if _, err := io.ReadFull(data, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	c.do("ABOR", 426)
	c.want(226)
}

// TestQuota bounds what is stored.
func TestQuota(t *testing.T) {
	r := newRig(t, &Server{})
	q := &Quota{Most: 100}
	r.user.Quota, r.user.MostFile = q, 80
	c := r.in()
	c.put("STOR a", strings.Repeat("x", 60), 226)
	c.put("STOR b", strings.Repeat("x", 60), 552)
	if n := q.Used(); n != 60 {
		t.Errorf("Used = %d, want 60", n)
	}
	c.put("STOR a", strings.Repeat("x", 81), 552) // in place of 60: MostFile
	c.put("STOR a", strings.Repeat("x", 70), 226)
	c.put("APPE a", "1234567890", 226)
	if n := q.Used(); n != 80 {
		t.Errorf("Used = %d, want 80", n)
	}
	c.do("REST 10", 350)
	c.put("STOR a", "x", 226)
	if n := q.Used(); n != 11 {
		t.Errorf("Used = %d, want 11", n)
	}
	c.do("DELE a", 250)
	c.do("DELE b", 250)
	if n, err := Measure(r.user.FS, "."); n != 0 || q.Used() != 0 || err != nil {
		t.Errorf("Used = %d, Measure = %d, %v", q.Used(), n, err)
	}
}

// TestQuotaCheats has a file written, replaced, removed and renamed over by two sessions at once, so that more is
// counted as free than was counted as stored.
func TestQuotaCheats(t *testing.T) {
	r := newRig(t, &Server{})
	q := &Quota{Most: 1000}
	r.user.Quota = q
	c, d := r.in(), r.in()
	c.put("STOR x", strings.Repeat("x", 100), 226)
	data := c.passive()
	c.do("STOR a", 150)
	write(t, data, strings.Repeat("x", 60))
	for !strings.Contains(c.do("STAT", 213).Lines[0], ": 60 bytes") {
	}
	for _, line := range []string{"STOR a", "APPE a"} {
		d.passive()
		d.do(line, 450)
	}
	d.do("DELE a", 450)
	d.do("RNFR x", 350)
	d.do("RNTO a", 450)
	d.do("RNFR a", 350)
	d.do("RNTO b", 250) // it is the same file
	d.do("DELE b", 450)
	data.Close()
	c.want(226)
	if n := q.Used(); n != 160 {
		t.Errorf("Used = %d, want 160", n)
	}
	d.do("RNFR x", 350)
	d.do("RNTO b", 250) // 60 bytes are gone
	d.do("RNFR b", 350)
	d.do("RNTO b", 250)
	if n := q.Used(); n != 100 {
		t.Errorf("Used = %d, want 100", n)
	}
	if err := os.Symlink("b", filepath.Join(r.dir, "link")); err == nil {
		d.do("DELE link", 250)
	}
	if n, err := Measure(r.user.FS, "."); n != q.Used() || n != 100 || err != nil {
		t.Errorf("Used = %d, Measure = %d, %v", q.Used(), n, err)
	}
}

// TestText is TYPE A in both directions.
func TestText(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("a", "one\ntwo\r\nthree")
	c := r.in()
	c.do("TYPE A", 200)
	if got := c.get("RETR a"); got != "one\r\ntwo\r\nthree" {
		t.Errorf("RETR: %q", got)
	}
	c.put("STOR b", "one\r\ntwo\r\r\n\r", 226)
	r.has("b", "one\ntwo\r\n\r")
	c.do("SIZE a", 550)
	c.do("REST 1", 504)
	c.do("REST 0", 350)
}

// TestRestart goes on where a transfer has ended.
func TestRestart(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("a", "0123456789")
	c := r.in()
	c.do("REST 4", 350)
	if got := c.get("RETR a"); got != "456789" { // EPSV comes in between, as clients have it
		t.Errorf("RETR: %q", got)
	}
	if got := c.get("RETR a"); got != "0123456789" {
		t.Errorf("RETR: %q: REST is for one transfer", got)
	}
	c.do("REST 10", 350)
	if got := c.get("RETR a"); got != "" {
		t.Errorf("RETR: %q", got)
	}
	c.do("REST 8", 350)
	c.put("STOR a", "XYZ", 226)
	r.has("a", "01234567XYZ")
	c.do("REST 4", 350)
	c.put("STOR a", "-", 226)
	r.has("a", "0123-")
	c.do("REST 2", 350)
	c.put("APPE a", "+", 226) // like STOR (RFC 3659, section 5.3)
	r.has("a", "01+")
	c.do("REST 2", 350)
	c.do("CWD /", 250)
	if got := c.get("RETR a"); got != "01+" {
		t.Errorf("RETR: %q: REST does not hold for a command behind another", got)
	}
	c.put("APPE a", "end", 226)
	r.has("a", "01+end")
	c.put("APPE new", "x", 226)
	r.has("new", "x")
}

// TestUnique is STOU.
func TestUnique(t *testing.T) {
	r := newRig(t, &Server{})
	c := r.in()
	for _, cmd := range []string{"STOU", "STOU base"} {
		data := c.passive()
		name, ok := strings.CutPrefix(c.do(cmd, 150).Lines[0], "FILE: ")
		if !ok {
			t.Fatal("the reply has no name")
		}
		write(t, data, "x")
		data.Close()
		c.want(226)
		r.has(name, "x")
	}
}

// TestDiskFull is a file system without room.
func TestDiskFull(t *testing.T) {
	r := newRig(t, &Server{})
	r.user.FS = fullFS{r.user.FS}
	c := r.in()
	c.put("STOR a", "x", 452)
	c.do("NOOP", 200)
}

type fullFS struct{ FileSystem }

func (f fullFS) Create(name string, how Creation) (File, error) {
	file, err := f.FileSystem.Create(name, how)
	return fullFile{file}, err
}

type fullFile struct{ File }

func (fullFile) Write([]byte) (int, error) { return 0, fmt.Errorf("write: %w", ErrNoSpace) }

// TestNotRegular opens what would have it wait, or worse.
func TestNotRegular(t *testing.T) {
	r := newRig(t, &Server{})
	if err := mkfifo(filepath.Join(r.dir, "fifo")); err != nil {
		t.Skip("no FIFOs here:", err)
	}
	if err := os.Symlink("fifo", filepath.Join(r.dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(r.dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := r.in()
	for _, name := range []string{"fifo", "link", "d"} {
		for _, cmd := range []string{"RETR", "STOR", "APPE", "SIZE", "MDTM"} {
			c.passive()
			c.do(cmd+" "+name, 550)
		}
	}
	if !strings.HasPrefix(c.get("LIST fifo"), "prw") {
		t.Error("LIST does not tell what it is")
	}
}

// TestImplicitSilence does not begin TLS, where it has to.
func TestImplicitSilence(t *testing.T) {
	cert, _ := newCert(t)
	r := newRig(t, &Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Implicit: true,
		Limits: Limits{DataWait: 50 * time.Millisecond, LoginTime: 100 * time.Millisecond}})
	c := dialTalk(t, r.addr)
	if _, err := c.r.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a client that is silent: %v", err)
	}
	c = dialTalk(t, r.addr)
	c.send("USER joe\r\n")
	if b, err := io.ReadAll(c.nc); errors.Is(err, os.ErrDeadlineExceeded) || len(b) > 0 && b[0] != 21 {
		t.Errorf("a client in plain text: %q, %v", b, err) // an alert may come
	}
}
