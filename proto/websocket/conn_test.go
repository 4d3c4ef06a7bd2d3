package websocket

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/stage"
)

// A halfCloser is a connection whose sending half can be ended alone, and which can be reset.
type halfCloser interface {
	net.Conn
	CloseWrite() error
	SetLinger(sec int) error
}

// tcp is a connection over loopback, or in a lab.
func tcp(t *testing.T) (server, client halfCloser) {
	t.Helper()
	ln, err := stage.Listen(t)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := stage.Dial(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); c.Close() })
	return s.(halfCloser), c.(halfCloser)
}

// pair are both sides, which have agreed on c.
func pair(t *testing.T, c *Compression, server, client *Options) (s, cl *Conn) {
	t.Helper()
	a, b := tcp(t)
	mirror := c
	if c != nil {
		mirror = &Compression{c.ReceiveWindow, c.SendWindow, c.ReceiveBits, c.SendBits}
	}
	return NewConn(a, Server, &Agreement{Compression: c}, nil, patient(server)),
		NewConn(b, Client, &Agreement{Compression: mirror}, nil, patient(client))
}

// patient are options for a machine that others use too.
func patient(o *Options) *Options {
	if o == nil {
		o = new(Options)
	}
	o.CloseWait, o.HandshakeWait = time.Minute, time.Minute
	return o
}

// echo answers each message with the same, and returns why it ended.
func echo(c *Conn) error {
	for {
		op, msg, err := c.ReadMessage()
		if err != nil {
			return err
		}
		if err := c.WriteMessage(op, msg); err != nil {
			return err
		}
	}
}

// answers is what a server has to send where it is told want, when each message is echoed.
func answers(want string) string {
	var out strings.Builder
	for line := range strings.Lines(want) {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "ping":
			out.WriteString("pong " + rest)
		case "pong":
		case "close":
			code, _, _ := strings.Cut(rest, " ")
			fmt.Fprintf(&out, "close %s \"\"\n", code)
		case "error":
			for _, e := range []*Error{ErrReservedBit, ErrOpcode, ErrUnmasked, ErrLength, ErrControlLong,
				ErrControlSplit, ErrNotBegun, ErrNotEnded, ErrCloseShort, ErrCloseCode, ErrCloseReason, ErrText, ErrTooBig} {
				if line == refused(e) {
					fmt.Fprintf(&out, "close %d %q\n", e.Code, e.What)
				}
			}
		default:
			out.WriteString(line)
		}
	}
	return out.String()
}

// exchange is what a client sends to an echo, a close at the end if there is none, and what it is to be told.
func (c *framingCase) exchange() (in, want string) {
	in, want = c.in(Server), answers(c.want)
	if !strings.Contains(want, "close") {
		in += frame(Server, 0x88, "\x03\xe8")
		want += "close 1000 \"\"\n"
	}
	return in, want
}

// TestEcho has the cases of the parser answered by a server: messages by the same, pings by pongs, closes by
// closes, and what is wrong by its code.
func TestEcho(t *testing.T) {
	t.Parallel()
	for i, c := range framingCases() {
		if strings.HasPrefix(c.name, "6") && i%7 > 0 { // the texts are the parser's
			continue
		}
		s, client := tcp(t)
		served := make(chan error, 1)
		go func() { served <- echo(NewConn(s, Server, new(Agreement), nil, patient(nil))) }()
		in, want := c.exchange()
		piece := 1 + len(in)/20
		go func() {
			for len(in) > 0 {
				n := min(len(in), piece)
				if _, err := client.Write([]byte(in[:n])); err != nil {
					return // a server that refuses does not read all
				}
				in = in[n:]
			}
		}()
		out, err := io.ReadAll(client)
		client.Close()
		if got := tell(&Parser{Side: Client, Limits: limits}, string(out), len(out)+1); err != nil || got != want {
			t.Errorf("%s: the server sent %v\n%swant\n%s", c.name, err, got, want)
		}
		if err := <-served; err == nil {
			t.Errorf("%s: the server did not end", c.name)
		}
	}
}

// TestMessages sends messages of all sizes both ways, over each agreement, whole, streamed and prepared.
func TestMessages(t *testing.T) {
	t.Parallel()
	agreements := map[string]*Compression{"plain": nil, "kept": kept, "narrow": {SendBits: 9, ReceiveBits: 10}}
	for name, agreed := range agreements {
		s, c := pair(t, agreed, nil, nil)
		served := make(chan error, 1)
		go func() { served <- echo(s) }()
		for i, size := range []int{0, 1, 125, 126, 300, 5000, 65535, 65536, 300_000, 300, 7, 20_000, 300} {
			msg := []byte(strings.Repeat("0123456789 äöü ", size/18+1)[:size/18*18])
			sent := make(chan error, 1)
			go func() { sent <- send(c, i%3, msg) }()
			op, got, err := receive(c, i%2)
			if err != nil || op != Text || !bytes.Equal(got, msg) {
				t.Fatalf("%s: message %d of %d bytes: %v, %d bytes, %v", name, i, size, op, len(got), err)
			}
			if err := <-sent; err != nil {
				t.Fatalf("%s: message %d: %v", name, i, err)
			}
		}
		if err := c.Close(Normal, "bye"); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
		if e := new(CloseError); !errors.As(<-served, &e) || e.Code != Normal || e.Reason != "bye" {
			t.Errorf("%s: the server was told %+v", name, e)
		}
	}
}

func send(c *Conn, way int, msg []byte) error {
	switch way {
	case 0:
		return c.WriteMessage(Text, msg)
	case 1:
		p, err := Prepare(Text, msg, nil)
		return errors.Join(err, c.WritePrepared(p))
	}
	w, err := c.NextWriter(Text)
	if err != nil {
		return err
	}
	for rest := msg; len(rest) > 0; {
		n := min(len(rest), 777)
		if _, err := w.Write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return w.Close()
}

func receive(c *Conn, way int) (Opcode, []byte, error) {
	if way == 0 {
		return c.ReadMessage()
	}
	op, r, err := c.NextReader()
	if err != nil {
		return 0, nil, err
	}
	msg, err := io.ReadAll(r)
	return op, msg, err
}

// TestPreparedOnce holds that a server compresses a message for many once, and that those with a window go on
// behind it.
func TestPreparedOnce(t *testing.T) {
	msg := []byte(strings.Repeat("a prepared message. ", 100))
	p, err := Prepare(Text, msg, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := p.Frame(kept)
	other := []byte(strings.Repeat("0123456789 abcdefgh ", 20)) // short the second time, by the window
	for range 3 {
		s, c := pair(t, kept, nil, nil)
		sent := make(chan error, 1)
		go func() {
			sent <- errors.Join(s.WriteMessage(Text, other), s.WritePrepared(p), s.WriteMessage(Text, other))
		}()
		for _, want := range [][]byte{other, msg, other} {
			if _, got, err := c.ReadMessage(); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%q, %v", got, err)
			}
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	if again := p.Frame(kept); &again[0] != &first[0] || first[0] != 0xc1 || len(first) > len(msg)/4 {
		t.Errorf("a frame of %d bytes, which was made anew: %v", len(first), &again[0] != &first[0])
	}
	if plain := p.Frame(nil); plain[0] != 0x81 {
		t.Errorf("without compression the frame begins with %#x", plain[0])
	}
	if narrow := p.Frame(&Compression{SendBits: 8}); narrow[0] != 0x81 {
		t.Errorf("for a window that is shorter than the message the frame begins with %#x", narrow[0])
	}
}

// TestSkipped holds that a message that was not read to its end is skipped, compressed or not, and its reader says so.
func TestSkipped(t *testing.T) {
	for _, agreed := range []*Compression{nil, kept} {
		s, c := pair(t, agreed, nil, nil)
		msg := []byte(strings.Repeat("abc", 1000))
		go func() {
			s.WriteMessage(Text, msg)
			s.WriteMessage(Text, msg)
		}()
		_, r, err := c.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.ReadMessage(); err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if _, err := r.Read(make([]byte, 1)); err == nil {
			t.Error("the reader of a message that was skipped goes on")
		}
	}
}

// TestReadDeadline holds that a deadline in the midst of a message loses nothing.
func TestReadDeadline(t *testing.T) {
	s, raw := tcp(t)
	c := NewConn(s, Server, new(Agreement), nil, nil)
	in := []byte(frame(Server, 0x01, "ab") + frame(Server, 0x80, "cd"))
	for i := range in {
		if _, err := raw.Write(in[i : i+1]); err != nil {
			t.Fatal(err)
		}
		if i == len(in)-1 {
			break
		}
		c.SetReadDeadline(time.Now())
		if _, _, err := c.ReadMessage(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("after %d bytes: %v", i+1, err)
		}
	}
	c.SetReadDeadline(time.Time{})
	if _, msg, err := c.ReadMessage(); err != nil || string(msg) != "abcd" {
		t.Errorf("%q, %v", msg, err)
	}
}

// TestWriters has many that write at once, whole and streamed messages and pings: none is mixed with another.
func TestWriters(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 20
	s, c := pair(t, kept, nil, nil)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			msg := []byte(strings.Repeat(string(rune('a'+i)), 3000))
			for j := range each {
				if err := errors.Join(send(s, j%3, msg), s.Ping([]byte("p"))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	count := map[byte]int{}
	for range writers * each {
		_, msg, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if len(msg) != 3000 || strings.Trim(string(msg), string(msg[:1])) != "" {
			t.Fatalf("a message of %d bytes is mixed", len(msg))
		}
		count[msg[0]]++
	}
	wg.Wait()
	for who, n := range count {
		if n != each {
			t.Errorf("%d messages of %c", n, who)
		}
	}
}

// TestUpgrade has net/http, and a client that sends its first frames with the head.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	o := patient(&Options{Protocols: []string{"chat"}, Deflate: &Deflate{}})
	served := make(chan error, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Upgrade(w, r, o)
		if err == nil {
			err = echo(c)
		}
		served <- err
	}))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")

	nc, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(nc, hello+"\r\n"+frame(Server, 0x81, "ahead")+frame(Server, 0x88, ""))
	br := bufio.NewReader(nc)
	if r, err := http.ReadResponse(br, nil); err != nil || r.StatusCode != 101 {
		t.Fatalf("%+v, %v", r, err)
	}
	out, err := io.ReadAll(br)
	if want := "\x81\x05ahead\x88\x00"; err != nil || string(out) != want {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
	nc.Close()
	if e := new(CloseError); !errors.As(<-served, &e) || e.Code != NoCode {
		t.Errorf("the server was told %v", e)
	}

	if nc, err = net.Dial("tcp", host); err != nil {
		t.Fatal(err)
	}
	c, err := Dial(nc, "ws://"+host+"/x", o)
	if err != nil {
		t.Fatal(err)
	}
	if c.Protocol() != "chat" || c.Compression() == nil {
		t.Errorf("agreed on %q, %+v", c.Protocol(), c.Compression())
	}
	if err := errors.Join(c.WriteMessage(Binary, []byte("x")), c.Close(GoingAway, "")); err != nil {
		t.Error(err)
	}
	if e := new(CloseError); !errors.As(<-served, &e) || e.Code != GoingAway {
		t.Errorf("the server was told %v", e)
	}

	for method, want := range map[string]int{"GET": 426, "POST": 405} {
		req, _ := http.NewRequest(method, srv.URL, nil)
		r, err := srv.Client().Do(req)
		if err != nil || r.StatusCode != want {
			t.Errorf("%s without an upgrade: %v, %v, want %d", method, r.Status, err, want)
		}
		r.Body.Close()
		if err := <-served; err == nil {
			t.Errorf("%s was upgraded", method)
		}
	}
}

// TestHandshakeEnds holds that a handshake that fails leaves no connection, and says why.
func TestHandshakeEnds(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     string // the beginning of the server's answer
	}{
		{"no HTTP", "\x16\x03\x01\x00", "HTTP/1.1 400 "},
		{"a head over the limit", "GET / HTTP/1.1\r\nHost: " + strings.Repeat("a", 20_000), "HTTP/1.1 431 "},
		{"another version", strings.Replace(hello, ": 13", ": 7", 1) + "\r\n", "HTTP/1.1 426 "},
		{"another page", hello + "Origin: http://evil\r\n\r\n", "HTTP/1.1 403 "},
		{"cut", hello, ""},
	} {
		s, client := tcp(t)
		done := make(chan error, 1)
		go func() {
			_, _, err := Accept(s, patient(nil))
			done <- err
		}()
		io.WriteString(client, c.in)
		client.CloseWrite()
		out, _ := io.ReadAll(client) // a reset is as good as an end
		if err := <-done; err == nil || !strings.HasPrefix(string(out), c.want) {
			t.Errorf("%s: %v, answered %q, want %q", c.name, err, out, c.want)
		}
	}
	s, client := tcp(t)
	go func() {
		http.ReadRequest(bufio.NewReader(s))
		io.WriteString(s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}()
	if _, err := Dial(client, "ws://a/", patient(nil)); !errors.Is(err, ErrNoSwitch) {
		t.Errorf("a server that knows no WebSocket: %v", err)
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is left open: %v", err)
	}
}
