package smtp

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// blocked is Server.Block on a goroutine of its own, which gives up when ctx is done.
func blocked(ctx context.Context, f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// A slowSession has one method wait, and notes that no two run at once, and what was called.
type slowSession struct {
	at    string
	hold  chan struct{}
	begun chan struct{}
	boom  bool

	mu    sync.Mutex // held by each method: TryLock fails if there is another
	calls []string
	text  string
	err   error
	ended chan error
}

func (s *slowSession) enter(name string) error {
	if !s.mu.TryLock() {
		panic("two methods at once")
	}
	defer s.mu.Unlock()
	s.calls = append(s.calls, name)
	if name == s.at {
		close(s.begun)
		<-s.hold
		if s.boom {
			panic("boom")
		}
	}
	return nil
}

func (s *slowSession) Mechanisms() []string                               { return []string{"PLAIN"} }
func (s *slowSession) Hello(context.Context, string) error                { return s.enter("Hello") }
func (s *slowSession) Mail(context.Context, Mailbox, *MailOptions) error  { return s.enter("Mail") }
func (s *slowSession) Rcpt(context.Context, Mailbox, *RcptOptions) error  { return s.enter("Rcpt") }
func (s *slowSession) Reset()                                             { _ = s.enter("Reset") }
func (s *slowSession) Auth(_ context.Context, _ string) (Exchange, error) { return s, s.enter("Auth") }
func (s *slowSession) Next(context.Context, []byte) ([]byte, bool, error) {
	return nil, true, s.enter("Next")
}
func (s *slowSession) Verify(context.Context, string) (string, Mailbox, error) {
	return "", Mailbox{"b", "x.example"}, s.enter("Verify")
}

func (s *slowSession) Data(_ context.Context, r io.Reader) (string, error) {
	err := s.enter("Data")
	var b strings.Builder
	if err == nil {
		_, err = io.Copy(&b, r)
	}
	s.text, s.err = b.String(), err
	return "7", err
}

func (s *slowSession) Close(reason error) {
	_ = s.enter("Close")
	s.ended <- reason
}

// TestBlock: with Server.Block each method may wait; and when the connection ends meanwhile, Close comes behind it.
func TestBlock(t *testing.T) {
	long := strings.Repeat("a line of some length\r\n", 10_000)
	talk := "EHLO x.example\r\nAUTH PLAIN AGEAYg==\r\nVRFY b\r\nMAIL FROM:<>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n" +
		long + ".\r\nQUIT\r\n"
	for _, at := range []string{"New", "Hello", "Auth", "Next", "Verify", "Mail", "Rcpt", "Data"} {
		for _, end := range []string{"well", "given up", "panic"} {
			t.Run(at+" "+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &slowSession{at: at, hold: make(chan struct{}), begun: make(chan struct{}), boom: end == "panic",
						ended: make(chan error, 1)}
					srv := &Server{Block: blocked, PlainAuth: true, Log: quiet, Backend: BackendFunc(
						func(context.Context, Peer) (Session, error) { return s, s.enter("New") })}
					client, server := net.Pipe()
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					served := make(chan struct{})
					go func() { // as on a loop: the context of the turns ends with the connection
						defer close(served)
						c := srv.NewConn(server)
						err := c.Open(ctx)
						for err == nil {
							err = c.Turn(ctx)
						}
						c.Closed(err)
						_ = server.Close()
					}()
					go func() { _, _ = io.WriteString(client, talk) }()
					said := make(chan string, 1)
					go func() {
						b, _ := io.ReadAll(client)
						said <- string(b)
					}()
					<-s.begun
					synctest.Wait()
					if end == "given up" {
						cancel()
						<-served
						select {
						case <-s.ended:
							t.Error("Close was called in the midst of a method")
						default:
						}
					}
					close(s.hold)
					reply := <-said
					if at == "New" && end == "panic" {
						if !strings.HasPrefix(reply, "421 ") {
							t.Errorf("it was told %q", reply)
						}
						return
					}
					checkBlocked(t, s, end, <-s.ended, reply, long)
				})
			})
		}
	}
}

// checkBlocked checks how a session ended.
func checkBlocked(t *testing.T, s *slowSession, end string, reason error, reply, long string) {
	t.Helper()
	const all = "New Hello Auth Next Verify Mail Rcpt Data Reset Close"
	calls := strings.Join(s.calls, " ")
	switch end {
	case "well":
		if calls != all || reason != io.EOF || s.text != long || !strings.Contains(reply, "250 2.0.0 Ok: 7\r\n221") {
			t.Errorf("called: %s; ended by %v; %d bytes came of %d; told: %s", calls, reason, len(s.text), len(long), reply)
		}
	case "given up":
		want, _, _ := strings.Cut(all, " "+s.at+" ")
		if s.at == "New" {
			want = ""
		}
		want = strings.TrimSpace(want + " " + s.at)
		if strings.Contains(all[:strings.Index(all, s.at)+len(s.at)], "Rcpt") || s.at == "Rcpt" {
			want += " Reset"
		}
		if want += " Close"; calls != want || !errors.Is(reason, ErrHangUp) {
			t.Errorf("called: %s, want %s; ended by %v", calls, want, reason)
		}
		if s.at == "Data" && s.err == nil {
			t.Error("Data took a message of which it had not all")
		}
	case "panic":
		if !strings.HasSuffix(calls, "Close") || !strings.Contains(reply, "421 4.3.0") {
			t.Errorf("called: %s; told: %s", calls, reply)
		}
	}
}

// TestBlockNever: a method that Block has not begun when it gives up never begins.
func TestBlockNever(t *testing.T) {
	s := &slowSession{ended: make(chan error, 1)}
	var late []func()
	allow := true
	srv := &Server{Log: quiet, Block: func(_ context.Context, f func()) bool {
		if allow {
			f()
		} else {
			late = append(late, f)
		}
		return allow
	}, Backend: BackendFunc(func(context.Context, Peer) (Session, error) { return s, nil })}
	client, server := net.Pipe()
	defer client.Close()
	go func() { _, _ = io.Copy(io.Discard, client) }()
	c := srv.NewConn(server)
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	allow = false
	go func() { _, _ = io.WriteString(client, "EHLO x.example\r\n") }()
	err := c.Turn(t.Context())
	c.Closed(err)
	for _, f := range late {
		f()
	}
	if got := strings.Join(s.calls, " "); got != "Close" || !errors.Is(<-s.ended, ErrHangUp) || len(late) != 1 {
		t.Errorf("called: %s; %d are late; %v", got, len(late), err)
	}
}
