package smtp

import (
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"
)

// TestNeverSent: what must not be sent is not, be it in the message or in the envelope, and a message that can't be
// read twice is broken off without an end.
func TestNeverSent(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a\n", "a\r", "a\rb\r\n", "\n.\n", "a\r\n.\rMAIL\r\n", "a\r\r\n", "a\x00\r\n",
		strings.Repeat("x\r\n", 40000) + "\n.\r\n"} {
		for _, o := range []ClientOptions{{}, {Chunking: true}} {
			st := new(store)
			c := connect(t, serve(t, &Server{Backend: st}), o)
			_, err := c.Send(t.Context(), &Message{From: sender, To: to("b"), Data: strings.NewReader(text)})
			if e, ok := errors.AsType[*Error](err); !ok || e != ErrBareLF && e != ErrBareCR && e != ErrNUL {
				t.Errorf("%.50q: %v", text, err)
			}
			if _, said := st.got(); said != "new, hello localhost" {
				t.Errorf("%.50q: the calls are %s", text, said)
			}
			_, err = c.Send(t.Context(), &Message{From: sender, To: to("b"), Data: unseekable{strings.NewReader(text)}})
			if e, ok := errors.AsType[*Error](err); !ok || e != ErrBareLF && e != ErrBareCR && e != ErrNUL {
				t.Errorf("%.50q, once: %v", text, err)
			}
			_ = c.Close()
			if letters, _ := st.got(); len(letters) == 1 && letters[0].err == nil {
				t.Errorf("%.50q, once: it came: %.50q", text, letters[0].text)
			}
		}
	}
	c := connect(t, serve(t, &Server{Backend: new(store), DSN: true, UTF8: true}), ClientOptions{})
	bad := []Message{
		{From: Mailbox{"a\r\nRSET", "x.example"}}, {From: Mailbox{"a", "x.example>\r\nRSET"}}, {From: Mailbox{"a", ""}},
		{From: Mailbox{"a", "x.example> SIZE=1"}}, {From: Mailbox{"a\x00", "x.example"}}, {From: Mailbox{"", "x y"}},
		{To: []Recipient{{Mailbox: Mailbox{"a\n", "x.example"}}}}, {To: []Recipient{{}}},
		{To: []Recipient{{sender, RcptOptions{Original: "x", OriginalType: "a\r\n"}}}},
		{To: []Recipient{{sender, RcptOptions{Notify: NotifyNever | NotifyDelay}}}},
		{MailOptions: MailOptions{EnvelopeID: strings.Repeat("x", 101)}},
		{MailOptions: MailOptions{Auth: &AuthParam{strings.Repeat("x", 501)}}},
	}
	for _, m := range bad {
		if m.To == nil {
			m.To = to("b")
		}
		m.Data = strings.NewReader("x")
		if _, err := c.Send(t.Context(), &m); !errors.Is(err, ErrAddress) {
			t.Errorf("%+v: %v", m, err)
		}
	}
	if _, err := c.Send(t.Context(), &Message{Data: strings.NewReader("x")}); err == nil {
		t.Error("a message to nobody was sent")
	}
	if err := c.Noop(t.Context()); err != nil {
		t.Errorf("behind all that: %v", err)
	}
	_, err := reach(t.Context(), serve(t, new(Server)), DialOptions{ClientOptions: ClientOptions{Name: "x\r\nQUIT"}})
	if !errors.Is(err, ErrAddress) {
		t.Errorf("a name with a line end: %v", err)
	}
}

// TestNotOffered: what a server does not offer is found before anything is sent.
func TestNotOffered(t *testing.T) {
	t.Parallel()
	addr := scripted(t, func(k *talker) {
		k.greets("SIZE 10", "LIMITS MAILMAX=2 RCPTMAX=0")
		k.heard("") // the end
	})
	plain := func() io.Reader { return strings.NewReader("x\r\n") }
	for name, m := range map[string]*Message{
		"8BITMIME":   {To: to("b"), Data: strings.NewReader("\u00e4")},
		"8BITMIME ":  {To: to("b"), Data: plain(), MailOptions: MailOptions{Body: Body8Bit}},
		"SMTPUTF8":   {To: to("\u00e4"), Data: plain()},
		"SMTPUTF8 ":  {To: to("b"), From: Mailbox{"b", "\u00e4"}, Data: plain()},
		"SMTPUTF8  ": {To: to("b"), MailOptions: MailOptions{UTF8: true}, Data: plain()},
		"BINARYMIME": {To: to("b"), MailOptions: MailOptions{Body: BodyBinary}, Data: plain()},
	} {
		if _, err := connect(t, addr, ClientOptions{}).Send(t.Context(), m); !errors.Is(err, ErrNotOffered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := connect(t, addr, ClientOptions{})
	for want, m := range map[Enhanced]*Message{
		{5, 3, 4}:  {To: to("b"), Data: strings.NewReader("ten bytes.\r\n")},
		{5, 7, 10}: {To: to("b"), MailOptions: MailOptions{RequireTLS: true}, Data: plain()},
	} {
		_, err := c.Send(t.Context(), m)
		if e, ok := errors.AsType[*Error](err); !ok || e.Enhanced != want {
			t.Errorf("%v: %v", want, err)
		}
	}
	if err := c.Auth(t.Context(), Unsafe(Plain("", "u", "p"))); !errors.Is(err, ErrNotOffered) {
		t.Errorf("AUTH: %v", err)
	}
	_, err := reach(t.Context(), addr, DialOptions{})
	if !errors.Is(err, ErrNotOffered) {
		t.Errorf("STARTTLS: %v", err)
	}
	c, err = reach(t.Context(), addr, DialOptions{Security: MayStartTLS})
	if err != nil {
		t.Fatalf("STARTTLS if it may be: %v", err)
	}
	_ = c.Close()
}

// TestEightBitUnseen: bytes over 127 in a message that can't be read twice break it off where the server has no
// 8BITMIME.
func TestEightBitUnseen(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	addr := scripted(t, func(k *talker) {
		k.greets()
		k.heard("MAIL FROM:<>")
		k.send("250 \r\n")
		k.heard("RCPT TO:<b@x.example>")
		k.send("250\r\n")
		k.heard("DATA")
		k.send("354 \r\n")
		b, _ := io.ReadAll(k.r)
		got <- string(b)
	})
	c := connect(t, addr, ClientOptions{})
	_, err := c.Send(t.Context(), &Message{To: to("b"), Data: unseekable{strings.NewReader("a\r\n\u00e4\r\n")}})
	if !errors.Is(err, ErrNotOffered) {
		t.Errorf("Send: %v", err)
	}
	if s := <-got; strings.Contains(s, ".\r\n") || !isASCII(s) {
		t.Errorf("the server got %q", s)
	}
	if err := c.Noop(t.Context()); err == nil {
		t.Error("the connection is used again")
	}
}

// TestRequireTLS: a message that is to go by TLS alone goes to a server whose certificate was verified, and that offers
// it (RFC 8689, section 4.2.1).
func TestRequireTLS(t *testing.T) {
	t.Parallel()
	cfg, ccfg := testTLS()
	st := new(store)
	addr := serve(t, &Server{Backend: st, TLS: cfg, RequireTLS: true})
	other := serve(t, &Server{Backend: st, TLS: cfg})
	for _, row := range []struct {
		addr string
		cfg  *tls.Config
		want Enhanced
	}{
		{addr, ccfg, Enhanced{}}, {addr, &tls.Config{InsecureSkipVerify: true}, Enhanced{5, 7, 10}},
		{other, ccfg, Enhanced{5, 7, 30}},
	} {
		c, err := reach(t.Context(), row.addr, DialOptions{TLS: row.cfg})
		if err != nil {
			t.Fatal(err)
		}
		m := &Message{To: to("b"), MailOptions: MailOptions{RequireTLS: true}, Data: strings.NewReader("x")}
		_, err = c.Send(t.Context(), m)
		if e, ok := errors.AsType[*Error](err); ok && e.Enhanced != row.want || ok != (row.want[0] > 0) || !ok && err != nil {
			t.Errorf("%v: %v", row.want, err)
		}
		_ = c.Quit(t.Context())
	}
	if letters, _ := st.got(); len(letters) != 1 || !letters[0].mail.RequireTLS {
		t.Errorf("it got %+v", letters)
	}
}

// TestSomeRecipients: a message is sent to those that the server takes; the others have its answers.
func TestSomeRecipients(t *testing.T) {
	t.Parallel()
	for _, o := range []ClientOptions{{}, {NoPipelining: true}, {Chunking: true}} {
		st := &store{rcpt: func(m Mailbox) error {
			if strings.HasPrefix(m.Local, "no") {
				return &Error{550, Enhanced{5, 1, 1}, "no such user"}
			}
			return nil
		}}
		c := connect(t, serve(t, &Server{Backend: st, Limits: Limits{Recipients: 3}}), o)
		m := &Message{From: sender, To: to("b", "nobody", "c", "d", "e"), Data: strings.NewReader("x\r\n")}
		receipt, err := c.Send(t.Context(), m)
		if err != nil || receipt.Taken() != 2 || receipt.Errors[0] != nil || receipt.Errors[2] != nil {
			t.Errorf("%+v: %v, %+v", o, err, receipt)
		}
		if e, ok := errors.AsType[*Error](receipt.Errors[1]); !ok || e.Enhanced != (Enhanced{5, 1, 1}) {
			t.Errorf("%+v: %+v", o, receipt)
		}
		if receipt.Errors[3] != ErrRecipients || receipt.Errors[4] != ErrRecipients { // RFC 9422: not tried
			t.Errorf("%+v: %+v", o, receipt)
		}
		m.To, m.Data = to("nobody", "no"), strings.NewReader("x\r\n")
		receipt, err = c.Send(t.Context(), m)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != 550 || receipt.Taken() != 0 {
			t.Errorf("%+v, to nobody: %v, %+v", o, err, receipt)
		}
		m.To, m.Data = to("b"), strings.NewReader("x\r\n")
		if _, err = c.Send(t.Context(), m); err != nil {
			t.Errorf("%+v, behind that: %v", o, err)
		}
		if letters, _ := st.got(); len(letters) != 2 || len(letters[0].to) != 2 {
			t.Errorf("%+v: it got %+v", o, letters)
		}
	}
}

// TestRefusedWhole: MAIL, DATA and the message refused.
func TestRefusedWhole(t *testing.T) {
	t.Parallel()
	no := &Error{554, Enhanced{5, 7, 1}, "no"}
	for name, st := range map[string]*store{
		"mail": {mail: func(m Mailbox) error {
			if m.IsNull() {
				return nil
			}
			return no
		}},
		"data": {data: func(s *storing, r io.Reader) (string, error) {
			if s.l.from.IsNull() {
				return "", s.keep(r)
			}
			return "", no
		}},
	} {
		for _, o := range []ClientOptions{{}, {NoPipelining: true}, {Chunking: true}} {
			c := connect(t, serve(t, &Server{Backend: st}), o)
			receipt, err := c.Send(t.Context(), &Message{From: sender, To: to("b", "c"), Data: strings.NewReader("x")})
			if e, ok := errors.AsType[*Error](err); !ok || *e != *no || receipt.Taken() != 0 {
				t.Errorf("%s, %+v: %v, %+v", name, o, err, receipt)
			}
			if _, err := c.Send(t.Context(), &Message{To: to("b"), Data: strings.NewReader("x")}); err != nil {
				t.Errorf("%s, %+v, behind that: %v", name, o, err)
			}
		}
	}
}

// TestNobodyAnd354: a server that wants the message though it has taken no recipient gets an empty one (RFC 2920,
// section 3.1).
func TestNobodyAnd354(t *testing.T) {
	t.Parallel()
	addr := scripted(t, func(k *talker) {
		k.greets("PIPELINING")
		k.heard("MAIL", "RCPT", "DATA")
		k.send("250\r\n550 no\r\n354\r\n")
		k.heard(".")
		k.send("554 no valid recipients\r\n")
		k.heard("RSET")
		k.send("250\r\n")
		k.heard("NOOP")
		k.send("250\r\n")
	})
	c := connect(t, addr, ClientOptions{})
	_, err := c.Send(t.Context(), &Message{From: sender, To: to("b"), Data: strings.NewReader("x\r\n")})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != 550 {
		t.Errorf("Send: %v", err)
	}
	if err := c.Noop(t.Context()); err != nil {
		t.Errorf("Noop: %v", err)
	}
}

// TestMailMax: a server says how many messages it takes (RFC 9422).
func TestMailMax(t *testing.T) {
	t.Parallel()
	c := connect(t, serve(t, &Server{Backend: new(store), Limits: Limits{Messages: 2, Domains: 1}}), ClientOptions{})
	for i, want := range []error{nil, nil, ErrNoRoom} {
		m := &Message{To: append(to("b"), Recipient{Mailbox: Mailbox{"b", "y.example"}}), Data: strings.NewReader("x")}
		r, err := c.Send(t.Context(), m)
		if err != want || err == nil && r.Errors[1] != ErrDomains {
			t.Errorf("message %d: %v, %+v", i, err, r)
		}
	}
}

// TestRefusedMidway: a server that answers and closes while the message is being sent is heard.
func TestRefusedMidway(t *testing.T) {
	t.Parallel()
	addr := serve(t, &Server{Backend: new(store), Limits: Limits{Message: 1000, Discard: 1 << 20}})
	c := connect(t, addr, ClientOptions{})
	body := unseekable{io.LimitReader(lines{}, 64<<20)}
	_, err := c.Send(t.Context(), &Message{To: to("b"), Data: body})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != 552 {
		t.Errorf("Send: %v", err)
	}
}

// lines are text without end.
type lines struct{}

func (lines) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "x\r\n"[i%3]
	}
	return len(p) - len(p)%3, nil
}
