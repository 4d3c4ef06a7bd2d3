package mailcatch

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/proto/smtp"
	"github.com/plexor-go/plexor/smtpd"
)

// A talk is a client's side of a session, line by line.
type talk struct {
	t testing.TB
	net.Conn
	lines *bufio.Reader
}

// newTalk connects to a server with a backend: on a goroutine, or on the engine.
func newTalk(t testing.TB, b *Backend, s *smtp.Server) *talk {
	t.Helper()
	b.ServerFor(s)
	s.Log = quiet
	var nc net.Conn
	var err error
	if b.Coroutines {
		srv := new(plexor.Server)
		a, openErr := srv.Open("tcp://127.0.0.1:0", smtpd.Handler(s))
		if openErr != nil {
			t.Fatal(openErr)
		}
		t.Cleanup(func() {
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
		})
		nc, err = net.Dial("tcp", a.String())
	} else {
		ln, listenErr := net.Listen("tcp", "127.0.0.1:0")
		if listenErr != nil {
			t.Fatal(listenErr)
		}
		done := make(chan error, 1)
		go func() {
			c, err := ln.Accept()
			if err == nil {
				err = s.Serve(context.Background(), c)
			}
			done <- err
		}()
		t.Cleanup(func() {
			_ = ln.Close() // nobody else comes
			<-done
		})
		nc, err = net.Dial("tcp", ln.Addr().String())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() }) // the test may have closed it
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &talk{t, nc, bufio.NewReader(nc)}
}

// say sends a line, unless it is empty, and returns the answer: its lines with blanks between, "" at the end.
func (k *talk) say(line string) string {
	k.t.Helper()
	if line != "" {
		if _, err := fmt.Fprintf(k.Conn, "%s\r\n", line); err != nil {
			return ""
		}
	}
	var all []string
	for {
		l, err := k.lines.ReadString('\n')
		if err != nil {
			return strings.Join(all, " ")
		}
		all = append(all, strings.TrimSpace(l))
		if len(l) < 4 || l[3] != '-' {
			return strings.Join(all, " ")
		}
	}
}

// TestBackend: a mail that comes by SMTP, on goroutines and on the engine, short and long.
func TestBackend(t *testing.T) {
	t.Parallel()
	for _, on := range []string{"goroutines", "coroutines"} {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			b := &Backend{Faults: new(Faults), Coroutines: on == "coroutines"}
			o := Options{}
			if b.Coroutines {
				o.Block = Await
			}
			b.Store = openStore(t, t.TempDir(), o)
			k := newTalk(t, b, &smtp.Server{PlainAuth: true})
			k.say("")
			long := strings.Repeat("0123456789", 20_000)
			for _, body := range []string{"hello", "..dots\r\n..", long} {
				for _, row := range [][2]string{
					{"EHLO client.example", "250-"}, {"MAIL FROM:<a@x>", "250 "}, {"RCPT TO:<b@y>", "250 "},
					{"RCPT TO:<c@y>", "250 "}, {"DATA", "354 "}, {"Subject: x\r\n\r\n" + body + "\r\n.", "250 "},
				} {
					if got := k.say(row[0]); !strings.HasPrefix(got, row[1]) {
						t.Fatalf("%.40s: %s", row[0], got)
					}
				}
				m, err := b.Store.Wait(t.Context(), Want{To: "c@y"})
				if err != nil || m.Sender != "a@x" || len(m.Recipients) != 2 || m.Helo != "client.example" ||
					m.Protocol != "ESMTP" || m.Peer != "127.0.0.1" {
					t.Errorf("the mail is %+v, %v", m, err)
				}
				want := "Subject: x\r\n\r\n" + strings.TrimPrefix(strings.ReplaceAll(body, "\n.", "\n"), ".") + "\r\n"
				if got := content(t, b.Store, m.ID); got != want {
					t.Errorf("%d bytes came, want %d", len(got), len(want))
				}
				if _, err := b.Store.DeleteAll(); err != nil {
					t.Error(err)
				}
			}
			if got := k.say("AUTH PLAIN AGEAYg=="); !strings.HasPrefix(got, "235") {
				t.Errorf("any password: %s", got)
			}
		})
	}
}

// TestBackendFaults: what a client hears of each kind of rule at each stage.
func TestBackendFaults(t *testing.T) {
	t.Parallel()
	lines := []string{"", "EHLO client.example", "MAIL FROM:<a@x>", "RCPT TO:<b@y>", "DATA",
		"Subject: x\r\n\r\nhello\r\n.", "NOOP"}
	for _, row := range []struct {
		name   string
		rules  []string
		want   string // the codes; - is the end
		caught int
	}{
		{"none", nil, "220 250 250 250 354 250 250", 1},
		{"connect", []string{"connect:127.*:554 5.7.1 go away"}, "554 503 503 503 503 503", 0},
		{"connect, 421", []string{"connect:*:421"}, "421 -", 0},
		{"connect, cut", []string{"connect:*:cut"}, "-", 0},
		{"helo", []string{"helo:client.*:550"}, "220 550 503 503 503 250", 0},
		{"mail", []string{"mail:a@*:451 4.7.1 later"}, "220 250 451 503 503 250", 0},
		{"rcpt", []string{"rcpt:b@*:550 5.1.1 no such user"}, "220 250 250 550 554 250", 0},
		{"rcpt, another", []string{"rcpt:c@*:550"}, "220 250 250 250 354 250 250", 1},
		{"rcpt, 421", []string{"rcpt:*:421"}, "220 250 250 421 -", 0},
		{"rcpt, cut", []string{"rcpt:*:cut"}, "220 250 250 -", 0},
		{"data", []string{"data:b@y:554 5.6.0 no"}, "220 250 250 250 354 554 250", 0},
		{"data, 421", []string{"data:*:421"}, "220 250 250 250 354 421 -", 0},
		{"data, cut", []string{"data:*:cut=5"}, "220 250 250 250 354 -", 0},
		{"data, cut behind the end", []string{"data:*:cut=5000"}, "220 250 250 250 354 -", 0},
		{"delays", []string{"connect:*:delay=1ms", "rcpt:*:delay=1ms", "data:*:delay=1ms"}, "220 250 250 250 354 250 250", 1},
	} {
		for _, coroutines := range []bool{false, true} {
			t.Run(fmt.Sprint(row.name, " coroutines=", coroutines), func(t *testing.T) {
				t.Parallel()
				b := &Backend{Faults: new(Faults), Coroutines: coroutines}
				o := Options{}
				if coroutines {
					o.Block = Await
				}
				b.Store = openStore(t, t.TempDir(), o)
				if err := b.Faults.Set(row.rules); err != nil {
					t.Fatal(err)
				}
				k := newTalk(t, b, new(smtp.Server))
				var codes []string
				for _, line := range lines {
					if strings.HasPrefix(line, "Subject") && codes[len(codes)-1] != "354" {
						continue
					}
					got := k.say(line)
					if got == "" {
						codes = append(codes, "-")
						break
					}
					codes = append(codes, got[:3])
				}
				if got := strings.Join(codes, " "); got != row.want {
					t.Errorf("the answers are %s, want %s", got, row.want)
				}
				if n := b.Store.Counts().Caught; n != int64(row.caught) {
					t.Errorf("%d caught", n)
				}
			})
		}
	}
}

// TestBackendRefuses: a store that has no room says so, and a token is asked for.
func TestBackendRefuses(t *testing.T) {
	t.Parallel()
	store := openStore(t, t.TempDir(), Options{Limits: Limits{MessageBytes: 1000, Bytes: 1200}})
	b := &Backend{Store: store, Faults: new(Faults), Token: "secret"}
	k := newTalk(t, b, &smtp.Server{PlainAuth: true, NeedAuth: true})
	k.say("")
	big := strings.Repeat("x", 998)
	for _, row := range [][2]string{
		{"EHLO x", "250-"},
		{"MAIL FROM:<a@x>", "530 "},
		{"AUTH PLAIN AGEAYg==", "535 "}, // a, b
		{"AUTH LOGIN YQ==", "334 "},
		{"c2VjcmV0", "235 "},
		{"MAIL FROM:<a@x> SIZE=5000", "552 "},
		{"MAIL FROM:<a@x>", "250 "}, {"RCPT TO:<b@y>", "250 "}, {"DATA", "354 "}, {big + "\r\n.", "250 "},
		{"MAIL FROM:<a@x>", "250 "}, {"RCPT TO:<b@y>", "250 "}, {"DATA", "354 "}, {big + "\r\n.", "452 4.3.1 "},
		{"MAIL FROM:<a@x>", "250 "}, {"RCPT TO:<b@y>", "250 "}, {"DATA", "354 "}, {big + "\r\n" + big + "\r\n.", "552 "},
	} {
		if got := k.say(row[0]); !strings.HasPrefix(got, row[1]) {
			t.Errorf("%.40s: %s, want %s", row[0], got, row[1])
		}
	}
}

// TestAwaitOffLoop: Await takes the context of a coroutine, and says that it has not waited when that is over.
func TestAwaitOffLoop(t *testing.T) {
	t.Parallel()
	done := make(chan bool, 2)
	srv := new(plexor.Server)
	a, err := srv.Open("tcp://127.0.0.1:0", plexor.HandlerFunc(func(c *plexor.Conn) {
		done <- Await(c.Context(), func() {})
		ctx, cancel := context.WithCancel(c.Context())
		cancel()
		done <- Await(ctx, func() {})
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	nc, err := net.Dial("tcp", a.String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if !<-done || <-done {
		t.Error("Await has waited for a context that was over, or not for one that was not")
	}
}
