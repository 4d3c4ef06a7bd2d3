package smtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
)

// TestHalves: a session, cut into two anywhere, is answered as a whole is.
func TestHalves(t *testing.T) {
	t.Parallel()
	stream := envelope + "NOOP\r\nDATA\r\n..text\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.example>\r\n" +
		chunk("a\r\n", false) + chunk("", false) + chunk("b", true) + "AUTH PLAIN\r\n*\r\nRSET\r\nFOO\r\nVRFY x\r\nQUIT\r\n"
	run := func(pieces ...string) (string, []letter) {
		st := &store{names: allMechanisms, auth: plainFor("u", "p")}
		answers := converse(t, &Server{Backend: st, PlainAuth: true}, pieces...)
		letters, _ := st.got()
		return answers, letters
	}
	want, letters := run(stream)
	if len(letters) != 2 || letters[0].text != ".text\r\n" || letters[1].text != "a\r\nb" ||
		strings.Count(want, "\r\n") < 20 {
		t.Fatalf("as a whole: %q, %+v", want, letters)
	}
	for cut := range stream {
		got, letters := run(stream[:cut], stream[cut:])
		if got != want || len(letters) != 2 || letters[0].text != ".text\r\n" || letters[1].text != "a\r\nb" {
			t.Errorf("cut at %d: %q, %+v", cut, got, letters)
		}
	}
	if got, _ := run(strings.Split(stream, "")...); got != want {
		t.Errorf("byte by byte: %q", got)
	}
}

// TestBinary: any bytes come through as they are (RFC 3030, section 3), in one chunk or many.
func TestBinary(t *testing.T) {
	t.Parallel()
	st := new(store)
	c := connect(t, serve(t, &Server{Backend: st, Binary: true}), ClientOptions{})
	for i, text := range [][]byte{nil, {0, '\r', '\n', '.', '\r', '\n', '\n', '\r'},
		bytes.Repeat([]byte{0, 255, '\n', '.'}, 100_000)} {
		m := &Message{To: to("b"), MailOptions: MailOptions{Body: BodyBinary}, Data: bytes.NewReader(text)}
		if _, err := c.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		letters, _ := st.got()
		if l := letters[len(letters)-1]; len(letters) != i+1 || l.text != string(text) || l.mail.Body != BodyBinary {
			t.Errorf("%d bytes are %d, %v", len(text), len(l.text), l.mail.Body)
		}
	}
}

// TestLongToken: what is too long for the line of AUTH is sent behind it (RFC 4954, section 4).
func TestLongToken(t *testing.T) {
	t.Parallel()
	for _, n := range []int{10, 300, 500, 8000} {
		token := strings.Repeat("t", n)
		st := &store{names: allMechanisms, auth: plainFor("u", token)}
		c := connect(t, serve(t, &Server{Backend: st, PlainAuth: true, Limits: Limits{Line: 512}}), ClientOptions{})
		for _, who := range []Credential{XOAuth2("u", "x"), XOAuth2("u", token)} {
			err := c.Auth(t.Context(), Unsafe(who))
			if e, ok := errors.AsType[*Error](err); err != nil && (!ok || e.Code != 535) {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
		if err := c.Noop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// saying is a Credential that says what a test wants.
type saying struct {
	first []byte
	heard []string
	next  []byte
}

func (s *saying) Start(bool) (string, []byte, error) { return "X", s.first, nil }

func (s *saying) Next(challenge []byte) ([]byte, error) {
	s.heard = append(s.heard, string(challenge))
	return s.next, nil
}

func (s *saying) Done() error { return nil }

// TestEmptyResponse: an initial response without a byte is =, and none is none; a later one without a byte is an empty
// line.
func TestEmptyResponse(t *testing.T) {
	t.Parallel()
	for want, first := range map[string][]byte{"AUTH X =": {}, "AUTH X": nil, "AUTH X YQ==": []byte("a")} {
		addr := scripted(t, func(k *talker) {
			k.greets("AUTH X")
			if got := k.line(); got != want {
				t.Errorf("the client says %q, want %q", got, want)
			}
			k.send("334 \r\n")
			if got := k.line(); got != "" {
				t.Errorf("the client says %q", got)
			}
			k.send("334 " + base64.StdEncoding.EncodeToString([]byte("more")) + "\r\n")
			k.heard("")
			k.send("235 ok\r\n")
		})
		who := &saying{first: first, next: []byte{}}
		err := connect(t, addr, ClientOptions{}).Auth(t.Context(), who)
		if err != nil || strings.Join(who.heard, "|") != "|more" {
			t.Errorf("%q: %v, %q", want, err, who.heard)
		}
	}
}

// TestBadChallenge: a challenge that is no base64, or that a mechanism has not, is answered with * (RFC 4954, section
// 4); one that comes for ever ends the connection.
func TestBadChallenge(t *testing.T) {
	t.Parallel()
	for _, challenge := range []string{"=AAA", "AAA", "AAA=BBB", "A A=", "AB=="} {
		addr := scripted(t, func(k *talker) {
			k.greets("AUTH X")
			k.heard("AUTH X")
			k.send("334 " + challenge + "\r\n")
			k.heard("*")
			k.send("501 as you like\r\n")
			k.heard("NOOP")
			k.send("250\r\n")
		})
		c := connect(t, addr, ClientOptions{})
		if err := c.Auth(t.Context(), &saying{next: []byte("x")}); err == nil {
			t.Errorf("%q is taken", challenge)
		}
		if err := c.Noop(t.Context()); err != nil {
			t.Errorf("%q: %v", challenge, err)
		}
	}
	addr := scripted(t, func(k *talker) {
		k.greets("AUTH X")
		for line := k.line(); line != "" && !strings.HasPrefix(line, " "); line = k.line() {
			k.send("334 YQ==\r\n")
		}
	})
	c := connect(t, addr, ClientOptions{})
	if err := c.Auth(t.Context(), &saying{next: []byte("x")}); err == nil || c.Noop(t.Context()) == nil {
		t.Errorf("it goes on: %v", err)
	}
}

// TestWrongName: a certificate for another name is none.
func TestWrongName(t *testing.T) {
	t.Parallel()
	cfg, ccfg := testTLS()
	addr := serve(t, &Server{Backend: new(store), TLS: cfg})
	other := ccfg.Clone()
	other.ServerName = "other.example"
	for _, security := range []Security{NeedStartTLS, MayStartTLS} {
		_, err := reach(t.Context(), addr, DialOptions{Security: security, TLS: other})
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
			t.Errorf("the name is wrong: %v", err)
		}
	}
	c, err := reach(t.Context(), addr, DialOptions{Security: MayStartTLS})
	if err != nil {
		t.Fatalf("nobody asks whose it is: %v", err)
	}
	if _, ok := c.TLS(); !ok {
		t.Error("there is no TLS")
	}
	_ = c.Quit(t.Context())
}

// TestScramASCII: what would have to be prepared is refused (RFC 5802, section 2.2).
func TestScramASCII(t *testing.T) {
	for _, who := range []Credential{Scram("", "\u00e4", "p"), Scram("", "u", "\u00e4"), Scram("\u00e4", "u", "p")} {
		if _, _, err := who.Start(false); err == nil {
			t.Errorf("%+v is taken", who)
		}
	}
	if _, err := NewScramSecret("\u00e4", 4096); err == nil {
		t.Error("a password is taken")
	}
	x := ScramServer(func(context.Context, string, string) (ScramSecret, error) { return ScramSecret{}, io.EOF })
	if _, _, err := x.Next(t.Context(), []byte("n,,n=\u00e4,r=a")); err != errScram {
		t.Errorf("a name: %v", err)
	}
}

// TestScramExtensions: those that are not known, and may be left out, are skipped on both sides.
func TestScramExtensions(t *testing.T) {
	s := &scramServer{random: func() string { return "B" },
		secret: func(context.Context, string, string) (ScramSecret, error) { return NewScramSecret("p", 4096) }}
	challenge, _, err := s.Next(t.Context(), []byte("n,,n=u,r=A,x=more"))
	if err != nil {
		t.Fatal(err)
	}
	c := &scramClient{user: "u", password: "p", random: func() string { return "A" }}
	_, _, _ = c.Start(false)
	if _, err := c.Next(append(challenge, ",y=more"...)); err != nil {
		t.Errorf("the client: %v", err)
	}
}

// TestUTF8Offered: parameters of the keyword are nothing (RFC 6531, section 3.1).
func TestUTF8Offered(t *testing.T) {
	t.Parallel()
	addr := scripted(t, func(k *talker) {
		k.greets("8BITMIME", "smtputf8 whatever")
		k.heard("MAIL FROM:<\u00e4@x.example> SMTPUTF8")
		k.send("550 no\r\n")
		k.heard("RSET")
		k.send("250\r\n")
	})
	c := connect(t, addr, ClientOptions{})
	m := &Message{From: Mailbox{"\u00e4", "x.example"}, To: to("b"), Data: strings.NewReader("x")}
	_, err := c.Send(t.Context(), m)
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != 550 {
		t.Errorf("Send: %v", err)
	}
}
