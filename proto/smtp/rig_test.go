package smtp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/stage"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

var quiet = slog.New(slog.DiscardHandler)

// A letter is a message as a store got it.
type letter struct {
	from  Mailbox
	mail  MailOptions
	to    []Mailbox
	rcpt  []RcptOptions
	text  string
	proto string
	err   error // of the reader
}

// A store is a Backend that keeps what it gets. The functions, if set, refuse.
type store struct {
	mu      sync.Mutex
	letters []letter
	said    []string // the calls, in their order
	closed  []error

	session func(p Peer) error
	hello   func(name string) error
	mail    func(from Mailbox) error
	rcpt    func(to Mailbox) error
	data    func(s *storing, r io.Reader) (string, error)
	auth    func(mechanism string) (Exchange, error)
	each    func(to []Mailbox, r io.Reader) ([]error, error)
	names   []string // mechanisms
}

// A storing is a session of a store.
type storing struct {
	st *store
	p  Peer
	l  letter
}

func (st *store) say(format string, args ...any) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.said = append(st.said, fmt.Sprintf(format, args...))
}

func (st *store) NewSession(_ context.Context, p Peer) (Session, error) {
	st.say("new")
	if st.session != nil {
		if err := st.session(p); err != nil {
			return nil, err
		}
	}
	s := &storing{st: st, p: p}
	switch {
	case st.auth != nil:
		return &authStoring{s}, nil
	case st.each != nil:
		return &eachStoring{s}, nil
	}
	return s, nil
}

func (s *storing) Hello(_ context.Context, name string) error {
	s.st.say("hello %s", name)
	if s.st.hello != nil {
		return s.st.hello(name)
	}
	return nil
}

func (s *storing) Mail(_ context.Context, from Mailbox, o *MailOptions) error {
	s.st.say("mail %s", from)
	if s.st.mail != nil {
		if err := s.st.mail(from); err != nil {
			return err
		}
	}
	s.l = letter{from: from, mail: *o}
	return nil
}

func (s *storing) Rcpt(_ context.Context, to Mailbox, o *RcptOptions) error {
	s.st.say("rcpt %s", to)
	if s.st.rcpt != nil {
		if err := s.st.rcpt(to); err != nil {
			return err
		}
	}
	s.l.to, s.l.rcpt = append(s.l.to, to), append(s.l.rcpt, *o)
	return nil
}

func (s *storing) Data(_ context.Context, r io.Reader) (string, error) {
	s.st.say("data")
	if s.st.data != nil {
		return s.st.data(s, r)
	}
	return "", s.keep(r)
}

// keep reads a message and keeps it, whole or not.
func (s *storing) keep(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.l.text, s.l.err, s.l.proto = string(b), err, s.p.Protocol()
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.st.letters = append(s.st.letters, s.l)
	return err
}

func (s *storing) Reset() { s.st.say("reset") }

func (s *storing) Close(reason error) {
	s.st.say("close")
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.st.closed = append(s.st.closed, reason)
}

type authStoring struct{ *storing }

func (s *authStoring) Mechanisms() []string { return s.st.names }

func (s *authStoring) Auth(_ context.Context, mechanism string) (Exchange, error) {
	return s.st.auth(mechanism)
}

type eachStoring struct{ *storing }

func (s *eachStoring) DataEach(_ context.Context, r io.Reader) ([]error, error) {
	s.st.say("each")
	return s.st.each(s.l.to, r)
}

// got is what the store has, and the calls.
func (st *store) got() (letters []letter, said string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return append([]letter(nil), st.letters...), strings.Join(st.said, ", ")
}

// serve serves on a port of its own until the test ends, and returns the address.
func serve(t *testing.T, srv *Server) string {
	t.Helper()
	if srv.Log == nil {
		srv.Log = quiet
	}
	ln, err := stage.Listen(t)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				if err := srv.Serve(ctx, nc); err != nil && !errors.Is(err, ErrHangUp) {
					t.Logf("Serve: %v", err)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		cancel()
		wg.Wait()
	})
	return ln.Addr().String()
}

// reach is Dial to an address of a test's, on loopback or in a lab, whose server has a certificate for 127.0.0.1.
func reach(ctx context.Context, addr string, o DialOptions) (*Client, error) {
	if o.Dial == nil {
		o.Dial = stage.DialContext
	}
	if o.TLS != nil && o.TLS.ServerName == "" {
		o.TLS = o.TLS.Clone()
		o.TLS.ServerName = "127.0.0.1"
	}
	return Dial(ctx, addr, o)
}

// A talker is a client that says what a test tells it to.
type talker struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

func dial(t testing.TB, addr string) *talker {
	t.Helper()
	nc, err := stage.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	return talkOn(t, nc)
}

func talkOn(t testing.TB, nc net.Conn) *talker {
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	return &talker{t, nc, bufio.NewReader(nc)}
}

// send writes text as it is.
func (k *talker) send(text string) {
	k.t.Helper()
	if _, err := io.WriteString(k.nc, text); err != nil {
		k.t.Logf("sending %q: %v", text, err)
	}
}

// closeWrite ends what is sent.
func (k *talker) closeWrite() { _ = k.nc.(interface{ CloseWrite() error }).CloseWrite() }

// line reads one; "" is the end.
func (k *talker) line() string {
	line, err := k.r.ReadString('\n')
	if err == io.EOF && line == "" {
		return ""
	}
	if err != nil {
		return line + " " + err.Error()
	}
	return strings.TrimSuffix(line, "\r\n")
}

// reply reads one, with a slash between its lines.
func (k *talker) reply() string {
	var lines []string
	for {
		l := k.line()
		lines = append(lines, l)
		if len(l) < 4 || l[3] != '-' {
			return strings.Join(lines, "/")
		}
	}
}

// want reads a reply for each that is wanted, which begins so; "" is the end.
func (k *talker) want(replies ...string) {
	k.t.Helper()
	for _, w := range replies {
		if got := k.reply(); !strings.HasPrefix(got, w) || w == "" && got != "" {
			k.t.Fatalf("the answer is %q, want %q", got, w)
		}
	}
}

// say sends a line and wants replies.
func (k *talker) say(line string, replies ...string) {
	k.t.Helper()
	k.send(line + "\r\n")
	k.want(replies...)
}

// hello is a new client that was greeted.
func hello(t testing.TB, addr string) *talker {
	t.Helper()
	k := dial(t, addr)
	k.want("220 ")
	k.say("EHLO client.example", "250-")
	return k
}

func itoa(n int) string { return strconv.Itoa(n) }
