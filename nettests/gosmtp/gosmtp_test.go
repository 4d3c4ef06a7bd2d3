// Package gosmtp has proto/smtp talk with emersion/go-smtp, in both directions.
package gosmtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/proto/smtp"
	"github.com/plexor-go/plexor/smtpd"
)

// A log has one line for each message, which says all that a server was told.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *log) got() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "|")
}

// configs are those of TLS, of a server and of a client that trusts it.
func configs(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: roots, ServerName: "example.com"}
}

const (
	text = ".\r\n..dots\r\n\u00e4 line\r\n"
	want = "a@x.example UTF8=true size=%s full id+ b@x.example rfc822;c=d@x.example %q"
)

// A theirs is a session of a server by go-smtp.
type theirs struct {
	l    *log
	line string
}

func (s *theirs) AuthMechanisms() []string { return []string{"PLAIN"} }

func (s *theirs) Auth(string) (sasl.Server, error) {
	check := func(user, password string) error {
		if user != "u" || password != "p" {
			return gosmtp.ErrAuthFailed
		}
		return nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
}

func (s *theirs) Mail(from string, o *gosmtp.MailOptions) error {
	s.line = fmt.Sprintf("%s UTF8=%v size=%d %s %s", from, o.UTF8, o.Size, strings.ToLower(string(o.Return)), o.EnvelopeID)
	return nil
}

func (s *theirs) Rcpt(to string, o *gosmtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody") {
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	s.line += fmt.Sprintf(" %s %s;%s", to, strings.ToLower(string(o.OriginalRecipientType)), o.OriginalRecipient)
	return nil
}

func (s *theirs) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.l.add(fmt.Sprintf("%s %q", s.line, b))
	return err
}

func (s *theirs) Reset()        {}
func (s *theirs) Logout() error { return nil }

// ours is likewise one of ours.
type ours struct {
	l    *log
	line string
}

func (s *ours) Mechanisms() []string { return []string{"PLAIN", "LOGIN"} }

func (s *ours) Auth(_ context.Context, mechanism string) (smtp.Exchange, error) {
	check := func(_ context.Context, user, password string) error {
		if user != "u" || password != "p" {
			return smtp.ErrCredentials
		}
		return nil
	}
	if mechanism == "LOGIN" {
		return smtp.LoginServer(check), nil
	}
	return smtp.PlainServer(func(ctx context.Context, _, user, password string) error {
		return check(ctx, user, password)
	}), nil
}

func (s *ours) Mail(_ context.Context, from smtp.Mailbox, o *smtp.MailOptions) error {
	s.line = fmt.Sprintf("%s UTF8=%v size=%d %s %s", from, o.UTF8, o.Size,
		map[smtp.Return]string{smtp.ReturnFull: "full"}[o.Return], o.EnvelopeID)
	return nil
}

func (s *ours) Rcpt(_ context.Context, to smtp.Mailbox, o *smtp.RcptOptions) error {
	if to.Local == "nobody" {
		return &smtp.Error{Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}, Text: "no such user"}
	}
	s.line += fmt.Sprintf(" %s %s;%s", to, strings.ToLower(o.OriginalType), o.Original)
	return nil
}

func (s *ours) Data(_ context.Context, r io.Reader) (string, error) {
	b, err := io.ReadAll(r)
	s.l.add(fmt.Sprintf("%s %q", s.line, b))
	return "", err
}

func (s *ours) Reset()      {}
func (s *ours) Close(error) {}

// TestOurClient sends to go-smtp's server.
func TestOurClient(t *testing.T) {
	cfg, ccfg := configs(t)
	for _, lmtp := range []bool{false, true} {
		for _, o := range []smtp.ClientOptions{{}, {Chunking: true}, {NoPipelining: true}} {
			l := new(log)
			srv := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return &theirs{l: l}, nil }))
			srv.TLSConfig, srv.LMTP, srv.Domain = cfg, lmtp, "localhost"
			srv.EnableSMTPUTF8, srv.EnableDSN, srv.EnableBINARYMIME = true, true, true
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go srv.Serve(ln)
			o.LMTP = lmtp
			who := smtp.Plain("", "u", "p")
			for range 2 {
				c, err := smtp.Dial(t.Context(), ln.Addr().String(), smtp.DialOptions{TLS: ccfg, Auth: who, ClientOptions: o})
				if err != nil {
					t.Fatal(err)
				}
				m := &smtp.Message{From: smtp.Mailbox{Local: "a", Domain: "x.example"}, Data: strings.NewReader(text),
					MailOptions: smtp.MailOptions{UTF8: true, Return: smtp.ReturnFull, EnvelopeID: "id+"},
					To: []smtp.Recipient{{Mailbox: smtp.Mailbox{Local: "nobody", Domain: "x.example"}},
						{Mailbox: smtp.Mailbox{Local: "b", Domain: "x.example"},
							RcptOptions: smtp.RcptOptions{OriginalType: "rfc822", Original: "c=d@x.example"}}}}
				r, err := c.Send(t.Context(), m)
				if err != nil || r.Errors[0] == nil || r.Errors[1] != nil {
					t.Errorf("%+v: %v, %+v", o, err, r)
				}
				if err := c.Quit(t.Context()); err != nil {
					t.Error(err)
				}
			}
			one := fmt.Sprintf(want, fmt.Sprint(len(text)), text)
			if got := l.got(); got != one+"|"+one {
				t.Errorf("%+v: it got\n%s\nwant twice\n%s", o, got, one)
			}
			_ = srv.Close()
		}
	}
}

// TestTheirClient has go-smtp's client send to our server, on the engine.
func TestTheirClient(t *testing.T) {
	cfg, ccfg := configs(t)
	for _, lmtp := range []bool{false, true} {
		l := new(log)
		backend := smtp.BackendFunc(func(context.Context, smtp.Peer) (smtp.Session, error) { return &ours{l: l}, nil })
		srv := &plexor.Server{Handler: smtpd.Handler(&smtp.Server{Backend: backend, TLS: cfg, NeedTLS: !lmtp, NeedAuth: !lmtp,
			LMTP: lmtp, UTF8: true, DSN: true, Log: slog.New(slog.DiscardHandler)})}
		addr, err := srv.Open("tcp://127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		var logins []sasl.Client
		if !lmtp {
			logins = []sasl.Client{sasl.NewPlainClient("", "u", "p"), sasl.NewLoginClient("u", "p")}
		}
		for i := range 2 {
			var c *gosmtp.Client
			if lmtp {
				nc, err := net.Dial("tcp", addr.String())
				if err != nil {
					t.Fatal(err)
				}
				c = gosmtp.NewClientLMTP(nc)
			} else if c, err = gosmtp.DialStartTLS(addr.String(), ccfg); err != nil {
				t.Fatal(err)
			}
			if logins != nil {
				if err := c.Auth(logins[i]); err != nil {
					t.Fatal(err)
				}
			}
			if err := theySend(c); err != nil {
				t.Errorf("lmtp %v: %v", lmtp, err)
			}
			if err := c.Quit(); err != nil {
				t.Error(err)
			}
		}
		one := fmt.Sprintf(want, "7", text)
		if got := l.got(); got != one+"|"+one {
			t.Errorf("lmtp %v: it got\n%s\nwant twice\n%s", lmtp, got, one)
		}
		_ = srv.Close()
	}
}

func theySend(c *gosmtp.Client) error {
	if err := c.Mail("a@x.example", &gosmtp.MailOptions{UTF8: true, Size: 7, Return: gosmtp.DSNReturnFull,
		EnvelopeID: "id+"}); err != nil {
		return err
	}
	if err := c.Rcpt("nobody@x.example", nil); err == nil {
		return fmt.Errorf("there is somebody")
	}
	if err := c.Rcpt("b@x.example", &gosmtp.RcptOptions{OriginalRecipientType: gosmtp.DSNAddressTypeRFC822,
		OriginalRecipient: "c=d@x.example"}); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Close()
}
