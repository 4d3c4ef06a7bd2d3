package queue

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/certs"
	"github.com/plexor-go/plexor/proto/smtp"
	"github.com/plexor-go/plexor/smtpd"
)

// TestOnALoop: on an event loop, with smtpd.Await, other sessions go on while the fsync of a message takes its time;
// also over TLS, and with a message that comes in many pieces.
func TestOnALoop(t *testing.T) {
	t.Parallel()
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
	for _, security := range []smtp.Security{smtp.NoTLS, smtp.NeedStartTLS} {
		held, hold := make(chan struct{}), make(chan struct{})
		var begun atomic.Bool
		q, err := Open(t.TempDir(), Options{Log: quiet, step: func(name string) {
			if name == "data is written" && begun.CompareAndSwap(false, true) { // and its fsync comes
				close(held)
				<-hold
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		anybody := func(context.Context, smtp.Peer, smtp.Mailbox) error { return nil }
		srv := &plexor.Server{Loops: 1, Log: quiet}
		addr, err := srv.Open("tcp://127.0.0.1:0", smtpd.Handler(&smtp.Server{Backend: q.Backend(anybody), Log: quiet,
			Block: smtpd.Await, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}))
		if err != nil {
			t.Fatal(err)
		}
		send := func(text string) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c, err := smtp.Dial(ctx, addr.String(), smtp.DialOptions{Security: security,
				TLS: &tls.Config{RootCAs: roots, ServerName: "localhost"}})
			if err != nil {
				return err
			}
			m := &smtp.Message{To: letterTo("", "x@a.example").To, Data: strings.NewReader(text)}
			if _, err := c.Send(ctx, m); err != nil {
				return err
			}
			return c.Quit(ctx)
		}
		slow := make(chan error, 1)
		go func() { slow <- send("Subject: slow\r\n\r\nx\r\n") }()
		<-held
		if err := send("Subject: other\r\n\r\n" + strings.Repeat("a line of text\r\n.\r\n", 20_000)); err != nil {
			t.Errorf("beside a held fsync: %v", err)
		}
		if n := q.Stats().Queued; n != 1 {
			t.Errorf("%d messages wait, want the other one", n)
		}
		close(hold)
		if err := <-slow; err != nil || q.Stats().Queued != 2 {
			t.Errorf("the slow one: %v; %d messages wait", err, q.Stats().Queued)
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}
