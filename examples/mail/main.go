// Command mail takes mail and prints who wrote to whom, what about, and how much.
//
//	go run ./examples/mail                         # on tcp://127.0.0.1:2525; stop it with Ctrl-C
//	curl -sS --crlf --mail-from me@x.example --mail-rcpt you@x.example -T go.mod smtp://127.0.0.1:2525/x.example
//
// smtp.Server speaks with the client, and smtpd.Handler has thousands of clients do so on one thread: one that is
// logged in and says nothing costs neither a stack nor a buffer. What takes the mail is a smtp.Backend, with a session
// for each client; a message streams through Data.
package main

import (
	"context"
	"io"
	"log"
	stdmail "net/mail"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/proto/smtp"
	"github.com/plexor-go/plexor/smtpd"
)

// A session is what is known of one client: the message that it is about to send.
type session struct {
	count *atomic.Int64
	from  smtp.Mailbox
	to    []smtp.Mailbox
}

func (s *session) Mail(_ context.Context, from smtp.Mailbox, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(_ context.Context, to smtp.Mailbox, _ *smtp.RcptOptions) error {
	if to.Local == "nobody" {
		return &smtp.Error{Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}, Text: "there is nobody of that name"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(_ context.Context, r io.Reader) (id string, err error) {
	subject := "nothing"
	if m, err := stdmail.ReadMessage(r); err == nil {
		subject = m.Header.Get("Subject")
		r = m.Body
	}
	n, err := io.Copy(io.Discard, r)
	if err != nil {
		return "", err // the message is not whole
	}
	log.Printf("%v writes to %v about %q: %d bytes", s.from, s.to, subject, n)
	return strconv.FormatInt(s.count.Add(1), 10), nil
}

func (s *session) Reset() { s.to = nil }

func (s *session) Close(error) {}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	count := new(atomic.Int64)
	backend := smtp.BackendFunc(func(context.Context, smtp.Peer) (smtp.Session, error) {
		return &session{count: count}, nil
	})
	srv := new(plexor.Server)
	srv.Limits.ReadIdle = 5 * time.Minute // what a client may be silent for: it is told so, and cut
	addr, err := srv.Open(append(os.Args, "tcp://127.0.0.1:2525")[1],
		smtpd.Handler(&smtp.Server{Backend: backend, UTF8: true, IdleTold: true}))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on %s://%s", addr.Network(), addr)
	<-ctx.Done()
	stop() // a second signal ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil { // clients that wait are told, and messages under way are taken
		log.Fatal(err)
	}
}
