package plexor_test

import (
	"bytes"
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
					t.Errorf("seed %d: %d bytes came back of %d, equal=%v, %v",
						seed, len(got), len(stream), bytes.Equal(got, stream), err)
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
	beside(t)
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
				b.await("the handler's end", func(s plexor.Stats) bool {
					return s.Handlers == 0 && s.Failed == map[bool]int64{true: 1}[fails]
				})
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
