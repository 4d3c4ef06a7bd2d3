package plexor_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// TestTurnsEnds: how a connection of Turns can end, what its peer reads, and what is logged and counted.
func TestTurnsEnds(t *testing.T) {
	beside(t)
	failed := func(s plexor.Stats) int64 { return s.Failed }
	for _, row := range []struct {
		name, sent, read string
		end              bool // the client closes its half
		log              []string
		count            func(plexor.Stats) int64
	}{
		{"the end of the stream", "a\nb\n", "A\nB\nBYE\n", true, nil, nil},
		{"no more than the end", "", "BYE\n", true, nil, nil},
		{"an end inside a line", "a\nbc", "A\n", true, []string{"a handler failed", "unexpected EOF"}, failed},
		{"an end that is not read", "a\nrest\n", "A\nOFF\n", true, nil, nil},
		{"io.EOF", "a\nquit\nb\n", "A\nQUIT\n", false, nil, nil},
		{"io.EOF, given away", "a\nshare\n", "A\nSHARE\nshared\n", false, nil, nil},
		{"an error", "a\nfail\nb\n", "A\n", false, []string{"a handler failed", "I said so"}, failed},
		{"an error after a wait", "a\nwait\nfail\nb\n", "A\nWAIT\n", false,
			[]string{"a handler failed", "I said so"}, failed},
		{"nothing read", "a\nidle\nb\n", "A\nIDLE\n", false, []string{"a handler failed", "had read nothing"}, failed},
		{"Close", "a\nclose\nb\n", "A\nCLOSE\n", false, nil, nil},
		{"Abort", "a\nabort\nb\n", "", false, nil, nil},
		{"a panic", "panic\nb\n", "", false, []string{"a handler panicked", "turns_ends_test.go"},
			func(s plexor.Stats) int64 { return s.Panics }},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachMessagePlace(t, func(t *testing.T, p place) {
				last := ""
				b := p.serve(t, &plexor.Server{Loops: 1}, plexor.Turns(func(c *plexor.Conn) (err error) {
					switch last {
					case "idle":
						return nil
					case "rest":
						_, err := io.WriteString(c, "OFF\n")
						return err
					}
					line, err := lineOf(c)
					last = line
					switch {
					case err == io.EOF:
						_, err := io.WriteString(c, "BYE\n")
						return err
					case err != nil:
						return err
					case line == "panic":
						panic("oh no")
					case line == "fail":
						return errors.New("I said so")
					case line == "rest":
						return nil
					case line == "wait":
						if err := coro.Sleep(c.Context(), time.Millisecond); err != nil {
							return err
						}
					case line == "abort":
						return c.Abort()
					}
					if _, err := io.WriteString(c, strings.ToUpper(line)+"\n"); err != nil {
						return err
					}
					switch line {
					case "quit":
						return io.EOF
					case "close":
						return c.Close()
					case "share":
						sh := c.Shared()
						go func() { _, _ = io.WriteString(sh, "shared\n"); _ = sh.Close() }()
						return io.EOF
					}
					return nil
				}))
				client := b.dialMessages()
				send(t, client, row.sent)
				if row.end {
					closeWrite(t, client)
				}
				got, err := io.ReadAll(client)
				if cut := row.read == "" && err != nil; !cut && (string(got) != row.read || err != nil) {
					t.Errorf("read %q, %v; want %q", got, err, row.read)
				}
				client.Close()
				b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.Handlers == 0 })
				if row.log != nil {
					b.log.says(t, row.log...)
					b.await("the count", func(s plexor.Stats) bool { return row.count(s) == 1 })
				} else if text := b.log.text(); strings.Contains(text, "WARN") || strings.Contains(text, "ERROR") {
					t.Errorf("the log says:\n%s", text)
				}
			})
		})
	}
}

// TestTurnsHalfClose: the peer's end begins a turn of its own, at once or late, and the
// handler can still write much more than fits anywhere.
func TestTurnsHalfClose(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		farewell := strings.Repeat("farewell ", 100_000)
		b := p.serve(t, &plexor.Server{}, plexor.Turns(func(c *plexor.Conn) error {
			line, err := lineOf(c)
			if err == io.EOF {
				if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("Read again: %d, %v", n, err)
				}
				_, err = io.WriteString(c, farewell)
				return err
			}
			if err == nil {
				_, err = io.WriteString(c, line+"\n")
			}
			return err
		}))
		for _, sent := range []string{"", "a\n", "a\nb\n"} {
			for _, late := range []bool{false, true} {
				c := b.dialMessages()
				send(t, c, sent)
				if late {
					want(t, c, sent)
				}
				closeWrite(t, c)
				got, err := io.ReadAll(c)
				if wanted := farewell; err != nil || !late && string(got) != sent+wanted || late && string(got) != wanted {
					t.Errorf("sent %q, late %v: read %d bytes, %v; want the lines and %d", sent, late, len(got), err, len(farewell))
				}
			}
		}
	})
}

// TestTurnsContext: a context a turn, which ends with it, or when the connection breaks.
func TestTurnsContext(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		var last context.Context
		ended := make(chan error, 1)
		b := p.serve(t, &plexor.Server{Loops: 1}, plexor.Turns(func(c *plexor.Conn) error {
			if last != nil && !errors.Is(context.Cause(last), plexor.ErrReturned) {
				return fmt.Errorf("the last one's context ended with %v", context.Cause(last))
			}
			last = c.Context()
			line, err := lineOf(c)
			if err != nil {
				return err
			}
			if line == "wait" {
				io.WriteString(c, "waits\n")
				err := coro.Sleep(last, time.Hour)
				ended <- err
				return err
			}
			_, err = io.WriteString(c, line+"\n")
			return err
		}))
		client := b.dialMessages()
		send(t, client, "a\nb\n")
		want(t, client, "a\nb\n")
		send(t, client, "wait\n")
		want(t, client, "waits\n")
		raw := client
		if tc, ok := client.(*tls.Conn); ok {
			raw = tc.NetConn()
		}
		send(t, client, "unread") // so that the end of a unix socket is a reset, too
		reset(t, raw)
		if p.addr == "tcp://127.0.0.1:0" || strings.HasPrefix(p.addr, "tls:") {
			if err := receive(t, ended, "the end of the wait"); err == nil || errors.Is(err, plexor.ErrReturned) {
				t.Errorf("the wait ended with %v", err)
			}
			b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.Handlers == 0 })
		}
	})
}

// TestTurnsDeadline: a read deadline fails a Read in a turn, and closes a connection that rests.
func TestTurnsDeadline(t *testing.T) {
	beside(t)
	eachMessagePlace(t, func(t *testing.T, p place) {
		b := p.serve(t, &plexor.Server{}, plexor.Turns(func(c *plexor.Conn) error {
			line, err := lineOf(c)
			if err != nil {
				return err
			}
			c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			if line == "turn" {
				if n, err := c.Read(make([]byte, 1)); n != 0 || !isTimeout(err) {
					t.Errorf("Read with a deadline: %d, %v", n, err)
				}
			}
			if line != "rest" {
				c.SetReadDeadline(time.Time{})
			}
			_, err = io.WriteString(c, line+"\n")
			return err
		}))
		c := b.dialMessages()
		send(t, c, "never\nturn\n")
		want(t, c, "never\nturn\n")
		send(t, c, "rest\n")
		want(t, c, "rest\n")
		wantEnd(t, c)
		c.Close()
		b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.Failed == 0 })
	})
}

// TestTurnsShutdown: a drain closes what rests, and lets a turn go on to its end, also one that waits for its peer.
func TestTurnsShutdown(t *testing.T) {
	beside(t)
	eachMessagePlace(t, func(t *testing.T, p place) {
		b := p.serve(t, &plexor.Server{}, upperTurns)
		rests, waits := b.dialMessages(), b.dialMessages()
		send(t, rests, "a\n")
		want(t, rests, "A\n")
		send(t, waits, "wai")
		b.await("the turn", func(s plexor.Stats) bool { return s.Handlers == 1 && s.Conns == 2 })
		done := make(chan struct{})
		go func() { defer close(done); b.shutdown() }()
		wantEnd(t, rests)
		rests.Close()
		b.await("its end", func(s plexor.Stats) bool { return s.Conns == 1 })
		for range 3 { // looks of Shutdown's
			send(t, waits, ".")
			if err := plexor.Turn(b.Server); err != nil {
				t.Fatal(err)
			}
		}
		send(t, waits, "t\n")
		want(t, waits, "WAI...T\n")
		wantEnd(t, waits)
		waits.Close()
		receive(t, done, "the end of Shutdown")
	})
}
