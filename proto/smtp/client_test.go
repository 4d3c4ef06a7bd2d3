package smtp

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/plexor-go/plexor/internal/stage"
)

// scripted is a server that does what a test says, on each connection.
func scripted(t *testing.T, f func(k *talker)) string {
	t.Helper()
	ln, err := stage.Listen(t)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				f(talkOn(t, nc))
				_ = nc.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

// heard reads lines that begin so.
func (k *talker) heard(lines ...string) {
	for _, want := range lines {
		if got := k.line(); !strings.HasPrefix(got, want) {
			k.t.Errorf("the client says %q, want %q", got, want)
		}
	}
}

// greets is the beginning of a scripted server that offers extensions.
func (k *talker) greets(extensions ...string) {
	k.send("220 mx.example\r\n")
	k.heard("EHLO ")
	k.send("250-mx.example\r\n")
	for _, x := range extensions {
		k.send("250-" + x + "\r\n")
	}
	k.send("250 HELP\r\n")
}

// connect is a client without TLS.
func connect(t *testing.T, addr string, o ClientOptions) *Client {
	t.Helper()
	c, err := reach(t.Context(), addr, DialOptions{ClientOptions: o, Security: NoTLS})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// to are recipients at x.example.
func to(names ...string) (all []Recipient) {
	for _, n := range names {
		all = append(all, Recipient{Mailbox: Mailbox{n, "x.example"}})
	}
	return all
}

var sender = Mailbox{"a", "x.example"}

// unseekable hides that a reader can be read twice.
type unseekable struct{ io.Reader }

// TestSend: messages come as they were sent, by DATA and by BDAT, with and without pipelining, to one recipient and to
// many, in SMTP and LMTP, and the connection takes more than one.
func TestSend(t *testing.T) {
	t.Parallel()
	messages := []string{"", "x", "Subject: x\r\n\r\ntext\r\n", ".\r\n..\r\n.x\r\n",
		strings.Repeat("line of text\r\n.\r\n", 30000)}
	for _, lmtp := range []bool{false, true} {
		for _, o := range []ClientOptions{{}, {Chunking: true}, {NoPipelining: true}, {NoPipelining: true, Chunking: true}} {
			st := new(store)
			addr := serve(t, &Server{Backend: st, LMTP: lmtp, Limits: Limits{Recipients: 1000}})
			o.LMTP = lmtp
			c := connect(t, addr, o)
			for i, text := range messages {
				var body io.Reader = strings.NewReader(text)
				if i%2 == 1 {
					body = unseekable{body}
				}
				rcpt := to("b")
				if i == 2 {
					rcpt = to(slices.Repeat([]string{"b", "c"}, 300)...)
				}
				receipt, err := c.Send(t.Context(), &Message{From: sender, To: rcpt, Data: body})
				if err != nil || receipt.Taken() != len(rcpt) {
					t.Fatalf("%+v, message %d: %v, %+v", o, i, err, receipt)
				}
				want := text
				if !o.Chunking && !strings.HasSuffix(text, "\n") && text != "" {
					want += "\r\n"
				}
				letters, _ := st.got()
				if l := letters[len(letters)-1]; len(letters) != i+1 || l.text != want || len(l.to) != len(rcpt) {
					t.Errorf("%+v, message %d: %d letters, the last %.100q to %d", o, i, len(letters), l.text, len(l.to))
				}
			}
			if err := c.Quit(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestParametersAreEncoded: what could end a parameter comes as it was given (RFC 3461, section 4).
func TestParametersAreEncoded(t *testing.T) {
	t.Parallel()
	st := &store{names: allMechanisms, auth: plainFor("u", "p")}
	c := connect(t, serve(t, &Server{Backend: st, DSN: true, UTF8: true, PlainAuth: true}), ClientOptions{})
	if err := c.Auth(t.Context(), Unsafe(Plain("", "u", "p"))); err != nil {
		t.Fatal(err)
	}
	m := Message{From: Mailbox{"a b\"\\", "[IPv6:::1]"}, To: []Recipient{{Mailbox{"\u00e4", "\u00e4.example"},
		RcptOptions{NotifyDelay | NotifyFailure, "rfc822", "x y+=\u00e4@x.example"}}}, Data: strings.NewReader("\u00e4"),
		MailOptions: MailOptions{Return: ReturnHeaders, EnvelopeID: "a b+=<>", Auth: &AuthParam{"s p@x.example"}}}
	if _, err := c.Send(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	letters, _ := st.got()
	l := letters[0]
	if l.from != m.From || l.to[0] != m.To[0].Mailbox || l.rcpt[0] != m.To[0].RcptOptions || *l.mail.Auth != *m.Auth {
		t.Errorf("it got %+v", l)
	}
	l.mail.Auth = nil
	want := MailOptions{Size: 2, Body: Body8Bit, UTF8: true, Return: ReturnHeaders, EnvelopeID: "a b+=<>"}
	if l.mail != want {
		t.Errorf("it got %+v, want %+v", l.mail, want)
	}
}

// TestHELO: a server that has no EHLO (RFC 5321, section 3.2) gets no parameters, and no pipelining.
func TestHELO(t *testing.T) {
	t.Parallel()
	addr := scripted(t, func(k *talker) {
		k.send("220-mx.example\r\n220 an old one\r\n")
		k.heard("EHLO me.example")
		k.send("502 what?\r\n")
		k.heard("HELO me.example")
		k.send("250 mx.example\r\n")
		for _, l := range []string{"MAIL FROM:<a@x.example>\r\n", "RCPT TO:<b@x.example>\r\n", "DATA\r\n"} {
			if got, _ := k.r.ReadString('\n'); got != l || k.r.Buffered() > 0 {
				t.Errorf("the client says %q, and more: %v", got, k.r.Buffered() > 0)
			}
			if l[0] == 'D' {
				k.send("354\r\n")
			} else {
				k.send("250\r\n")
			}
		}
		k.heard("x", ".")
		k.send("250\r\n")
	})
	c := connect(t, addr, ClientOptions{Name: "me.example", Chunking: true})
	m := &Message{From: sender, To: []Recipient{{to("b")[0].Mailbox, RcptOptions{Notify: NotifyNever}}},
		MailOptions: MailOptions{Body: Body7Bit}, Data: strings.NewReader("x")}
	if r, err := c.Send(t.Context(), m); err != nil || !r.NoReports {
		t.Errorf("Send: %v, %+v", err, r)
	}
}

// TestAllInOne: the envelope and DATA in one write, the message with its end in another; by BDAT all of it in one.
func TestAllInOne(t *testing.T) {
	t.Parallel()
	for _, chunking := range []bool{false, true} {
		addr := scripted(t, func(k *talker) {
			k.greets("PIPELINING", "CHUNKING")
			k.heard("MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "RCPT TO:<c@x.example>")
			if chunking {
				k.heard("BDAT 3 LAST", "x")
				k.send("250\r\n250\r\n250\r\n250 taken\r\n")
				return
			}
			k.heard("DATA")
			k.send("250\r\n250\r\n250\r\n354\r\n")
			k.heard("x", ".")
			k.send("250 taken\r\n")
		})
		c := connect(t, addr, ClientOptions{Chunking: chunking})
		r, err := c.Send(t.Context(), &Message{From: sender, To: to("b", "c"), Data: strings.NewReader("x\r\n")})
		if err != nil || r.Reply.Text() != "taken" {
			t.Errorf("Send: %v, %+v", err, r)
		}
	}
}

// TestInspect: what is found in a message, in pieces of any size.
func TestInspect(t *testing.T) {
	for _, row := range []struct {
		in      string
		convert bool
		want    Traits
	}{
		{"", false, Traits{}},
		{"a\r\n\u00e4", false, Traits{Size: 5, EightBit: true}},
		{"a\nb\n", true, Traits{Size: 6}},
		{strings.Repeat("x", 998) + "\r\n", false, Traits{Size: 1000}},
		{"a\r\n" + strings.Repeat("x", 999) + "\r\n", false, Traits{Size: 1004, LongLine: true}},
		{"a\n", false, Traits{Size: 1, Err: ErrBareLF}},
		{"a\r", false, Traits{Size: 1, Err: ErrBareCR}},
		{"\x00", false, Traits{Err: ErrNUL}},
	} {
		for _, size := range []int{1, 3, 10000} {
			got, err := Inspect(&slow{row.in, size}, row.convert)
			if got != row.want || err != nil {
				t.Errorf("%.20q by %d: %+v, %v; want %+v", row.in, size, got, err, row.want)
			}
		}
	}
}

// slow is text that comes in pieces.
type slow struct {
	s    string
	size int
}

func (r *slow) Read(p []byte) (int, error) {
	if r.s == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(r.size, len(p))], r.s)
	r.s = r.s[n:]
	return n, nil
}

func ExampleClient() {
	c, err := Dial(context.Background(), "mail.example:587", DialOptions{Auth: Plain("", "ann", "secret")})
	if err != nil {
		fmt.Println("no mail today:", err)
		return
	}
	defer c.Quit(context.Background())
	receipt, err := c.Send(context.Background(), &Message{
		From: Mailbox{"ann", "mail.example"},
		To:   []Recipient{{Mailbox: Mailbox{"bob", "mail.example"}}},
		Data: strings.NewReader("Subject: hello\r\n\r\nHello!\r\n"),
	})
	if err != nil {
		fmt.Println("not sent:", err)
		return
	}
	fmt.Println(receipt.Reply.Text())
}
