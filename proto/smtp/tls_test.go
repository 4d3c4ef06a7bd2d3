package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/certs"
	"github.com/plexor-go/plexor/internal/stage"
)

// testTLS are the configurations of a server at localhost and of a client that trusts it.
var testTLS = sync.OnceValues(func() (server, client *tls.Config) {
	cert, err := certs.SelfSigned(time.Now(), "localhost", "127.0.0.1")
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{cert}}, &tls.Config{RootCAs: roots, ServerName: "localhost"}
})

// secure goes on in TLS.
func (k *talker) secure() *talker {
	k.t.Helper()
	_, cfg := testTLS()
	tc := tls.Client(k.nc, cfg)
	if err := tc.Handshake(); err != nil {
		k.t.Fatal(err)
	}
	return &talker{k.t, tc, bufio.NewReader(tc)}
}

// TestStartTLS: what was said before is forgotten (RFC 3207, section 4.2), and what is offered changes.
func TestStartTLS(t *testing.T) {
	t.Parallel()
	st := &store{names: []string{"PLAIN"}, auth: plainFor("u", "p")}
	cfg, _ := testTLS()
	k := dial(t, serve(t, &Server{Backend: st, TLS: cfg, NeedTLS: true, RequireTLS: true}))
	k.want("220")
	k.say("STARTTLS", "503")
	k.send("EHLO x.example\r\n")
	if r := k.reply(); !strings.Contains(r, "250-STARTTLS/") || strings.Contains(r, "AUTH") ||
		strings.Contains(r, "REQUIRE") {
		t.Errorf("it offers %q", r)
	}
	k.say("AUTH PLAIN", "538 5.7.11")
	k.say("MAIL FROM:<> REQUIRETLS", "530")
	k.say("STARTTLS x", "501")
	k.say("STARTTLS", "220 2.0.0")
	k = k.secure()
	k.say("MAIL FROM:<>", "503")
	k.say("AUTH PLAIN", "503")
	k.send("EHLO y.example\r\n")
	if r := k.reply(); strings.Contains(r, "STARTTLS") || !strings.Contains(r, "250-AUTH PLAIN/") ||
		!strings.Contains(r, "250-REQUIRETLS/") {
		t.Errorf("it offers %q", r)
	}
	k.say("STARTTLS", "503")
	k.say("MAIL FROM:<> REQUIRETLS", "250")
	k.say("RCPT TO:<a@x.example>", "250")
	k.say("DATA", "354")
	k.say(".", "250")
	k.say("QUIT", "221", "")
	letters, said := st.got()
	if len(letters) != 1 || letters[0].proto != "ESMTPS" || !letters[0].mail.RequireTLS {
		t.Errorf("it got %+v", letters)
	}
	if !strings.HasPrefix(said, "new, hello x.example, close, new, hello y.example, mail") {
		t.Errorf("the calls are %s", said)
	}
	if len(st.closed) != 2 || st.closed[0] != ErrStartTLS || st.closed[1] != io.EOF {
		t.Errorf("closed with %v", st.closed)
	}
}

// TestStartTLSInjection: bytes behind STARTTLS never become commands of the connection with TLS: those that come with
// it are refused, and those that come alone are no handshake (CVE-2011-0411).
func TestStartTLSInjection(t *testing.T) {
	t.Parallel()
	cfg, _ := testTLS()
	line := "STARTTLS\r\nRSET\r\nMAIL FROM:<evil@x.example>\r\n"
	for cut := range line {
		st := new(store)
		srv := &Server{Backend: st, TLS: cfg}
		k := dial(t, serve(t, srv))
		k.want("220")
		k.say("EHLO x.example", "250-")
		k.send(line[:cut])
		if cut >= len("STARTTLS\r\n") {
			if r := k.reply(); strings.HasPrefix(r, "220") {
				k.send(line[cut:])
				_, _ = io.Copy(io.Discard, k.r) // an alert, and the end
			} else if !strings.HasPrefix(r, "554 5.7.0") {
				t.Errorf("cut at %d: %q", cut, r)
			}
		} else {
			k.send(line[cut:])
			k.want("554 5.7.0", "")
		}
		if s := srv.Stats(); s.Plaintext+s.Handshakes != 1 {
			t.Errorf("cut at %d: %+v", cut, s)
		}
		if _, said := st.got(); strings.Contains(said, "evil") {
			t.Errorf("cut at %d: the calls are %s", cut, said)
		}
	}
}

// TestImplicitTLS: a connection that begins with TLS (RFC 8314).
func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	cfg, ccfg := testTLS()
	ln, err := stage.Listen(t)
	if err != nil {
		t.Fatal(err)
	}
	ln = tls.NewListener(ln, cfg)
	srv := &Server{Backend: new(store), TLS: cfg, Log: quiet}
	ended := make(chan error, 1)
	go func() {
		nc, err := ln.Accept()
		if err == nil {
			err = srv.Serve(context.Background(), nc)
		}
		ended <- err
	}()
	defer ln.Close()
	c, err := reach(t.Context(), ln.Addr().String(), DialOptions{Security: ImplicitTLS, TLS: ccfg})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Extension("STARTTLS"); ok {
		t.Error("it offers STARTTLS")
	}
	if err := c.StartTLS(t.Context(), ccfg); !errors.Is(err, ErrNotOffered) {
		t.Errorf("StartTLS: %v", err)
	}
	if state, ok := c.TLS(); !ok || len(state.VerifiedChains) == 0 {
		t.Errorf("its TLS is %+v", state)
	}
	_ = c.Quit(t.Context())
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// TestNoHandshake: a client that speaks no TLS where it should.
func TestNoHandshake(t *testing.T) {
	t.Parallel()
	cfg, _ := testTLS()
	srv := &Server{Backend: new(store), Log: quiet}
	client, server := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(context.Background(), tls.Server(server, cfg)) }()
	go func() { _, _ = io.Copy(io.Discard, client) }()
	_, _ = io.WriteString(client, "EHLO x.example\r\n")
	if err := <-ended; err == nil || srv.Stats().Handshakes != 1 || srv.Stats().Sessions != 0 {
		t.Errorf("Serve: %v, %+v", err, srv.Stats())
	}
}
