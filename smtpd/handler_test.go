package smtpd_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/certs"
	"github.com/plexor-go/plexor/proto/smtp"
	"github.com/plexor-go/plexor/smtpd"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

var quiet = slog.New(slog.DiscardHandler)

// A box keeps the mail that it gets, and why its sessions ended.
type box struct {
	mu     sync.Mutex
	mail   []string
	closed chan error
	slow   func(ctx context.Context) error
}

func newBox() *box { return &box{closed: make(chan error, 100)} }

type session struct{ b *box }

func (b *box) NewSession(context.Context, smtp.Peer) (smtp.Session, error) { return session{b}, nil }

func (session) Mail(context.Context, smtp.Mailbox, *smtp.MailOptions) error { return nil }
func (session) Rcpt(context.Context, smtp.Mailbox, *smtp.RcptOptions) error { return nil }
func (session) Reset()                                                      {}
func (s session) Close(reason error)                                        { s.b.closed <- reason }

func (s session) Data(ctx context.Context, r io.Reader) (string, error) {
	text, err := io.ReadAll(r)
	if err == nil && s.b.slow != nil {
		err = s.b.slow(ctx)
	}
	if err != nil {
		return "", err
	}
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.mail = append(s.b.mail, string(text))
	return fmt.Sprint(len(s.b.mail)), nil
}

func (b *box) got() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.mail...)
}

// why is why the next session that ends has ended.
func (b *box) why(t *testing.T) error {
	t.Helper()
	select {
	case err := <-b.closed:
		return err
	case <-time.After(patience):
		t.Fatal("no session ends")
		return nil
	}
}

// serve serves s by srv until the test ends.
func serve(t *testing.T, srv *plexor.Server, s *smtp.Server, url string) string {
	t.Helper()
	s.Log, srv.Log = quiet, quiet
	srv.Handler = smtpd.Handler(s)
	addr, err := srv.Open(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return addr.String()
}

// A talker is a client that says what a test tells it to.
type talker struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
}

func dial(t *testing.T, addr string) *talker {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	return &talker{t, nc, bufio.NewReader(nc)}
}

// say sends text and wants replies, of which the last line begins so; "" is the end.
func (k *talker) say(text string, replies ...string) {
	k.t.Helper()
	_, _ = io.WriteString(k.nc, text)
	for _, want := range replies {
		line := "-"
		for err := error(nil); len(line) < 4 || line[3] == '-'; {
			if line, err = k.r.ReadString('\n'); err != nil {
				if err != io.EOF || want != "" {
					k.t.Fatalf("%v, want %q", err, want)
				}
				break
			}
		}
		if !strings.HasPrefix(line, want) || want == "" && line != "" {
			k.t.Fatalf("it answers %q, want %q", line, want)
		}
	}
}

const envelope = "EHLO x.example\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\n"

// configs are the configurations of TLS, of a server at localhost and of a client that trusts it.
func configs(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	cert, err := certs.SelfSigned(time.Now(), "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{cert}}, &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// TestMail sends messages with the client: in plain text, by STARTTLS, and over TLS from the beginning.
func TestMail(t *testing.T) {
	t.Parallel()
	cfg, ccfg := configs(t)
	for _, row := range []struct {
		url      string
		security smtp.Security
	}{
		{"tcp://127.0.0.1:0", smtp.NoTLS}, {"tcp://127.0.0.1:0", smtp.NeedStartTLS}, {"tls://127.0.0.1:0", smtp.ImplicitTLS},
	} {
		b := newBox()
		srv := &plexor.Server{TLS: &plexor.TLS{Config: cfg}}
		addr := serve(t, srv, &smtp.Server{Backend: b, TLS: cfg}, row.url)
		c, err := smtp.Dial(t.Context(), addr, smtp.DialOptions{Security: row.security, TLS: ccfg})
		if err != nil {
			t.Fatal(err)
		}
		texts := []string{"x\r\n", strings.Repeat("a line of text\r\n.\r\n", 100_000), ""}
		for _, text := range texts {
			m := &smtp.Message{To: []smtp.Recipient{{Mailbox: smtp.Mailbox{Local: "b", Domain: "x.example"}}},
				Data: strings.NewReader(text)}
			if _, err := c.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		_ = c.Quit(t.Context())
		if row.security == smtp.NeedStartTLS {
			if err := b.why(t); err != smtp.ErrStartTLS {
				t.Errorf("the session before TLS ended with %v", err)
			}
		}
		if err := b.why(t); err != io.EOF {
			t.Errorf("the session ended with %v", err)
		}
		if got := b.got(); len(got) != 3 || got[0] != texts[0] || got[1] != texts[1] || got[2] != texts[2] {
			t.Errorf("%d messages came", len(got))
		}
	}
}

// TestRefusalIsHeard: a client that sends on and on behind a bare line feed hears why the connection was closed.
func TestRefusalIsHeard(t *testing.T) {
	t.Parallel()
	b := newBox()
	addr := serve(t, new(plexor.Server), &smtp.Server{Backend: b}, "tcp://127.0.0.1:0")
	for range 20 {
		k := dial(t, addr)
		k.say("", "220")
		k.say(envelope+"DATA\r\n", "250", "250", "250", "354")
		k.say("a\n.\n"+strings.Repeat("evil\r\n", 20000), "550 5.6.0")
		if err := b.why(t); !errors.Is(err, smtp.ErrBareLF) {
			t.Errorf("the session ended with %v", err)
		}
	}
	if len(b.got()) > 0 {
		t.Errorf("%d messages came", len(b.got()))
	}
}

// TestPlaintextBehindStartTLS: bytes behind STARTTLS are not taken for what the client says in safety.
func TestPlaintextBehindStartTLS(t *testing.T) {
	t.Parallel()
	cfg, _ := configs(t)
	b := newBox()
	addr := serve(t, new(plexor.Server), &smtp.Server{Backend: b, TLS: cfg}, "tcp://127.0.0.1:0")
	k := dial(t, addr)
	k.say("", "220")
	k.say("EHLO x\r\nSTARTTLS\r\nRSET\r\n", "250", "554 5.7.0", "")
	k = dial(t, addr)
	k.say("", "220")
	k.say("EHLO x\r\nSTARTTLS\r\n", "250", "220")
	k.say("RSET\r\nMAIL FROM:<evil@x.example>\r\n")
	if rest, _ := io.ReadAll(k.r); strings.Contains(string(rest), "250") {
		t.Errorf("it answers %q", rest)
	}
}

// TestShutdown: clients that wait are told 421; a message that is under way is taken first.
func TestShutdown(t *testing.T) {
	t.Parallel()
	b := newBox()
	srv := new(plexor.Server)
	addr := serve(t, srv, &smtp.Server{Backend: b}, "tcp://127.0.0.1:0")
	idle, fresh, sending := dial(t, addr), dial(t, addr), dial(t, addr)
	idle.say("", "220")
	idle.say("EHLO x.example\r\n", "250")
	fresh.say("", "220")
	sending.say("", "220")
	sending.say(envelope+"DATA\r\n", "250", "250", "250", "354")
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown(t.Context()) }()
	idle.say("", "421 4.3.2", "")
	fresh.say("", "421 4.3.2", "")
	for range 2 {
		if err := b.why(t); err != smtp.ErrLeaving {
			t.Errorf("a session ended with %v", err)
		}
	}
	sending.say("text\r\n")
	sending.say("more\r\n.\r\n", "250 2.0.0", "421 4.3.2", "")
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestSilence: a client that is silent is told so, if the server tells of it, and cut otherwise.
func TestSilence(t *testing.T) {
	t.Parallel()
	const silence = 2 * time.Second // for the client's first command, too, on a busy machine
	for _, told := range []bool{true, false} {
		b := newBox()
		srv := new(plexor.Server)
		s := &smtp.Server{Backend: b, IdleTold: told, Limits: smtp.Limits{CommandTime: silence}}
		if told {
			srv.Limits.ReadIdle = silence
		}
		k := dial(t, serve(t, srv, s, "tcp://127.0.0.1:0"))
		k.say("", "220")
		k.say("NOOP\r\n", "250")
		if told {
			k.say("", "421 4.4.2")
		}
		k.say("", "")
		if err := b.why(t); told != (err == smtp.ErrTooSlow) || !told && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("told %v: the session ended with %v", told, err)
		}
	}
}

// TestHalfALine: the beginning of a command is kept while the session rests, and its time does not begin anew.
func TestHalfALine(t *testing.T) {
	t.Parallel()
	b := newBox()
	k := dial(t, serve(t, new(plexor.Server), &smtp.Server{Backend: b}, "tcp://127.0.0.1:0"))
	k.say("", "220")
	for _, c := range envelope + "DATA\r\n" {
		k.say(string(c))
	}
	k.say("", "250", "250", "250", "354")
	for _, c := range "text\r\n.\r\nQUIT\r\n" {
		k.say(string(c))
	}
	k.say("", "250", "221", "")
	if got := b.got(); len(got) != 1 || got[0] != "text\r\n" {
		t.Errorf("it got %q", got)
	}
}

// TestPanic: a backend that panics ends its session with 421, and no other.
func TestPanic(t *testing.T) {
	t.Parallel()
	b := newBox()
	b.slow = func(context.Context) error { panic("on purpose") }
	s := &smtp.Server{Backend: b}
	addr := serve(t, new(plexor.Server), s, "tcp://127.0.0.1:0")
	other := dial(t, addr)
	other.say("", "220")
	k := dial(t, addr)
	k.say("", "220")
	k.say(envelope+"DATA\r\n", "250", "250", "250", "354")
	k.say(".\r\n", "421 4.3.0", "")
	other.say("NOOP\r\n", "250")
	if s.Stats().Panics != 1 {
		t.Errorf("the stats are %+v", s.Stats())
	}
}
