package dkim_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/proto/smtp"
	"github.com/plexor-go/plexor/proto/smtp/queue"
	"github.com/plexor-go/plexor/smtpd/dkim"
)

// A box keeps the mail that it gets.
type box struct{ got chan string }

func (box) Mail(context.Context, smtp.Mailbox, *smtp.MailOptions) error { return nil }
func (box) Rcpt(context.Context, smtp.Mailbox, *smtp.RcptOptions) error { return nil }
func (box) Reset()                                                      {}
func (box) Close(error)                                                 {}

func (b box) Data(_ context.Context, r io.Reader) (string, error) {
	text, err := io.ReadAll(r)
	if err == nil {
		b.got <- string(text)
	}
	return "", err
}

// TestQueue: what the queue delivers, by DATA and by BDAT, is verified where it comes; one that can't be signed is
// refused when it is submitted.
func TestQueue(t *testing.T) {
	t.Parallel()
	ours := keys(t, "example.com")
	s, err := dkim.New(dkim.Options{}, ours...)
	if err != nil {
		t.Fatal(err)
	}
	for _, chunking := range []bool{false, true} {
		b := box{make(chan string, 1)}
		backend := func(context.Context, smtp.Peer) (smtp.Session, error) { return b, nil }
		srv := &smtp.Server{Backend: smtp.BackendFunc(backend)}
		o := queue.Options{Name: "q.example", Smarthost: "mail.example:25", Security: smtp.NoTLS, Sign: s.Sign,
			Client: smtp.ClientOptions{Chunking: chunking}, Log: slog.New(slog.DiscardHandler)}
		o.Dial = func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() { _ = srv.Serve(context.Background(), server) }()
			return client, nil
		}
		q, err := queue.Open(t.TempDir(), o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- q.Run(ctx) }()
		to := smtp.Recipient{Mailbox: smtp.Mailbox{Local: "b", Domain: "x.example"}}
		text := letter + strings.Repeat(".a line with é and dots .\r\n.\r\n\r\n", 3000)
		if _, err := q.Submit(queue.Envelope{To: []smtp.Recipient{to}}, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		got := <-b.got
		if errs := verify(t, got, zone(t, ours...)); len(errs) != 2 || errors.Join(errs...) != nil ||
			!strings.HasSuffix(got, text) {
			t.Errorf("chunking %v: %v, %d bytes of %d", chunking, errs, len(got), len(text))
		}
		_, err = q.Submit(queue.Envelope{To: []smtp.Recipient{to}}, strings.NewReader("Subject: x\r\n\r\nx\r\n"))
		if !errors.Is(err, dkim.ErrFrom) {
			t.Errorf("a message of nobody: %v", err)
		}
		cancel()
		<-ended
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}
