package plexor_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
)

// A dribble writes byte by byte.
type dribble struct{ net.Conn }

func (d dribble) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// TestTLSMessagesDribble: records that come in pieces of a byte, the handshake's too, and between them a connection
// that waits is no handler.
func TestTLSMessagesDribble(t *testing.T) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				b := serveTLS(t, driver, &plexor.Server{}, nil,
					plexor.Messages(frame.Length{Bytes: 4}, func(c *plexor.Conn, msg []byte) error {
						if len(msg)%2 == 1 {
							if err := coro.Yield(c.Context()); err != nil {
								return err
							}
						}
						return c.Send(msg)
					}))
				cfg := b.client()
				cfg.MaxVersion = v
				c := tls.Client(dribble{b.dial()}, cfg)
				for _, size := range []int{0, 1, 64, 1000, 20_000} {
					msg := append(binary.BigEndian.AppendUint32(nil, uint32(size)), random(size, 5)...)
					for _, p := range [][]byte{msg[:len(msg)/2], msg[len(msg)/2:]} {
						if len(p) > 0 {
							send(t, c, string(p))
						}
					}
					want(t, c, string(msg))
					b.await("the handler's end", func(s plexor.Stats) bool { return s.Handlers == 0 && s.Conns == 1 })
				}
				closeWrite(t, c)
				wantEnd(t, c)
			})
		})
	}
}

// A firstOnly lets the first Write through, a ClientHello, and keeps the others until it is to send them in one.
type firstOnly struct {
	net.Conn
	first bool
	kept  []byte
	open  bool
}

func (h *firstOnly) Write(p []byte) (int, error) {
	if !h.first || h.open {
		h.first = true
		return h.Conn.Write(p)
	}
	h.kept = append(h.kept, p...)
	return len(p), nil
}

// SetWriteDeadline is none: a tls.Conn sets one in the past behind its close_notify.
func (h *firstOnly) SetWriteDeadline(time.Time) error { return nil }

func (h *firstOnly) release() error {
	h.open = true
	_, err := h.Conn.Write(h.kept)
	return err
}

// TestTLSMessagesTogether: what comes in one piece with the last of the handshake is handled, the end of the stream
// included.
func TestTLSMessagesTogether(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		b := serveTLS(t, driver, &plexor.Server{}, nil, upper)
		raw := &firstOnly{Conn: b.dial()}
		c := tls.Client(raw, b.client())
		send(t, c, "one\ntwo\n")
		send(t, c, "three\n")
		closeWrite(t, c)
		if err := raw.release(); err != nil {
			t.Fatal(err)
		}
		want(t, c, "ONE\nTWO\nTHREE\n")
		wantEnd(t, c)
	})
}

// TestTLSMessagesEnds: how the stream can end, between messages and inside one, and what is logged.
func TestTLSMessagesEnds(t *testing.T) {
	broken := append([]byte{23, 3, 3, 0, 32}, make([]byte, 32)...)
	for _, row := range []struct {
		name      string
		sent      string
		end       func(t *testing.T, c *tls.Conn)
		log       []string
		badFrames int64
		fails     bool // the client's Read
	}{
		{"close_notify", "a\n", func(t *testing.T, c *tls.Conn) { closeWrite(t, c) }, nil, 0, false},
		{"close_notify inside a message", "a\nb", func(t *testing.T, c *tls.Conn) { closeWrite(t, c) },
			[]string{"bad frame", "offset=2"}, 1, false},
		{"close_notify and a full end", "a\n", func(t *testing.T, c *tls.Conn) {
			closeWrite(t, c)
			closeWrite(t, c.NetConn())
		}, nil, 0, false},
		{"an end without it", "a\n", func(t *testing.T, c *tls.Conn) { closeWrite(t, c.NetConn()) },
			[]string{"a connection of messages ended", "close_notify"}, 0, false},
		{"an end without it inside a message", "a\nb", func(t *testing.T, c *tls.Conn) { closeWrite(t, c.NetConn()) },
			[]string{"a connection of messages ended", "close_notify"}, 0, false},
		{"an end inside a record", "a\n", func(t *testing.T, c *tls.Conn) {
			send(t, c.NetConn(), string(broken[:20]))
			closeWrite(t, c.NetConn())
		}, []string{"a connection of messages ended", "close_notify"}, 0, false},
		{"a broken record", "a\n", func(t *testing.T, c *tls.Conn) { send(t, c.NetConn(), string(broken)) },
			[]string{"a connection of messages ended", "bad record MAC"}, 0, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				b := serveTLS(t, driver, &plexor.Server{}, nil, upper)
				c := b.connect(nil)
				send(t, c, row.sent)
				want(t, c, "A\n")
				row.end(t, c)
				if row.fails {
					if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
						t.Errorf("the client read %v, want the alert", err)
					}
				} else {
					wantEnd(t, c)
				}
				c.Close()
				b.await("the end", func(s plexor.Stats) bool {
					return s.Conns == 0 && s.Handlers == 0 && s.BadFrames == row.badFrames
				})
				if row.log != nil {
					b.log.says(t, row.log...)
				}
			})
		})
	}
}

// A recorder keeps what was read.
type recorder struct {
	net.Conn
	read []byte
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.read = append(r.read, p[:n]...)
	return n, err
}

// records are the types of the TLS records in p.
func records(p []byte) (types []byte) {
	for len(p) >= 5 {
		types = append(types, p[0])
		p = p[min(len(p), 5+int(binary.BigEndian.Uint16(p[3:]))):]
	}
	return types
}

// TestTLSIdleNotify: a connection that was idle for too long is closed behind a close_notify, with Messages and with a
// coroutine.
func TestTLSIdleNotify(t *testing.T) {
	const alert = 21
	for name, h := range map[string]plexor.Handler{"Messages": upper, "HandlerFunc": echoTLS} {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				clock := loop.NewManualClock(time.Now())
				b := serveTLS(t, driver,
					&plexor.Server{Loops: 1, Clock: clock, Limits: plexor.Limits{IdleTimeout: 8 * time.Second}}, nil, h)
				raw := &recorder{Conn: b.dial()}
				cfg := b.client()
				cfg.MaxVersion = tls.VersionTLS12 // with 1.3 an alert looks like any other record
				c := tls.Client(raw, cfg)
				send(t, c, "X\n")
				want(t, c, "X\n")
				for end := time.Now().Add(patience); b.Stats().Idle == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
					clock.Advance(time.Second)
				}
				wantEnd(t, c)
				if got := records(raw.read); got[len(got)-1] != alert {
					t.Errorf("the types of the records that came are %d, want the last to be an alert, %d", got, alert)
				}
				c.Close()
				b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.Idle == 1 })
			})
		})
	}
}

// TestTLSMessagesShutdown: a drain ends what waits behind a close_notify, and waits for what is handled.
func TestTLSMessagesShutdown(t *testing.T) {
	const alert = 21
	eachDriver(t, func(t *testing.T, driver string) {
		goOn := new(coro.Event)
		b := serveTLS(t, driver, &plexor.Server{Loops: 1}, nil,
			plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
				switch string(msg) {
				case "wait":
					if err := goOn.Wait(c.Context()); err != nil {
						return err
					}
				case "go":
					goOn.Set()
				}
				return c.Send(msg)
			}))
		raw := &recorder{Conn: b.dial()}
		cfg := b.client()
		cfg.MaxVersion = tls.VersionTLS12
		idle := tls.Client(raw, cfg)
		waits, helps := b.connect(nil), b.connect(nil)
		send(t, idle, "x\n")
		want(t, idle, "x\n")
		send(t, waits, "wait\n")
		send(t, helps, "g")
		b.await("the handler", func(s plexor.Stats) bool { return s.Handlers == 1 && s.Handshakes == 3 })
		done := make(chan struct{})
		go func() { defer close(done); b.shutdown() }()
		wantEnd(t, idle)
		if got := records(raw.read); got[len(got)-1] != alert {
			t.Errorf("the types of the records that came are %d, want the last to be an alert, %d", got, alert)
		}
		send(t, helps, "o\n")
		want(t, helps, "go\n")
		want(t, waits, "wait\n")
		for _, c := range []*tls.Conn{idle, waits, helps} {
			if c != idle {
				wantEnd(t, c)
			}
			c.Close()
		}
		receive(t, done, "the end of Shutdown")
	})
}

// TestMessagesShared: a handler of messages may give its connection away, and what came behind its message is read
// there; neither its end nor its error closes what is no longer its own. It is no handler of later messages.
func TestMessagesShared(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprintf("fails=%v", fails), func(t *testing.T) {
			eachMessagePlace(t, func(t *testing.T, p place) {
				given := make(chan net.Conn, 2)
				b := p.serve(t, &plexor.Server{}, plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
					if string(msg) != "take" {
						return c.Send(msg)
					}
					given <- c.Shared()
					if fails {
						return errors.New("I said so")
					}
					return nil
				}))
				client := b.dialMessages()
				send(t, client, "hello\n")
				want(t, client, "hello\n")
				rest := strings.Repeat("and more\n", 3000) // more than is read at once
				wrote := make(chan error, 1)
				go func() {
					_, err := io.WriteString(client, "hello\ntake\n"+rest)
					wrote <- errors.Join(err, client.(interface{ CloseWrite() error }).CloseWrite())
				}()
				server := receive(t, given, "the connection")
				t.Cleanup(func() { server.Close() })
				b.await("the handler's end", func(s plexor.Stats) bool {
					return s.Handlers == 0 && s.Failed == map[bool]int64{true: 1}[fails]
				})
				if err := server.SetDeadline(time.Now().Add(patience)); err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(server)
				if err != nil || string(got) != rest {
					t.Errorf("read %d bytes, %v; want the %d behind the message", len(got), err, len(rest))
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
			})
		})
	}
}

// TestTLSMessagesWriteDeadline: a Send that is late cuts no record, and the connection goes on with the next message.
func TestTLSMessagesWriteDeadline(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		sent := make(chan int, 1)
		b := serveTLS(t, driver, &plexor.Server{Limits: plexor.Limits{HighWater: 64 << 10}}, nil,
			plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
				if string(msg) == "hello" {
					return c.Send([]byte("hello to you"))
				}
				if err := c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
					return err
				}
				all, piece := 0, bytes.Repeat([]byte("x"), 1<<20)
				for {
					n, err := c.Write(piece)
					if all += n; err != nil {
						sent <- all
						return c.SetWriteDeadline(time.Time{})
					}
				}
			}))
		c := b.connect(nil)
		send(t, c, "fill\n")
		n := receive(t, sent, "the Write that is late")
		send(t, c, "hello\n")
		want(t, c, strings.Repeat("x", n)+"hello to you\n")
	})
}

// TestTLSMessagesList: the handshake's coroutine has a name of its own, and is gone when it is done.
func TestTLSMessagesList(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		lists := make(chan []string, 1)
		b := serveTLS(t, driver, &plexor.Server{Loops: 1}, nil,
			plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
				task, err := coro.Self(c.Context(), "the test")
				if err != nil {
					return err
				}
				var names []string
				for _, i := range task.Scheduler().List(false) {
					names = append(names, i.Name)
				}
				lists <- names
				return nil
			}))
		half := b.dial()
		send(t, half, "\x16\x03\x01\x02\x00\x01")
		var others []*tls.Conn
		for range 3 {
			others = append(others, b.connect(nil))
		}
		b.await("the handshakes", func(s plexor.Stats) bool { return s.Handshakes == 3 && s.Handshaking == 1 })
		send(t, others[0], "?\n")
		names := receive(t, lists, "the list")
		slices.Sort(names)
		if want := []string{"plexor handshake", "plexor messages"}; !slices.Equal(names, want) {
			t.Errorf("the coroutines are %q, want %q", names, want)
		}
	})
}
