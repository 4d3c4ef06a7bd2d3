package smtp

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// plainFor is for store.auth: PLAIN, LOGIN, XOAUTH2 and SCRAM-SHA-256 for one user.
func plainFor(user, password string) func(string) (Exchange, error) {
	check := func(_ context.Context, u, p string) error {
		if u != user || p != password {
			return ErrCredentials
		}
		return nil
	}
	return func(mechanism string) (Exchange, error) {
		switch mechanism {
		case "PLAIN":
			return PlainServer(func(ctx context.Context, identity, u, p string) error {
				if identity != "" && identity != u {
					return &Error{535, Enhanced{5, 7, 8}, "not as somebody else"}
				}
				return check(ctx, u, p)
			}), nil
		case "LOGIN":
			return LoginServer(check), nil
		case "XOAUTH2":
			return XOAuth2Server(check), nil
		case ScramName:
			return ScramServer(func(_ context.Context, _, u string) (ScramSecret, error) {
				s, err := NewScramSecret(password, 4096)
				if u != user {
					s.StoredKey = make([]byte, 32) // nobody knows the password of this one
				}
				return s, err
			}), nil
		}
		return nil, errors.New("it was not offered")
	}
}

var allMechanisms = []string{"PLAIN", "LOGIN", "XOAUTH2", ScramName}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// logins are what may be said in an authentication. Each has a connection of its own.
var logins = []struct {
	name  string
	lines []line
}{
	{"PLAIN", []line{{"AUTH PLAIN " + b64("\x00u\x00p"), "235 2.7.0"}, {"AUTH PLAIN", "503"},
		{"MAIL FROM:<> AUTH=a", "250"}}},
	{"PLAIN as oneself", []line{{"AUTH PLAIN " + b64("u\x00u\x00p"), "235"}}},
	{"PLAIN as another", []line{{"AUTH PLAIN " + b64("v\x00u\x00p"), "535 5.7.8 not as"}}},
	{"PLAIN in two steps", []line{{"auth plain", "334 "}, {b64("\x00u\x00p"), "235"}}},
	{"PLAIN, wrong", []line{{"AUTH PLAIN " + b64("\x00u\x00q"), "535 5.7.8"}, {"AUTH PLAIN " + b64("\x00u\x00p"), "235"}}},
	{"PLAIN, not that", []line{{"AUTH PLAIN =", "501"}, {"AUTH PLAIN " + b64("u\x00p"), "501"}}},
	{"PLAIN, no base64", []line{{"AUTH PLAIN AAA", "501 5.5.2"}, {"AUTH PLAIN =AAA", "501"}}},
	{"PLAIN, base64 with something in it", []line{{"AUTH PLAIN AHUAcA =", "501"}, {"AUTH PLAIN AHUAcA==x", "501"}}},
	{"PLAIN, base64 with bits left over", []line{{"AUTH PLAIN AHUAcB==", "501"}}},
	{"cancelled", []line{{"AUTH PLAIN", "334 "}, {"*", "501"}, {"NOOP", "250"},
		{"AUTH PLAIN " + b64("\x00u\x00p"), "235"}}},
	{"a command in place of a response", []line{{"AUTH PLAIN", "334 "}, {"MAIL FROM:<>", "501 5.5.2"}, {"NOOP", "250"}}},
	{"LOGIN", []line{{"AUTH LOGIN", "334 " + b64("Username:")}, {b64("u"), "334 " + b64("Password:")}, {b64("p"), "235"}}},
	{"LOGIN with the name", []line{{"AUTH LOGIN " + b64("u"), "334 UGFzc3dvcmQ6"}, {b64("p"), "235"}}},
	{"LOGIN, wrong", []line{{"AUTH LOGIN " + b64("u"), "334 "}, {b64("q"), "535"}, {"NOOP", "250"}}},
	{"LOGIN with empty lines", []line{{"AUTH LOGIN", "334 "}, {"", "334 "}, {"", "535"}}},
	{"XOAUTH2", []line{{"AUTH XOAUTH2 " + b64("user=u\x01auth=Bearer p\x01\x01"), "235"}}},
	{"XOAUTH2, wrong", []line{{"AUTH XOAUTH2 " + b64("user=u\x01auth=Bearer q\x01\x01"), "334 eyJ"}, {"", "535"}}},
	{"XOAUTH2, not that", []line{{"AUTH XOAUTH2 " + b64("user=u\x01auth=Basic q\x01\x01"), "501"},
		{"AUTH XOAUTH2 " + b64("u"), "501"}}},
	{"SCRAM, wrong from the beginning", []line{{"AUTH SCRAM-SHA-256 " + b64("p=tls-unique,,n=u,r=a"), "501"},
		{"AUTH SCRAM-SHA-256 " + b64("n,,n=u=,r=a"), "501"}}},
	{"SCRAM, wrong later", []line{{"AUTH SCRAM-SHA-256 " + b64("n,,n=u,r=a"), "334 "}, {b64("c=biws,r=a,p=AAAA"), "501"}}},
	{"three tries", []line{{"AUTH PLAIN AA==", "501"}, {"AUTH LOGIN AA==", "334"}, {"AA==", "535"},
		{"AUTH PLAIN AA==", "501"},
		{"", "421 4.7.0"}, {"", ""}}},
	{"another mechanism", []line{{"AUTH CRAM-MD5", "504 5.5.4"}, {"AUTH", "501"}, {"AUTH PLAIN-", "504"}}},
	{"in a message", []line{{"MAIL FROM:<>", "250"}, {"AUTH PLAIN " + b64("\x00u\x00p"), "503"}}},
	{"behind HELO", []line{{"HELO x.example", "250"}, {"AUTH PLAIN " + b64("\x00u\x00p"), "503"}}},
	{"a line that is too long", []line{{"AUTH PLAIN", "334 "}, {strings.Repeat("A", 12284), "501"}, {"AUTH PLAIN", "334"},
		{strings.Repeat("A", 12288), "500 5.5.6"}, {"NOOP", "250"}}},
}

// TestAuth holds them.
func TestAuth(t *testing.T) {
	t.Parallel()
	for _, row := range logins {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			st := &store{names: allMechanisms, auth: plainFor("u", "p")}
			k := hello(t, serve(t, &Server{Backend: st, PlainAuth: true}))
			for i, l := range row.lines {
				if l.want != "" && (l.want != "421 4.7.0" || i == 0) {
					k.send(l.say + "\r\n")
				}
				k.want(l.want)
			}
		})
	}
}

// TestAuthParam: who has logged in may say who sent a message.
func TestAuthParam(t *testing.T) {
	t.Parallel()
	st := &store{names: allMechanisms, auth: plainFor("u", "p")}
	k := hello(t, serve(t, &Server{Backend: st, PlainAuth: true, NeedAuth: true}))
	k.say("MAIL FROM:<>", "530 5.7.0")
	k.say("AUTH PLAIN "+b64("\x00u\x00p"), "235")
	k.say("EHLO x.example", "250-localhost/250-PIPELINING/250-SIZE 33554432/250-8BITMIME/250-ENHANCEDSTATUSCODES/"+
		"250-CHUNKING/250 LIMITS")
	k.say("MAIL FROM:<> AUTH=a+2Bb@x.example", "250")
	k.say("RCPT TO:<a@x.example>", "250")
	k.say("DATA", "354")
	k.say(".", "250")
	letters, _ := st.got()
	if len(letters) != 1 || letters[0].mail.Auth == nil || letters[0].mail.Auth.Mailbox != "a+b@x.example" ||
		letters[0].proto != "ESMTPA" {
		t.Errorf("it got %+v", letters)
	}
}

// TestScramExample is the exchange of RFC 7677, section 3.
func TestScramExample(t *testing.T) {
	const (
		nonce  = "rOprNGfwEbeRWgbNEkqO"
		first  = "n,,n=user,r=" + nonce
		answer = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
		final  = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
			"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
		proof = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	)
	c := &scramClient{user: "user", password: "pencil", random: func() string { return nonce }}
	name, got, err := c.Start(true)
	if name != ScramName || string(got) != first || err != nil {
		t.Errorf("Start: %s, %q, %v", name, got, err)
	}
	if got, err = c.Next([]byte(answer)); string(got) != final || err != nil {
		t.Errorf("Next: %q, %v", got, err)
	}
	if err := c.Done(); err == nil {
		t.Error("the server has proved nothing yet")
	}
	if got, err = c.Next([]byte(proof)); len(got) > 0 || err != nil {
		t.Errorf("Next: %q, %v", got, err)
	}
	if err := c.Done(); err != nil {
		t.Errorf("Done: %v", err)
	}
	salt, _ := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	s := &scramServer{random: func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" },
		secret: func(context.Context, string, string) (ScramSecret, error) { return scramSecret("pencil", salt, 4096) }}
	for _, row := range []struct{ say, want string }{{first, answer}, {final, proof}} {
		if got, done, err := s.Next(t.Context(), []byte(row.say)); string(got) != row.want || done || err != nil {
			t.Errorf("%q is answered with %q, %v, %v", row.say, got, done, err)
		}
	}
	if _, done, err := s.Next(t.Context(), []byte{}); !done || err != nil {
		t.Errorf("the end: %v, %v", done, err)
	}
}

// TestScramServerLies: a client is not content with a server that does not know the password, or asks for too little or
// too much.
func TestScramServerLies(t *testing.T) {
	for _, challenge := range []string{
		"r=x,s=AAAA,i=4096",           // another nonce
		"r=nonce,s=AAAA,i=4096",       // none of its own
		"r=nonceX,s=AAAA,i=4095",      // too few iterations
		"r=nonceX,s=AAAA,i=0",         //
		"r=nonceX,s=AAAA,i=100000000", // as many as keep a client busy
		"r=nonceX,s=A,i=4096", "r=nonceX,i=4096,s=AAAA", "r=nonceX,s=AAAA", "m=x,r=nonceX,s=AAAA,i=4096", "", "e=other-error",
	} {
		c := &scramClient{user: "u", password: "p", random: func() string { return "nonce" }}
		_, _, _ = c.Start(false)
		if got, err := c.Next([]byte(challenge)); err == nil {
			t.Errorf("%q is answered with %q", challenge, got)
		}
	}
	for _, proof := range []string{"v=AAAA", "", "e=invalid-proof", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="} {
		c := &scramClient{user: "u", password: "p", random: func() string { return "nonce" }}
		_, _, _ = c.Start(false)
		if _, err := c.Next([]byte("r=nonceX,s=AAAA,i=4096")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Next([]byte(proof)); err == nil || c.Done() == nil {
			t.Errorf("%q is a proof", proof)
		}
	}
}

// TestScramEscapes: names with commas and equals signs.
func TestScramEscapes(t *testing.T) {
	for _, s := range []string{"a", "a,b=c", "=2C", ",,", "=="} {
		if got, ok := scramUnescape(scramEscape(s)); got != s || !ok {
			t.Errorf("%q becomes %q, %v", s, got, ok)
		}
	}
	for _, s := range []string{"=", "a=2", "=2c", "=3d", "a,b", "=00"} {
		if got, ok := scramUnescape(s); ok {
			t.Errorf("%q is %q", s, got)
		}
	}
}

// TestLogins: our client with each mechanism at our server.
func TestLogins(t *testing.T) {
	t.Parallel()
	st := &store{names: allMechanisms, auth: plainFor("u,=", "p")}
	cfg, ccfg := testTLS()
	addr := serve(t, &Server{Backend: st, TLS: cfg})
	for _, row := range []struct {
		name string
		who  func(password string) Credential
	}{
		{"PLAIN", func(p string) Credential { return Plain("", "u,=", p) }},
		{"LOGIN", func(p string) Credential { return Login("u,=", p) }},
		{"XOAUTH2", func(p string) Credential { return XOAuth2("u,=", p) }},
		{"SCRAM", func(p string) Credential { return Scram("", "u,=", p) }},
		{"SCRAM as another", func(p string) Credential { return Scram("x,y", "u,=", p) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			o := DialOptions{TLS: ccfg, Auth: row.who("q")}
			_, err := reach(t.Context(), addr, o)
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != 535 {
				t.Errorf("with a wrong password: %v", err)
			}
			o.Auth = row.who("p")
			c, err := reach(t.Context(), addr, o)
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Quit(t.Context())
		})
	}
	_, err := reach(t.Context(), addr, DialOptions{Security: NoTLS, Auth: Plain("", "u", "p")})
	if err != ErrPlainPassword {
		t.Errorf("without TLS: %v", err)
	}
}
