package plexor_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
)

// TestMessagesAnyPieces: messages of all sizes arrive whole and in order, however the stream is cut, whether the
// handler waits or not; the answers come back the same.
func TestMessagesAnyPieces(t *testing.T) {
	const seed = 7
	for _, row := range []struct {
		name string
		h    func(c *plexor.Conn, msg []byte) error
	}{
		{"at once", func(c *plexor.Conn, msg []byte) error { return c.Send(msg) }},
		{"after a wait", func(c *plexor.Conn, msg []byte) error {
			was := bytes.Clone(msg)
			if len(msg)%3 == 0 {
				if err := coro.Sleep(c.Context(), 10*time.Microsecond); err != nil {
					return err
				}
			} else if err := coro.Yield(c.Context()); err != nil {
				return err
			}
			if !bytes.Equal(msg, was) {
				return errors.New("the message changed while the handler waited")
			}
			return c.Send(msg)
		}},
		{"that changes it", func(c *plexor.Conn, msg []byte) error {
			answer := bytes.Clone(msg)
			for i := range msg {
				msg[i] = 0xff
			}
			_ = append(msg, "more"...)
			return c.Send(answer)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachMessagePlace(t, func(t *testing.T, p place) {
				b := p.serve(t, &plexor.Server{Limits: plexor.Limits{HighWater: 32 << 10}},
					plexor.Messages(frame.Length{Bytes: 4}, row.h))
				r := rand.New(rand.NewPCG(seed, seed))
				var stream []byte
				for range 300 {
					size := r.IntN(1 << r.IntN(17))
					stream = binary.BigEndian.AppendUint32(stream, uint32(size))
					for range size {
						stream = append(stream, byte(r.Uint32()))
					}
				}
				client := b.dialMessages()
				wrote := make(chan error, 1)
				go func() {
					left := stream
					for len(left) > 0 {
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
					t.Errorf("seed %d: %d bytes came back of %d, equal=%v, %v", seed, len(got), len(stream), bytes.Equal(got, stream),
						err)
				}
				if err := receive(t, wrote, "the client"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestMessagesOneAtATime: while one message of a connection is handled the next waits, and other connections go on.
func TestMessagesOneAtATime(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		goOn := new(coro.Event)
		busy := 0
		b := p.serve(t, &plexor.Server{Loops: 1}, plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
			switch string(msg) {
			case "wait":
				if busy++; busy > 1 {
					t.Error("two messages of a connection are handled at once")
				}
				err := goOn.Wait(c.Context())
				busy--
				if err != nil {
					return err
				}
			case "go":
				goOn.Set()
			}
			return c.Send(msg)
		}))
		first, other := b.dialMessages(), b.dialMessages()
		send(t, first, "wait\nwait\nand\n")
		b.await("the handler", func(s plexor.Stats) bool { return s.Handlers == 1 })
		send(t, first, "then\nwai")
		send(t, other, "hello\n")
		want(t, other, "hello\n")
		send(t, first, "t\n")
		send(t, other, "go\n")
		want(t, first, "wait\nwait\nand\nthen\nwait\n")
	})
}

// TestMessagesContext: a context a message.
func TestMessagesContext(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		var last context.Context
		b := p.serve(t, &plexor.Server{Loops: 1}, plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
			if last != nil && !errors.Is(context.Cause(last), plexor.ErrReturned) {
				return fmt.Errorf("the last one's context ended with %v", context.Cause(last))
			}
			last = c.Context()
			if err := last.Err(); err != nil {
				return err
			}
			return c.Send(msg)
		}))
		client := b.dialMessages()
		send(t, client, "a\nb\n")
		want(t, client, "a\nb\n")
		send(t, client, "c\n")
		want(t, client, "c\n")
	})
}

// TestMessagesEnds: how a connection of Messages can end, what its peer reads, and what is logged and counted.
func TestMessagesEnds(t *testing.T) {
	for _, row := range []struct {
		name, sent, read string
		end              bool // the client closes its half
		log              []string
		count            func(plexor.Stats) int64
	}{
		{"a good end", "a\nb\n", "A\nB\n", true, nil, nil},
		{"an end inside a message", "a\nbc", "A\n", true, []string{"bad frame", "offset=2", "peer="},
			func(s plexor.Stats) int64 { return s.BadFrames }},
		{"too long a message", "a\n" + strings.Repeat("x", 100) + "\nb\n", "A\n", false,
			[]string{"bad frame", "offset=2", "too long"}, func(s plexor.Stats) int64 { return s.BadFrames }},
		{"too long at first", strings.Repeat("x", 100), "", false, []string{"bad frame", "offset=0"},
			func(s plexor.Stats) int64 { return s.BadFrames }},
		{"an error", "a\nfail\nb\n", "A\n", false, []string{"failed", "I said so"},
			func(s plexor.Stats) int64 { return s.Failed }},
		{"an error after a wait", "a\nwait\nfail\nb\n", "A\nWAIT\n", false, []string{"failed", "I said so"},
			func(s plexor.Stats) int64 { return s.Failed }},
		{"Close", "a\nclose\nb\n", "A\nBYE\n", false, nil, nil},
		{"CloseWrite", "a\nend\nb\n", "A\n", true, nil, nil},
		{"a panic", "panic\n", "", false, []string{"a handler panicked", "messages_test.go"},
			func(s plexor.Stats) int64 { return s.Panics }},
		{"an answer too long", "long\n", "", false, []string{"failed", "message too long"},
			func(s plexor.Stats) int64 { return s.Failed }},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachMessagePlace(t, func(t *testing.T, p place) {
				b := p.serve(t, &plexor.Server{}, plexor.Messages(frame.Line{Max: 50}, func(c *plexor.Conn, msg []byte) error {
					switch string(msg) {
					case "fail":
						return errors.New("I said so")
					case "wait":
						if err := coro.Sleep(c.Context(), time.Millisecond); err != nil {
							return err
						}
					case "close":
						if err := c.Send([]byte("BYE")); err != nil {
							return err
						}
						return c.Close()
					case "end":
						return c.CloseWrite()
					case "b":
						if strings.Contains(row.name, "CloseWrite") {
							return nil
						}
					case "panic":
						panic("oh no")
					case "long":
						return c.Send(make([]byte, 100))
					}
					return c.Send(bytes.ToUpper(msg))
				}))
				client := b.dialMessages()
				send(t, client, row.sent)
				if row.end {
					closeWrite(t, client)
				}
				got, err := io.ReadAll(client)
				if string(got) != row.read || err != nil && row.name != "a panic" {
					t.Errorf("read %q, %v; want %q", got, err, row.read)
				}
				client.Close()
				if row.log != nil {
					b.log.says(t, row.log...)
					b.await("the count", func(s plexor.Stats) bool { return row.count(s) == 1 })
				} else if text := b.log.text(); strings.Contains(text, "WARN") {
					t.Errorf("the log says:\n%s", text)
				}
				b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.Handlers == 0 })
			})
		})
	}
}

// TestMessagesFlood: a peer that sends and never reads is held up; what is kept for it has a bound; and when it reads,
// all answers are there.
func TestMessagesFlood(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		const n, size = 3000, 5000
		var c1 *plexor.Conn
		b := p.serve(t, &plexor.Server{Loops: 1, Limits: plexor.Limits{HighWater: 64 << 10}},
			plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
				if string(msg) == "?" {
					kept := 0
					if c1 != nil {
						kept = plexor.Unread(c1) + plexor.Pending(c1)
					}
					_, err := fmt.Fprintf(c, "%08d", kept)
					return err
				}
				c1 = c
				return c.Send(msg)
			}))
		client, other := b.dialMessages(), b.dialMessages()
		line := strings.Repeat("x", size) + "\n"
		wrote := make(chan error, 1)
		go func() {
			w := bufio.NewWriter(client)
			for range n {
				w.WriteString(line)
			}
			wrote <- w.Flush()
		}()
		// It is held up when what is kept for it stands still: the handler may wait for room, or not be called for want
		// of room.
		for most, same, last := 0, 0, -1; same < 20 || last <= 0; {
			send(t, other, "?\n")
			kept := number(t, other)
			if most = max(most, kept); most > 64<<10+64<<10+64<<10+2*size {
				t.Fatalf("%d bytes are kept for a peer that does not read", most)
			}
			if kept == last {
				same++
			} else {
				same, last = 0, kept
			}
		}
		r := bufio.NewReader(client)
		for i := range n {
			if got, err := r.ReadString('\n'); got != line {
				t.Fatalf("answer %d: %d bytes, %v", i, len(got), err)
			}
		}
		if err := receive(t, wrote, "the client"); err != nil {
			t.Error(err)
		}
	})
}

// TestMessagesServeConn: a stream's handler that goes over to messages.
func TestMessagesServeConn(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		messages := plexor.Messages(frame.Line{Max: 50}, func(c *plexor.Conn, msg []byte) error {
			if _, err := c.Read(msg); !errors.Is(err, plexor.ErrMessages) {
				return fmt.Errorf("Read: %v", err)
			}
			if string(msg) == "fail" {
				return errors.New("I said so")
			}
			return c.Send(bytes.ToUpper(msg))
		})
		b := p.serve(t, &plexor.Server{}, plexor.HandlerFunc(func(c *plexor.Conn) {
			head := make([]byte, 2)
			if _, err := io.ReadFull(c, head); err != nil || string(head) != "HI" {
				t.Errorf("head %q, %v", head, err)
			}
			messages.ServeConn(c)
			if err := c.Send(nil); !errors.Is(err, plexor.ErrNoCodec) {
				t.Errorf("Send afterwards: %v", err)
			}
			io.WriteString(c, "bye")
		}))
		for _, row := range []struct{ sent, read, log string }{
			{"HIa\nb\n", "A\nB\nbye", ""},
			{"HIa\nb", "A\nbye", "bad frame"},
			{"HIa\nfail\n", "A\nbye", "I said so"},
			{"HI" + strings.Repeat("x", 51), "bye", "too long"},
		} {
			client := b.dialMessages()
			send(t, client, row.sent)
			closeWrite(t, client)
			if got, err := io.ReadAll(client); string(got) != row.read || err != nil {
				t.Errorf("sent %q, read %q, %v; want %q", row.sent, got, err, row.read)
			}
			if row.log != "" {
				b.log.says(t, row.log, "peer=")
			}
		}
	})
}

// TestMessagesDeadline: a read deadline that passes between two messages closes the connection; one that passes while a
// message is handled does so afterwards; one that is taken back does not.
func TestMessagesDeadline(t *testing.T) {
	beside(t)
	eachMessagePlace(t, func(t *testing.T, p place) {
		b := p.serve(t, &plexor.Server{}, plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
			switch string(msg) {
			case "soon":
				c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			case "meanwhile":
				c.SetReadDeadline(time.Now().Add(time.Millisecond))
				if err := coro.Sleep(c.Context(), 5*time.Millisecond); err != nil {
					return err
				}
			case "never":
				c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
				c.SetReadDeadline(time.Time{})
			}
			return c.Send(msg)
		}))
		for _, word := range []string{"soon", "meanwhile"} {
			c := b.dialMessages()
			send(t, c, word+"\n")
			want(t, c, word+"\n")
			wantEnd(t, c)
			c.Close()
		}
		c := b.dialMessages()
		send(t, c, "never\n")
		want(t, c, "never\n")
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a connection without a deadline: %d, %v", n, err)
		}
	})
}
