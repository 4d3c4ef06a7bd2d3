package plexor_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
)

// lineOf reads a line from a Conn, byte by byte, and not one more.
func lineOf(c io.Reader) (string, error) {
	var line []byte
	for p := make([]byte, 1); ; {
		switch _, err := c.Read(p); {
		case err == io.EOF && len(line) > 0:
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		case p[0] == '\n':
			return string(line), nil
		}
		line = append(line, p[0])
	}
}

// upperTurns answers a line a turn.
var upperTurns = plexor.Turns(func(c *plexor.Conn) error {
	line, err := lineOf(c)
	if err != nil {
		return err
	}
	_, err = io.WriteString(c, strings.ToUpper(line)+"\n")
	return err
})

// TestTurnsAnyPieces: what a turn reads is whole and in order, however the stream is cut, whether it waits or not, and
// whether it reads one thing or all that there is.
func TestTurnsAnyPieces(t *testing.T) {
	const seed = 11
	frameOf := func(c *plexor.Conn) ([]byte, error) {
		head := make([]byte, 4)
		if _, err := io.ReadFull(c, head); err != nil {
			return nil, err
		}
		msg := make([]byte, 4+binary.BigEndian.Uint32(head))
		copy(msg, head)
		_, err := io.ReadFull(c, msg[4:])
		return msg, err
	}
	for _, row := range []struct {
		name string
		turn func(c *plexor.Conn) error
	}{
		{"a frame a turn", func(c *plexor.Conn) error {
			msg, err := frameOf(c)
			if err != nil {
				return err
			}
			if len(msg)%3 == 0 {
				if err := coro.Yield(c.Context()); err != nil {
					return err
				}
			}
			_, err = c.Write(msg)
			return err
		}},
		{"what there is", func(c *plexor.Conn) error {
			p := make([]byte, 10_000)
			n, err := c.Read(p)
			if err != nil {
				return err
			}
			_, err = c.Write(p[:n])
			return err
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachMessagePlace(t, func(t *testing.T, p place) {
				b := p.serve(t, &plexor.Server{Limits: plexor.Limits{HighWater: 32 << 10}}, plexor.Turns(row.turn))
				r := rand.New(rand.NewPCG(seed, seed))
				var stream []byte
				for range 200 {
					size := r.IntN(1 << r.IntN(17))
					stream = binary.BigEndian.AppendUint32(stream, uint32(size))
					for range size {
						stream = append(stream, byte(r.Uint32()))
					}
				}
				client := b.dialMessages()
				wrote := make(chan error, 1)
				go func() {
					for left := stream; len(left) > 0; {
						n := min(1+r.IntN(1<<r.IntN(18)), len(left))
						if _, err := client.Write(left[:n]); err != nil {
							wrote <- err
							return
						}
						left = left[n:]
					}
					wrote <- client.(interface{ CloseWrite() error }).CloseWrite()
				}()
				got, err := io.ReadAll(client)
				if err != nil || !bytes.Equal(got, stream) {
					t.Errorf("seed %d: %d bytes came back of %d, equal=%v, %v", seed, len(got), len(stream), bytes.Equal(got, stream), err)
				}
				if err := receive(t, wrote, "the client"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestTurnsRest: a connection that waits is no handler, a turn that waits for the rest is
// one, and what is left begins the next at once.
func TestTurnsRest(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		var turns atomic.Int64
		b := p.serve(t, &plexor.Server{}, plexor.Turns(func(c *plexor.Conn) error {
			turns.Add(1)
			line, err := lineOf(c)
			if err != nil {
				return err
			}
			_, err = io.WriteString(c, strings.ToUpper(line)+"\n")
			return err
		}))
		c := b.dialMessages()
		for i := range int64(3) {
			send(t, c, "on")
			b.await("a turn that waits", func(s plexor.Stats) bool { return s.Handlers == 1 && turns.Load() == 4*i+1 })
			send(t, c, "e\ntwo\nthree\nfour\n")
			want(t, c, "ONE\nTWO\nTHREE\nFOUR\n")
			b.await("a rest", func(s plexor.Stats) bool { return s.Handlers == 0 && s.Conns == 1 && turns.Load() == 4*i+4 })
		}
		if err := plexor.Turn(b.Server); err != nil {
			t.Fatal(err)
		}
		if n := turns.Load(); n != 12 {
			t.Errorf("%d turns, want 12", n)
		}
	})
}

// TestTurnsEnds: how a connection of Turns can end, what its peer reads, and what is logged and counted.
func TestTurnsEnds(t *testing.T) {
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
		{"an error", "a\nfail\nb\n", "A\n", false, []string{"a handler failed", "I said so"}, failed},
		{"an error after a wait", "a\nwait\nfail\nb\n", "A\nWAIT\n", false, []string{"a handler failed", "I said so"}, failed},
		{"nothing read", "a\nidle\nb\n", "A\nIDLE\n", false, []string{"a handler failed", "had read nothing"}, failed},
		{"Close", "a\nclose\nb\n", "A\nCLOSE\n", false, nil, nil},
		{"Abort", "a\nabort\nb\n", "", false, nil, nil},
		{"a panic", "panic\nb\n", "", false, []string{"a handler panicked", "turns_test.go"}, func(s plexor.Stats) int64 { return s.Panics }},
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
		if p.addr == "tcp://127.0.0.1:0" || p.addr == tlsAddr {
			if err := receive(t, ended, "the end of the wait"); err == nil || errors.Is(err, plexor.ErrReturned) {
				t.Errorf("the wait ended with %v", err)
			}
			b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.Handlers == 0 })
		}
	})
}

// TestTurnsDeadline: a read deadline fails a Read in a turn, and closes a connection that rests.
func TestTurnsDeadline(t *testing.T) {
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

// TestTurnsShared: a turn may give its connection away, and what it has not read is read there.
func TestTurnsShared(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprintf("fails=%v", fails), func(t *testing.T) {
			eachMessagePlace(t, func(t *testing.T, p place) {
				given := make(chan net.Conn, 2)
				b := p.serve(t, &plexor.Server{}, plexor.Turns(func(c *plexor.Conn) error {
					line, err := lineOf(c)
					if err != nil || line != "take" {
						io.WriteString(c, line+"\n")
						return err
					}
					given <- c.Shared()
					if fails {
						return errors.New("I said so")
					}
					return nil
				}))
				client := b.dialMessages()
				rest := strings.Repeat("and more\n", 3000)
				wrote := make(chan error, 1)
				go func() {
					_, err := io.WriteString(client, "hello\ntake\n"+rest)
					wrote <- errors.Join(err, client.(interface{ CloseWrite() error }).CloseWrite())
				}()
				server := receive(t, given, "the connection")
				t.Cleanup(func() { server.Close() })
				if err := server.SetDeadline(time.Now().Add(patience)); err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(server)
				if err != nil || string(got) != rest {
					t.Errorf("read %d bytes, %v; want the %d behind the line", len(got), err, len(rest))
				}
				if err := receive(t, wrote, "the client"); err != nil {
					t.Error(err)
				}
				send(t, server, "bye")
				if err := server.Close(); err != nil {
					t.Error(err)
				}
				want(t, client, "hello\nbye")
				wantEnd(t, client)
				b.await("the handler's end", func(s plexor.Stats) bool { return s.Handlers == 0 && s.Failed == map[bool]int64{true: 1}[fails] })
			})
		})
	}
}

// TestTurnsStartTLS: a turn goes over to TLS, in which the connection then rests.
func TestTurnsStartTLS(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		ca := newAuthority(t, "the server's")
		cfg := &tls.Config{Certificates: []tls.Certificate{ca.issue("plexor.test")}}
		b := p.serve(t, &plexor.Server{}, plexor.Turns(func(c *plexor.Conn) error {
			line, err := lineOf(c)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(c, "%s tls=%v\n", line, c.TLS()); err != nil || line != "starttls" {
				return err
			}
			return c.StartTLS(cfg)
		}))
		raw := b.dial()
		send(t, raw, "hello\nstarttls\n")
		want(t, raw, "hello tls=false\nstarttls tls=false\n")
		c := tls.Client(raw, &tls.Config{RootCAs: ca.pool, ServerName: "plexor.test"})
		for range 2 {
			send(t, c, "again\nand\n")
			want(t, c, "again tls=true\nand tls=true\n")
			b.await("a rest", func(s plexor.Stats) bool { return s.Handlers == 0 && s.Conns == 1 })
		}
		closeWrite(t, c)
		wantEnd(t, c)
	})
}

// TestTurnsServeConn: a turn goes over to messages, and a stream's handler to turns.
func TestTurnsServeConn(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		messages := plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
			if string(msg) == "close" {
				return c.Close()
			}
			return c.Send(append(msg, '!'))
		})
		turns := plexor.Turns(func(c *plexor.Conn) error {
			line, err := lineOf(c)
			switch {
			case err != nil:
				return err
			case line == "fail":
				return errors.New("I said so")
			case line == "messages":
				messages.ServeConn(c)
				return nil
			}
			_, err = io.WriteString(c, line+"\n")
			return err
		})
		b := p.serve(t, &plexor.Server{}, plexor.HandlerFunc(func(c *plexor.Conn) {
			if line, err := lineOf(c); err != nil || line != "hi" {
				t.Errorf("the first line: %q, %v", line, err)
			}
			turns.ServeConn(c)
			io.WriteString(c, "bye")
		}))
		for _, row := range []struct{ sent, read, log string }{
			{"hi\na\nb\n", "a\nb\nbye", ""},
			{"hi\na\nmessages\nb\nc\n", "a\nb!\nc!\nbye", ""},
			{"hi\na\nfail\nb\n", "a\nbye", "I said so"},
		} {
			c := b.dialMessages()
			send(t, c, row.sent)
			closeWrite(t, c)
			if got, err := io.ReadAll(c); string(got) != row.read || err != nil {
				t.Errorf("sent %q, read %q, %v; want %q", row.sent, got, err, row.read)
			}
			if row.log != "" {
				b.log.says(t, row.log)
			}
		}
	})
}
