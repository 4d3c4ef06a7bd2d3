package queue

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor/proto/smtp"
)

var quiet = slog.New(slog.DiscardHandler)

// A letter is a message as a server got it.
type letter struct {
	from string
	to   []string
	text string
	at   time.Time
}

// An office is a server of mail that keeps what it gets. The functions, if set, refuse.
type office struct {
	mu      sync.Mutex
	letters []letter
	dials   int
	tries   []time.Time
	rcpt    func(to string) error
	limits  smtp.Limits
	dsn     bool
}

type visit struct {
	o *office
	l letter
}

func (o *office) NewSession(context.Context, smtp.Peer) (smtp.Session, error) {
	return &visit{o: o}, nil
}

func (v *visit) Mail(_ context.Context, from smtp.Mailbox, _ *smtp.MailOptions) error {
	v.l = letter{from: from.String(), at: time.Now()}
	v.o.mu.Lock()
	defer v.o.mu.Unlock()
	v.o.tries = append(v.o.tries, time.Now())
	return nil
}

func (v *visit) Rcpt(_ context.Context, to smtp.Mailbox, _ *smtp.RcptOptions) error {
	if v.o.rcpt != nil {
		if err := v.o.rcpt(to.String()); err != nil {
			return err
		}
	}
	v.l.to = append(v.l.to, to.String())
	return nil
}

func (v *visit) Data(_ context.Context, r io.Reader) (string, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	v.l.text = string(b)
	v.o.mu.Lock()
	defer v.o.mu.Unlock()
	v.o.letters = append(v.o.letters, v.l)
	return "", nil
}

func (v *visit) Reset()      {}
func (v *visit) Close(error) {}

func (o *office) got() []letter {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]letter(nil), o.letters...)
}

// A town has offices by address, and the servers of domains.
type town struct {
	offices map[string]*office
	mx      map[string][]*net.MX
}

func (w *town) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	if all, ok := w.mx[name]; ok {
		if all == nil {
			return nil, errors.New("the resolver does not answer")
		}
		return append([]*net.MX(nil), all...), nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (w *town) dial(_ context.Context, _, address string) (net.Conn, error) {
	o, ok := w.offices[address]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}
	}
	if o == nil {
		return nil, errors.New("connection refused")
	}
	o.mu.Lock()
	o.dials++
	o.mu.Unlock()
	client, server := net.Pipe()
	srv := &smtp.Server{Backend: o, Log: quiet, Limits: o.limits, DSN: o.dsn}
	go func() { _ = srv.Serve(context.Background(), server) }()
	return client, nil
}

// inTown runs f with a queue that delivers in the town, in a bubble, where time costs nothing.
func inTown(t *testing.T, w *town, o Options, f func(t *testing.T, q *Queue)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ran(t, w, o, func(q *Queue) { f(t, q) })
	})
}

// ran runs f with a queue that delivers in the town, and ranIn with one that lies in a folder.
func ran(t *testing.T, w *town, o Options, f func(q *Queue)) {
	t.Helper()
	ranIn(t, t.TempDir(), w, o, f)
}

func ranIn(t *testing.T, dir string, w *town, o Options, f func(q *Queue)) {
	t.Helper()
	o.Resolver, o.Dial, o.Log = w, w.dial, quiet
	if o.Name == "" {
		o.Name = "queue.example"
	}
	q, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	f(q)
	cancel()
	<-ended
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}

// letterTo is an envelope for some recipients.
func letterTo(from string, to ...string) (e Envelope) {
	e.From, _ = smtp.ParseMailbox(from)
	for _, s := range to {
		m, err := smtp.ParseMailbox(s)
		if err != nil {
			panic(err)
		}
		e.To = append(e.To, smtp.Recipient{Mailbox: m})
	}
	return e
}

// submit puts a message into the queue.
func submit(t *testing.T, q *Queue, e Envelope, text string) string {
	t.Helper()
	id, err := q.Submit(e, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return id
}
