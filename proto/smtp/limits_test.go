package smtp

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLineLimits: lines up to the limit are taken, longer ones answered with 500, at whatever cut, and the next line is
// found behind them.
func TestLineLimits(t *testing.T) {
	t.Parallel()
	for _, n := range []int{99, 100, 101, 102, 199, 200, 201, 5000, 40000} { // bytes, with CR LF
		line := "NOOP " + strings.Repeat("x", n-7) + "\r\n"
		for _, cut := range []int{0, 1, 50, n - 2, n - 1, 99, 100, 101} {
			cut = min(cut, n)
			srv := &Server{Backend: new(store), Limits: Limits{Line: 100}}
			answers := converse(t, srv, "EHLO x.example\r\n", line[:cut], line[cut:], "VRFY x\r\nQUIT\r\n")
			want := "\r\n250 2.0.0 Ok\r\n252 "
			if n > 100 {
				want = "\r\n500 5.5.6 the line is too long\r\n252 "
			}
			if !strings.Contains(answers, want) || (srv.Stats().Long == 1) != (n > 100) {
				t.Errorf("%d bytes cut at %d: %q, %+v", n, cut, answers, srv.Stats())
			}
		}
	}
}

// TestLimits: what is over a limit, and how it is counted.
func TestLimits(t *testing.T) {
	t.Parallel()
	many := func(n int, l line) (all []line) {
		for range n {
			all = append(all, l)
		}
		return all
	}
	message := []line{{"MAIL FROM:<>", "250"}, {"RCPT TO:<a@x.example>", "250"}, {"DATA", "354"}, {"a\r\n.", "250"}}
	for _, row := range []struct {
		name   string
		limits Limits
		lines  [][]line
		count  func(s Stats) uint64
		want   uint64
	}{
		{"recipients", Limits{Recipients: 2}, [][]line{{{"MAIL FROM:<>", "250"}, {"RCPT TO:<a@x.example>", "250"},
			{"RCPT TO:<a@x.example>", "250"}, {"RCPT TO:<c@x.example>", "452 4.5.3"}, {"DATA", "354"}, {"a\r\n.", "250"},
			{"MAIL FROM:<>", "250"}, {"RCPT TO:<c@x.example>", "250"}}}, func(s Stats) uint64 { return s.Recipient }, 1},
		{"domains", Limits{Domains: 2}, [][]line{{{"EHLO x.example", "250-localhost/250-PIPELINING/250-SIZE 33554432/" +
			"250-8BITMIME/250-ENHANCEDSTATUSCODES/250-CHUNKING/250 LIMITS MAILMAX=1000 RCPTMAX=100 RCPTDOMAINMAX=2"},
			{"MAIL FROM:<>", "250"}, {"RCPT TO:<a@x.example>", "250"}, {"RCPT TO:<b@X.example>", "250"},
			{"RCPT TO:<a@y.example>", "250"}, {"RCPT TO:<a@z.example>", "452 4.5.3"}, {"RSET", "250"}, {"MAIL FROM:<>", "250"},
			{"RCPT TO:<a@z.example>", "452"}, {"RCPT TO:<a@y.example>", "250"}}},
			func(s Stats) uint64 { return s.Recipient }, 2},
		{"messages", Limits{Messages: 2}, [][]line{message, message, {{"MAIL FROM:<>", "421 4.7.0"}, {"", ""}}},
			func(s Stats) uint64 { return s.Errors }, 1},
		{"errors", Limits{Errors: 3}, [][]line{many(2, line{"FOO", "500"}), message, {{"FOO", "500"}, {"", "421"}, {"", ""}}},
			func(s Stats) uint64 { return s.Errors }, 1},
		{"junk", Limits{Junk: 3}, [][]line{many(2, line{"NOOP", "250"}), message, many(3, line{"RSET", "250"}),
			{{"NOOP", "421"}, {"", ""}}}, func(s Stats) uint64 { return s.Errors }, 1},
		{"names that it has told before", Limits{Junk: 3}, [][]line{many(3, line{"HELO x.example", "250"}),
			{{"HELO x.example", "421"}, {"", ""}}}, func(s Stats) uint64 { return s.Errors }, 1},
		{"messages that never come", Limits{Junk: 5}, [][]line{{{"MAIL FROM:<>", "250"}, {"RSET", "250"},
			{"MAIL FROM:<>", "250"}, {"RSET", "250"}, {"MAIL FROM:<>", "250"}, {"RSET", "421"}, {"", ""}}},
			func(s Stats) uint64 { return s.Errors }, 1},
		{"junk between chunks", Limits{Junk: 3}, [][]line{message[:2], {{"BDAT 1\r\na", "250"}}, many(2, line{"NOOP", "250"}),
			{{"NOOP", "421"}, {"", ""}}}, func(s Stats) uint64 { return s.Errors }, 1},
		{"a message", Limits{Message: 5}, [][]line{message[:3], {{"abcd\r\n.", "552 5.3.4"}}, message},
			func(s Stats) uint64 { return s.Large }, 1},
		{"one that fits", Limits{Message: 5}, [][]line{message[:3], {{"..ab\r\n.", "250"}}}, nil, 0},
		{"one by chunks", Limits{Message: 5}, [][]line{message[:2], {{"BDAT 3\r\nabc", "250"}, {"BDAT 3\r\nabc", "552"},
			{"BDAT 1\r\na", "552"}, {"BDAT 1 LAST\r\na", "552"}}, message}, func(s Stats) uint64 { return s.Large }, 3},
		{"a line of a message", Limits{TextLine: 6}, [][]line{message[:3], {{"abcde\r\nabcd\r\n.", "554 5.6.0"}}, message},
			func(s Stats) uint64 { return s.Long }, 1},
		{"one too large to read on", Limits{Message: 5, Discard: 20}, [][]line{message[:3],
			{{strings.Repeat("abcd\r\n", 600) + ".", "552"}, {"", ""}}}, func(s Stats) uint64 { return s.Large }, 1},
		{"a chunk of nobody too large to read on", Limits{Discard: 20}, [][]line{{{"BDAT 21\r\nabc", "552"}, {"", ""}}},
			func(s Stats) uint64 { return s.Large }, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			srv := &Server{Backend: new(store), Limits: row.limits}
			k := hello(t, serve(t, srv))
			for _, lines := range row.lines {
				for _, l := range lines {
					k.send(l.say)
					if l.say != "" && !strings.Contains(l.say, "BDAT") {
						k.send("\r\n")
					}
					k.want(l.want)
				}
			}
			if row.count != nil && row.count(srv.Stats()) != row.want {
				t.Errorf("the stats are %+v", srv.Stats())
			}
		})
	}
}

// TestLimitsOfParameters: what a client may send in one line fits within the default of Limits.Line.
func TestLimitsOfParameters(t *testing.T) {
	t.Parallel()
	st := new(store)
	k := hello(t, serve(t, &Server{Backend: st, DSN: true, UTF8: true, Binary: true}))
	label := strings.Repeat("d", 63)
	domain := strings.Join([]string{label, label, label, label[:61]}, ".")
	address := strings.Repeat("l", 64) + "@" + domain
	k.say("MAIL FROM:<"+address+"> SIZE=33554432 BODY=BINARYMIME SMTPUTF8 RET=HDRS ENVID="+strings.Repeat("+2B", 100)+
		" AUTH="+strings.Repeat("a", 500), "250")
	k.say("RCPT TO:<"+address+"> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;"+strings.Repeat("+2B", 500), "250")
	k.say("RCPT TO:<l"+address+">", "501")
	k.say("RCPT TO:<a@d"+domain+">", "501")
	k.say("RCPT TO:<a@"+label+"d.example>", "501")
}

// inBubble runs f beside a server in a bubble, where time costs nothing.
func inBubble(t *testing.T, srv *Server, f func(k *talker, ended <-chan error, cancel func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv.Log = quiet
		client, server := net.Pipe()
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- srv.Serve(ctx, server) }()
		k := talkOn(t, client)
		_ = client.SetDeadline(time.Time{})
		f(k, ended, cancel)
		_ = client.Close()
		synctest.Wait()
		cancel()
	})
}

// pass lets the time of a bubble pass.
func (k *talker) pass(d time.Duration) { <-time.After(d) }

// took checks how long something took.
func took(t *testing.T, begin time.Time, want time.Duration) {
	t.Helper()
	if d := time.Since(begin); d != want {
		t.Errorf("it took %v, want %v", d, want)
	}
}

// TestTimes: each time of RFC 5321, section 4.5.3.2, and those that keep a client from being slow for ever.
func TestTimes(t *testing.T) {
	t.Run("a command", func(t *testing.T) {
		srv := &Server{Backend: new(store)}
		inBubble(t, srv, func(k *talker, ended <-chan error, _ func()) {
			begin := time.Now()
			k.want("220", "421 4.4.2", "")
			took(t, begin, 5*time.Minute)
			if err := <-ended; err != nil || srv.Stats().Slow != 1 {
				t.Errorf("Serve: %v, %+v", err, srv.Stats())
			}
		})
	})
	t.Run("a command byte by byte", func(t *testing.T) {
		inBubble(t, &Server{Backend: new(store)}, func(k *talker, _ <-chan error, _ func()) {
			k.want("220")
			k.say("EHLO x.example", "250-")
			begin := time.Now()
			for range 4 {
				k.pass(time.Minute + 10*time.Second)
				k.send("N")
			}
			k.want("421 4.4.2", "")
			took(t, begin, 5*time.Minute)
		})
	})
	t.Run("a line that is too long, byte by byte", func(t *testing.T) {
		inBubble(t, &Server{Backend: new(store), Limits: Limits{Line: 3}}, func(k *talker, _ <-chan error, _ func()) {
			k.want("220")
			begin := time.Now()
			for range 29 {
				k.pass(10 * time.Second)
				k.send("N")
			}
			k.want("421 4.4.2", "")
			took(t, begin, 5*time.Minute)
		})
	})
	t.Run("each command has its own", func(t *testing.T) {
		inBubble(t, &Server{Backend: new(store)}, func(k *talker, _ <-chan error, _ func()) {
			k.want("220")
			for range 4 {
				k.pass(4 * time.Minute)
				k.say("NOOP", "250")
			}
		})
	})
	t.Run("a message that does not come", func(t *testing.T) {
		st := new(store)
		inBubble(t, &Server{Backend: st}, func(k *talker, _ <-chan error, _ func()) {
			k.want("220")
			k.send(envelope + "DATA\r\n")
			k.want("250-", "250", "250", "354")
			begin := time.Now()
			k.want("421 4.4.2", "")
			took(t, begin, 5*time.Minute)
			synctest.Wait()
			if letters, said := st.got(); len(letters) != 0 || !strings.HasSuffix(said, "rcpt b@x.example, reset, close") {
				t.Errorf("%+v, %s", letters, said)
			}
		})
	})
	t.Run("a message that stops", func(t *testing.T) {
		st := new(store)
		inBubble(t, &Server{Backend: st}, func(k *talker, _ <-chan error, _ func()) {
			k.want("220")
			k.send(envelope + "DATA\r\n")
			k.want("250-", "250", "250", "354")
			k.pass(4 * time.Minute)
			k.send("a")
			begin := time.Now()
			k.want("421 4.4.2", "")
			took(t, begin, 5*time.Minute)
			synctest.Wait()
			if letters, _ := st.got(); len(letters) != 1 || !errors.Is(letters[0].err, ErrTooSlow) {
				t.Errorf("%+v", letters)
			}
		})
	})
	t.Run("a message byte by byte", func(t *testing.T) {
		inBubble(t, &Server{Backend: new(store)}, func(k *talker, _ <-chan error, _ func()) {
			k.want("220")
			k.send(envelope + "DATA\r\n")
			k.want("250-", "250", "250", "354")
			begin := time.Now()
			k.send("a")
			for range 9 {
				k.pass(time.Minute)
				k.send("a")
			}
			k.want("421 4.4.2", "")
			took(t, begin, 10*time.Minute)
		})
	})
	t.Run("a message at the rate that it may have", func(t *testing.T) {
		inBubble(t, &Server{Backend: new(store)}, func(k *talker, _ <-chan error, _ func()) {
			k.want("220")
			k.send(envelope + "DATA\r\n")
			k.want("250-", "250", "250", "354")
			for range 60 {
				k.pass(time.Minute)
				k.send(strings.Repeat(strings.Repeat("x", 498)+"\r\n", 60))
			}
			k.say(".", "250")
		})
	})
	t.Run("a client that does not read", func(t *testing.T) {
		inBubble(t, &Server{Backend: new(store)}, func(k *talker, ended <-chan error, _ func()) {
			begin := time.Now()
			if err := <-ended; err != nil && !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("Serve: %v", err)
			}
			took(t, begin, time.Minute)
		})
	})
}

// TestLeave: a server that shuts down tells clients that wait, and takes messages that are under way.
func TestLeave(t *testing.T) {
	t.Run("a client that waits", func(t *testing.T) {
		st := new(store)
		inBubble(t, &Server{Backend: st}, func(k *talker, ended <-chan error, cancel func()) {
			k.want("220")
			k.say("EHLO x.example", "250-")
			synctest.Wait()
			cancel()
			k.want("421 4.3.2", "")
			if err := <-ended; err != nil {
				t.Errorf("Serve: %v", err)
			}
			if len(st.closed) != 1 || st.closed[0] != ErrLeaving {
				t.Errorf("it was closed with %v", st.closed)
			}
		})
	})
	for _, begun := range []string{"", "begun"} {
		t.Run("a message "+begun, func(t *testing.T) {
			st := new(store)
			inBubble(t, &Server{Backend: st}, func(k *talker, ended <-chan error, cancel func()) {
				k.want("220")
				k.send(envelope + "DATA\r\n")
				k.want("250-", "250", "250", "354")
				if begun != "" {
					k.send(begun)
				}
				synctest.Wait()
				cancel()
				k.pass(time.Minute)
				k.send(" and ended\r\n.\r\n")
				k.want("250 2.0.0", "421 4.3.2", "")
				if err := <-ended; err != nil {
					t.Errorf("Serve: %v", err)
				}
				if letters, _ := st.got(); len(letters) != 1 || letters[0].text != begun+" and ended\r\n" {
					t.Errorf("%+v", letters)
				}
			})
		})
	}
	t.Run("Drain", func(t *testing.T) {
		srv := &Server{Backend: new(store)}
		inBubble(t, srv, func(k *talker, _ <-chan error, _ func()) {
			k.want("220")
			k.say("EHLO x.example", "250-")
			k.say("MAIL FROM:<>", "250")
			srv.Drain()
			k.say("RCPT TO:<a@x.example>", "250")
			k.say("DATA", "354")
			k.say(".", "250", "421 4.3.2", "")
		})
	})
}
