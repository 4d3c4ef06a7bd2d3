package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestBadReplies: what is no reply, and what is too long, ends the connection.
func TestBadReplies(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]error{
		"\r\n": ErrReplySyntax, "22 x\r\n": ErrReplySyntax, "220x\r\n": ErrReplySyntax, "120 x\r\n": ErrReplySyntax,
		"620 x\r\n": ErrReplySyntax, "220-x\r\n250 x\r\n": ErrReplySyntax, "2a0 x\r\n": ErrReplySyntax,
		"220 x\n": ErrReplyEnd, "220 x\r\r\n": ErrReplyEnd, "220 \x00\r\n": ErrReplySyntax, "220 a\rb\r\n": ErrReplyEnd,
		"220 " + strings.Repeat("x", 2100) + "\r\n": ErrReplyLong,
		strings.Repeat("x", 9000):                   ErrReplyLong,
		strings.Repeat("220-x\r\n", 200):            ErrReplyLong,
		"220-x\r\n":                                 io.ErrUnexpectedEOF,
		"":                                          io.ErrUnexpectedEOF,
	} {
		addr := scripted(t, func(k *talker) {
			k.send(said)
			k.closeWrite()
			_, _ = io.Copy(io.Discard, k.r)
		})
		if _, err := reach(t.Context(), addr, DialOptions{Security: NoTLS}); !errors.Is(err, want) {
			t.Errorf("%.20q: %v, want %v", said, err, want)
		}
	}
	for said, code := range map[string]int{"554 go away\r\n": 554, "421-later\r\n421 later\r\n": 421} {
		addr := scripted(t, func(k *talker) { k.send(said); k.closeWrite(); k.heard("") })
		_, err := reach(t.Context(), addr, DialOptions{Security: NoTLS})
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != code {
			t.Errorf("%q: %v", said, err)
		}
	}
}

// TestUnasked: a reply that nobody asked for is not taken for the answer to the next command; a farewell is told.
func TestUnasked(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{"250 all is well\r\n": ErrUnasked.Error(), "250": ErrUnasked.Error(),
		"421 4.3.2 good night\r\n": "smtp: 421 4.3.2 good night"} {
		addr := scripted(t, func(k *talker) {
			k.greets()
			k.heard("NOOP")
			k.send("250 ok\r\n" + said)
			k.closeWrite()
			k.heard("")
		})
		c := connect(t, addr, ClientOptions{})
		if err := c.Noop(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := c.Noop(t.Context()); err == nil || err.Error() != want {
				t.Errorf("%q: %v", said, err)
			}
		}
	}
}

// TestClientStartTLSInjection: what comes in plain text behind the answer to STARTTLS is not taken for what the server
// says in safety (CVE-2011-0411's other half), and what was offered before is forgotten.
func TestClientStartTLSInjection(t *testing.T) {
	t.Parallel()
	cfg, ccfg := testTLS()
	plain := true // until the round without an injection
	for _, injected := range []string{"250-evil\r\n250 AUTH PLAIN\r\n", "2", "", ""} {
		helo := !plain
		plain = plain && injected != ""
		addr := scripted(t, func(k *talker) {
			k.greets("STARTTLS", "AUTH PLAIN", "SIZE 7", "LIMITS MAILMAX=1")
			k.heard("STARTTLS")
			k.send("220 go\r\n" + injected)
			tc := tls.Server(k.nc, cfg)
			if tc.Handshake() != nil {
				return
			}
			k.nc = tc
			k.r.Reset(tc)
			k.heard("EHLO ")
			if helo {
				k.send("502 not any more\r\n")
				k.heard("HELO ")
				k.send("250 x\r\n")
			} else {
				k.send("250-x\r\n250 AUTH LOGIN\r\n")
			}
			k.heard("QUIT")
		})
		c, err := reach(t.Context(), addr, DialOptions{TLS: ccfg})
		if injected != "" {
			if err == nil {
				t.Errorf("%q: it goes on", injected)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if a, _ := c.Extension("AUTH"); a != map[bool]string{false: "LOGIN"}[helo] {
			t.Errorf("AUTH is %q", a)
		}
		if _, ok := c.Extension("SIZE"); ok || c.offered != (serverLimits{}) {
			t.Error("SIZE or LIMITS is remembered")
		}
		_ = c.Quit(t.Context())
	}
}

// TestLMTPCut: a server that breaks off between its answers has taken the message for those that it has told (RFC 2033,
// section 5).
func TestLMTPCut(t *testing.T) {
	t.Parallel()
	addr := scripted(t, func(k *talker) {
		k.send("220 x\r\n")
		k.heard("LHLO")
		k.send("250-x\r\n250 PIPELINING\r\n")
		k.heard("MAIL", "RCPT", "RCPT", "RCPT", "DATA")
		k.send("250\r\n250\r\n250\r\n250\r\n354\r\n")
		k.heard("x", ".")
		k.send("250 2.0.0 yes\r\n452 4.2.2 full\r\n")
	})
	c := connect(t, addr, ClientOptions{LMTP: true})
	r, err := c.Send(t.Context(), &Message{From: sender, To: to("b", "c", "d"), Data: strings.NewReader("x\r\n")})
	if err == nil || r.Errors[0] != nil || r.Errors[2] != err || r.Taken() != 1 {
		t.Errorf("Send: %v, %+v", err, r)
	}
	if e, ok := errors.AsType[*Error](r.Errors[1]); !ok || e.Code != 452 {
		t.Errorf("the second: %v", r.Errors[1])
	}
}

// TestContext: a context that is done ends what waits, with its cause.
func TestContext(t *testing.T) {
	t.Parallel()
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	addr := scripted(t, func(k *talker) {
		k.greets()
		k.heard("NOOP")
		cancel(cause)
		_, _ = io.Copy(io.Discard, k.r)
	})
	c := connect(t, addr, ClientOptions{})
	for _, ctx := range []context.Context{ctx, ctx, t.Context()} {
		if err := c.Noop(ctx); err != cause {
			t.Errorf("Noop: %v", err)
		}
	}
}

// TestClientTimes: each wait has its time (RFC 5321, section 4.5.3.2).
func TestClientTimes(t *testing.T) {
	for _, row := range []struct {
		name  string
		steps []string // what the server says, and then nothing
		want  time.Duration
	}{
		{"the greeting", nil, 5 * time.Minute},
		{"EHLO", []string{"220 x\r\n"}, 5 * time.Minute},
		{"MAIL", []string{"220 x\r\n", "250 x\r\n"}, 5 * time.Minute},
		{"RCPT", []string{"220 x\r\n", "250 x\r\n", "250 x\r\n"}, 5 * time.Minute},
		{"DATA", []string{"220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n"}, 2 * time.Minute},
		{"the message", []string{"220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n"}, 10 * time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				go func() {
					b := make([]byte, 100)
					for i, s := range row.steps {
						if i > 0 {
							_, _ = server.Read(b)
						}
						_, _ = io.WriteString(server, s)
					}
					_, _ = io.Copy(io.Discard, server)
				}()
				begin := time.Now()
				c, err := NewClient(t.Context(), client, ClientOptions{})
				if err == nil {
					_, err = c.Send(t.Context(), &Message{To: to("b"), Data: strings.NewReader("x\r\n")})
				}
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("it ends with %v", err)
				}
				took(t, begin, row.want)
				_, _ = client.Close(), server.Close()
			})
		})
	}
	t.Run("a server that does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			go func() {
				b := make([]byte, 100)
				for i, s := range []string{"220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n"} {
					if i > 0 {
						_, _ = server.Read(b)
					}
					_, _ = io.WriteString(server, s)
				}
			}()
			c, err := NewClient(t.Context(), client, ClientOptions{})
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			_, err = c.Send(t.Context(), &Message{To: to("b"), Data: strings.NewReader("x\r\n")})
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("it ends with %v", err)
			}
			took(t, begin, 3*time.Minute+answerTime)
			_, _ = client.Close(), server.Close()
		})
	})
}
