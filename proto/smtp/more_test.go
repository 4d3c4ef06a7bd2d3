package smtp

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestRefusedAtOnce: a backend that wants no session (RFC 5321, section 3.1).
func TestRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err   error
		lines []line
	}{
		{&Error{554, Enhanced{5, 7, 1}, "go away"}, []line{{"", "554 5.7.1 go away"}, {"EHLO x.example", "503"},
			{"MAIL FROM:<>", "503"},
			{"QUIT", "221"}, {"", ""}}},
		{&Error{554, Enhanced{5, 7, 1}, "go away"}, []line{{"", "554"}, {"BDAT 9", "554"}, {"", ""}}},
		{&Error{450, Enhanced{4, 7, 1}, "go away"}, []line{{"", "554 5.0.0 go away"}, {"QUIT", "221"}}},
		{&Error{421, Enhanced{4, 7, 1}, "later"}, []line{{"", "421 4.7.1 later"}, {"", ""}}},
		{errors.New("no more descriptors"), []line{{"", "421 4.3.0"}, {"", ""}}},
		{ErrHangUp, []line{{"", ""}}},
	} {
		st := &store{session: func(Peer) error { return row.err }}
		k := dial(t, serve(t, &Server{Backend: st}))
		for _, l := range row.lines {
			if l.say != "" {
				k.send(l.say + "\r\n")
			}
			k.want(l.want)
		}
		if _, said := st.got(); said != "new" {
			t.Errorf("%v: the calls are %s", row.err, said)
		}
	}
}

// verifying is a session that answers VRFY.
type verifying struct{ *storing }

func (verifying) Verify(_ context.Context, who string) (string, Mailbox, error) {
	switch who {
	case "ann":
		return "Ann Other", Mailbox{"ann", "x.example"}, nil
	case "\u00e4nn":
		return "", Mailbox{"\u00e4nn", "x.example"}, nil
	}
	return "", Mailbox{}, &Error{550, Enhanced{5, 1, 1}, "no such user"}
}

// TestVerify: VRFY with a backend that answers it (RFC 5321, section 3.5; RFC 6531, section 3.7.4.2).
func TestVerify(t *testing.T) {
	t.Parallel()
	backend := BackendFunc(func(ctx context.Context, p Peer) (Session, error) {
		s, err := new(store).NewSession(ctx, p)
		return verifying{s.(*storing)}, err
	})
	k := hello(t, serve(t, &Server{Backend: backend, UTF8: true}))
	k.say("VRFY ann", "250 2.1.5 Ann Other <ann@x.example>")
	k.say("VRFY bob", "550 5.1.1")
	k.say("VRFY \u00e4nn", "252 2.6.8")
	k.say("VRFY \u00e4nn SMTPUTF8", "250 2.1.5 <\u00e4nn@x.example>")
}

// TestMailboxes: addresses, and how they are written.
func TestMailboxes(t *testing.T) {
	label := strings.Repeat("d", 63)
	for in, want := range map[string]string{
		"":              "",
		"a@b":           "a@b",
		"A.b+c@D.e":     "A.b+c@D.e",
		`"a"@b`:         "a@b",
		`"a\"\\ b"@c`:   `"a\"\\ b"@c`,
		`"a..b"@c`:      `"a..b"@c`,
		`"\a"@b`:        "a@b",
		`""@b`:          `""@b`,
		`"a@b>"@c`:      `"a@b>"@c`,
		"a@[192.0.2.1]": "a@[192.0.2.1]", "a@[IPv6:::1]": "a@[IPv6:::1]", "a@[tag:x]": "a@[tag:x]",
		"\u00e4@\u00e4": "\u00e4@\u00e4",
		"a@" + label:    "a@" + label,
		"@b":            "!", "a": "!", "a@": "!", "a@b.": "!", "a@.b": "!", ".a@b": "!", "a.@b": "!", "a..b@c": "!",
		"a b@c": "!",
		"a@b c": "!", "a@b_c": "!", "a@-b": "!", "a@b-": "!", "a@b\r\n": "!",
		"a\x00@b": "!", `"a`: "!", `"a"b@c`: "!", `"a\`: "!",
		"\"a\x01\"@b": "!", "a@[192.0.2]": "!", "a@[IPv6:x]": "!", "a@[::1]": "!", "a@[x": "!", "a@[]": "!",
		"a@[a:]": "!", "a@[:x]": "!",
		"a@[-:]]": "!", "a@[IPv6:fe80::1%x]": "!", "a@b@c": "!", "<a@b>": "!", "a\xff@b": "!", "a@\xff": "!",
		"a@d" + label: "!", "(a)@b": "!", "a@b>": "!",
	} {
		m, err := ParseMailbox(in)
		if got := m.String(); err != nil && want != "!" || err == nil && got != want {
			t.Errorf("%q is %q, %v; want %q", in, got, err, want)
		}
		if err == nil {
			if again, err := ParseMailbox(m.String()); again != m || err != nil || !m.valid() {
				t.Errorf("%q is %+v, and then %+v, %v; valid %v", in, m, again, err, m.valid())
			}
		}
	}
}

// TestPaths: paths with what stands behind them, and source routes (RFC 5321, appendix C).
func TestPaths(t *testing.T) {
	for in, want := range map[string]string{
		"<>": "", "<> x": "| x", "<a@b>": "a@b", "<a@b>x": "a@b|x", "<@c,@d.e:a@b>": "a@b", "<@c:a@b>": "a@b",
		"<POSTmaster>": "POSTmaster", "<\"a>\"@b> x": "\"a>\"@b| x",
		"<": "!", "": "!", "a@b": "!", "<a@b": "!", "<@c,a@b>": "!", "<@c:>": "!", "<@:a@b>": "!", "<@c,:a@b>": "!",
		"<@c a@b>": "!",
		"<@c,":     "!", "<@c": "!", "<postmaster": "!", "<postmasters>": "!", "<a>": "!", "<@c:postmaster": "!",
		"< a@b>": "!", "<a@b >": "!",
	} {
		m, rest, err := ParsePath(in)
		wantM, wantRest, _ := strings.Cut(want, "|")
		if want == "!" != (err != nil) || err == nil && (m.String() != wantM || rest != wantRest) {
			t.Errorf("%q is %q, %q, %v; want %q", in, m, rest, err, want)
		}
	}
}

// TestReceived: the field, which a client's name can't break out of.
func TestReceived(t *testing.T) {
	at := time.Date(2026, 11, 29, 7, 30, 0, 0, time.FixedZone("", 3600))
	r := Received{Hello: "a.example", From: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4711}, By: "mx.example",
		Protocol: "ESMTPS", ID: "17", For: Mailbox{"b c", "x.example"}, Time: at}
	const want = "Received: from a.example ([192.0.2.1])\r\n\tby mx.example with ESMTPS id 17\r\n" +
		"\tfor <\"b c\"@x.example>;\r\n\tSun, 29 Nov 2026 07:30:00 +0100\r\n"
	if got := string(r.Append(nil)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	r = Received{Hello: "a\r\nEvil: (x)", From: &net.TCPAddr{IP: net.IPv6loopback, Zone: "x"}, ID: "1\n2",
		For: Mailbox{"a\r\n", "b"}}
	got := string(r.Append(nil))
	if !strings.HasPrefix(got, "Received: from a??Evil:??x? ([IPv6:::1])\r\n\tby unknown with unknown id 1?2;\r\n\t") {
		t.Errorf("%q", got)
	}
	h := new(Hops)
	for _, c := range got + want + "received: x\r\n y Received: \r\nX-Received: z\r\n\r\nReceived: in the text\r\n" {
		_, _ = io.WriteString(h, string(c))
	}
	if h.N != 3 {
		t.Errorf("%d hops", h.N)
	}
}

// TestPeer: what a session knows of its client.
func TestPeer(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	st := new(store)
	st.data = func(s *storing, _ io.Reader) (string, error) {
		got <- string(s.p.Received().Append(nil))
		_, tls := s.p.TLS()
		if s.p.Authenticated() || tls || s.p.Conn() == nil || s.p.LocalAddr() == nil {
			t.Error("it is somebody else")
		}
		return "x1", nil
	}
	k := dial(t, serve(t, &Server{Backend: st, Name: "mx.example"}))
	k.want("220")
	k.say("HELO a.example", "250")
	k.say("MAIL FROM:<>", "250")
	k.say("RCPT TO:<a@x.example>", "250")
	k.say("DATA", "354")
	k.say("not read\r\n.", "250 2.0.0 Ok: x1")
	if r := <-got; !strings.HasPrefix(r, "Received: from a.example ([127.0.0.1])\r\n\tby mx.example with SMTP;\r\n\t") {
		t.Errorf("%q", r)
	}
}

// TestHangUp: a client that hangs up in the midst of a message sent none, wherever.
func TestHangUp(t *testing.T) {
	t.Parallel()
	stream := envelope + "DATA\r\ntext\r\n.\r\n"
	chunks := envelope + "BDAT 4\r\ntextBDAT 3 LAST\r\nend"
	for _, s := range []string{stream, chunks} {
		for cut := range s {
			st := new(store)
			srv := &Server{Backend: st, Log: quiet}
			client, server := net.Pipe()
			ended := make(chan error, 1)
			go func() { ended <- srv.Serve(t.Context(), server) }()
			go func() { _, _ = io.Copy(io.Discard, client) }()
			_, _ = io.WriteString(client, s[:cut])
			_ = client.Close()
			<-ended
			letters, said := st.got()
			if len(letters) == 1 && letters[0].err == nil || srv.Stats().Messages > 0 {
				t.Errorf("cut at %d: %+v, %+v", cut, letters, srv.Stats())
			}
			if n := strings.Count(said, "mail "); n != strings.Count(said, "reset") || !strings.HasSuffix(said, "close") {
				t.Errorf("cut at %d: the calls are %s", cut, said)
			}
		}
	}
}

// TestNotHeld: answers that a client may wait for leave at once, though more has come (RFC 2920, section 3.2).
func TestNotHeld(t *testing.T) {
	t.Parallel()
	for _, cmd := range []string{"EHLO x.example", "NOOP", "VRFY x", "EXPN x", "FOO", "AUTH X"} {
		client, server := net.Pipe()
		c := (&Server{Backend: new(store), Log: quiet}).NewConn(server)
		go func() {
			_ = c.Open(t.Context())
			_ = c.Turn(t.Context())
			_ = c.Turn(t.Context())
			_ = server.Close()
		}()
		k := talkOn(t, client)
		k.want("220")
		k.say("EHLO x.example", "250-")
		go k.send(cmd + "\r\nMAIL FROM:<>\r\n")
		b := make([]byte, 4096)
		n, _ := client.Read(b) // the first write
		if n == 0 || strings.Contains(string(b[:n]), "250 2.1.0") {
			t.Errorf("%s: %q comes at once", cmd, b[:n])
		}
		k.want("250 2.1.0")
	}
}

// TestUnknownCodes: a client goes by the first digit of a reply (RFC 5321, section 4.2), and needs no text.
func TestUnknownCodes(t *testing.T) {
	t.Parallel()
	addr := scripted(t, func(k *talker) {
		k.send("229\r\n")
		k.heard("EHLO")
		k.send("259-x\r\n259 PIPELINING\r\n")
		k.heard("MAIL", "RCPT", "RCPT", "RCPT", "DATA")
		k.send("299 \r\n251\r\n499\r\n599 251\r\n399\r\n")
		k.heard("x", ".")
		k.send("200-a\r\n200\r\n")
	})
	c := connect(t, addr, ClientOptions{})
	r, err := c.Send(t.Context(), &Message{To: to("b", "c", "d"), Data: strings.NewReader("x\r\n")})
	if err != nil || r.Taken() != 1 || r.Errors[0] != nil || r.Reply.Code != 200 || len(r.Reply.Lines) != 2 {
		t.Errorf("Send: %v, %+v", err, r)
	}
}
