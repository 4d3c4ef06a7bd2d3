package plexor_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
)

// TestTLSEcho: all bytes come back, by each version of TLS, with both halves closed by close_notify.
func TestTLSEcho(t *testing.T) {
	beside(t)
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				b := serveTLS(t, driver, &plexor.Server{}, nil, echoTLS)
				cfg := b.client()
				cfg.MaxVersion = v
				c := b.connect(cfg)
				sent := bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16)
				wrote := make(chan error, 1)
				go func() {
					_, err := c.Write(sent)
					wrote <- errors.Join(err, c.CloseWrite())
				}()
				got, err := io.ReadAll(c)
				if err != nil || !bytes.Equal(got, sent) {
					t.Errorf("got %d bytes of %d back, equal=%v, %v", len(got), len(sent), bytes.Equal(got, sent), err)
				}
				if err := receive(t, wrote, "the client"); err != nil {
					t.Error(err)
				}
				c.Close()
				b.shutdown()
				if s := b.Stats(); s.Handshakes != 1 || s.HandshakeErrors != 0 || s.Handshaking != 0 {
					t.Errorf("%+v, want one handshake, and no error", s)
				}
			})
		})
	}
}

// TestTLSHalves: close_notify ends one direction, and leaves the other as it is.
func TestTLSHalves(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		errs := make(chan error, 1)
		b := serveTLS(t, driver, &plexor.Server{}, nil, plexor.GreeterFunc(func(c *plexor.Conn) {
			errs <- func() error {
				fmt.Fprint(c, "bye")
				if err := c.CloseWrite(); err != nil {
					return err
				}
				if _, err := c.Write([]byte("x")); !errors.Is(err, loop.ErrWriteClosed) {
					return fmt.Errorf("Write after CloseWrite: %v", err)
				}
				got, err := io.ReadAll(c)
				if err != nil || string(got) != "and more" {
					return fmt.Errorf("read %q, %v", got, err)
				}
				if err := c.Close(); err != nil {
					return err
				}
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					return fmt.Errorf("Read after Close: %v", err)
				}
				return nil
			}()
		}))
		c := b.connect(nil)
		want(t, c, "bye")
		wantEnd(t, c)
		send(t, c, "and more")
		closeWrite(t, c)
		if err := receive(t, errs, "the handler"); err != nil {
			t.Error(err)
		}
	})
}

// TestTLSTruncated: an end of the connection without close_notify is no end of the stream.
func TestTLSTruncated(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(t *testing.T, c *tls.Conn)
		want error
	}{
		{"close_notify", func(t *testing.T, c *tls.Conn) { closeWrite(t, c) }, nil},
		{"end between records", func(t *testing.T, c *tls.Conn) { closeWrite(t, c.NetConn()) }, io.ErrUnexpectedEOF},
		{"end inside a record", func(t *testing.T, c *tls.Conn) {
			c.NetConn().Write([]byte{23, 3, 3, 0, 100, 1, 2, 3})
			closeWrite(t, c.NetConn())
		}, io.ErrUnexpectedEOF},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				errs := make(chan error, 1)
				b := serveTLS(t, driver, &plexor.Server{}, nil, plexor.HandlerFunc(func(c *plexor.Conn) {
					got, err := io.ReadAll(c)
					if string(got) != "order 100" {
						err = fmt.Errorf("read %q, %w", got, err)
					}
					if _, again := c.Read(make([]byte, 1)); err != nil && !errors.Is(again, io.ErrUnexpectedEOF) {
						err = fmt.Errorf("and then %w", again)
					}
					errs <- err
				}))
				c := b.connect(nil)
				send(t, c, "order 100")
				row.end(t, c)
				if err := receive(t, errs, "the handler"); !errors.Is(err, row.want) {
					t.Errorf("the handler read %v, want %v", err, row.want)
				}
			})
		})
	}
}

// TestTLSMessages: Messages over TLS is as without; a frame that no record ends with, and many in one.
func TestTLSMessages(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		var last context.Context
		b := serveTLS(t, driver, &plexor.Server{}, nil, plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
			if last != nil && !errors.Is(context.Cause(last), plexor.ErrReturned) {
				return fmt.Errorf("the last message's context ended with %v", context.Cause(last))
			}
			last = c.Context()
			if string(msg) == "tls?" {
				return c.Send([]byte(tls.VersionName(c.ConnectionState().Version)))
			}
			return c.Send(bytes.ToUpper(msg))
		}))
		c := b.connect(nil)
		send(t, c, "hel")
		send(t, c, "lo\nwor")
		want(t, c, "HELLO\n")
		send(t, c, "ld\na\nb\n")
		want(t, c, "WORLD\nA\nB\n")
		send(t, c, "tls?\n")
		want(t, c, "TLS 1.3\n")
		closeWrite(t, c)
		wantEnd(t, c)
	})
}

// TestTLSGreeter: who speaks first does so behind the handshake.
func TestTLSGreeter(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		b := serveTLS(t, driver, &plexor.Server{}, nil, plexor.GreeterFunc(func(c *plexor.Conn) { fmt.Fprint(c, "hello") }))
		c := b.connect(nil)
		want(t, c, "hello")
		wantEnd(t, c)
	})
}

// TestTLSLateWrite: a Write that times out cuts no record: the connection is as usable as before, and so it is for the
// other direction.
func TestTLSLateWrite(t *testing.T) {
	beside(t)
	eachDriver(t, func(t *testing.T, driver string) {
		errs, late := make(chan error, 1), make(chan struct{})
		b := serveTLS(t, driver, &plexor.Server{Limits: plexor.Limits{HighWater: 64 << 10}}, nil,
			plexor.GreeterFunc(func(c *plexor.Conn) {
				errs <- func() error {
					if err := c.SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
						return err
					}
					if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
						return fmt.Errorf("Read: %v", err)
					}
					all, piece := 0, make([]byte, 1<<20)
					for {
						n, err := c.Write(piece)
						if all += n; errors.Is(err, os.ErrDeadlineExceeded) {
							break
						} else if err != nil {
							return err
						}
					}
					close(late)
					if err := c.SetDeadline(time.Time{}); err != nil {
						return err
					}
					if _, err := fmt.Fprintf(c, "%12d", all); err != nil {
						return err
					}
					if got, err := io.ReadAll(c); err != nil || string(got) != "go on" {
						return fmt.Errorf("read %q, %v", got, err)
					}
					return c.Close()
				}()
			}))
		c := b.connect(nil)
		receive(t, late, "a Write that times out")
		send(t, c, "go on")
		closeWrite(t, c)
		got, err := io.ReadAll(c)
		if err != nil || len(got) < 12 {
			t.Fatalf("the client read %d bytes, %v", len(got), err)
		}
		if all := strings.TrimSpace(string(got[len(got)-12:])); all != fmt.Sprint(len(got)-12) {
			t.Errorf("the Writes said they took %s bytes, the client got %d", all, len(got)-12)
		}
		if err := receive(t, errs, "the handler"); err != nil {
			t.Error(err)
		}
	})
}

// TestTLSBadRecordWhileWriting: a reader that has to send an alert, while a Write waits for a peer that does not read,
// holds up nobody; and Close by another coroutine ends that Write.
func TestTLSBadRecordWhileWriting(t *testing.T) {
	beside(t)
	eachDriver(t, func(t *testing.T, driver string) {
		errs := make(chan error, 2)
		b := serveTLS(t, driver,
			&plexor.Server{Loops: 1, Limits: plexor.Limits{HighWater: 64 << 10, Linger: 100 * time.Millisecond}}, nil,
			plexor.HandlerFunc(func(c *plexor.Conn) {
				p := make([]byte, 1)
				if _, err := io.ReadFull(c, p); err != nil || p[0] == 'e' {
					c.Write(p)
					return
				}
				var wrote, read, closed error
				coro.Group(c.Context(), func(g *coro.Tasks) error { // which Close cancels
					g.Go(func(context.Context) error {
						_, wrote = c.Write(make([]byte, 16<<20))
						return nil
					})
					for plexor.Pending(c) < 64<<10 {
						if err := coro.Sleep(c.Context(), time.Millisecond); err != nil {
							return err
						}
					}
					_, read = c.Read(p)
					closed = c.Close()
					return nil
				})
				switch {
				case read == nil || errors.Is(read, io.EOF) || errors.Is(read, net.ErrClosed):
					errs <- fmt.Errorf("Read of a broken record: %v", read)
				case !errors.Is(closed, loop.ErrUndelivered):
					errs <- fmt.Errorf("Close: %v, want ErrUndelivered", closed)
				case !errors.Is(wrote, net.ErrClosed):
					errs <- fmt.Errorf("the Write that waited: %v, want net.ErrClosed", wrote)
				}
				errs <- nil
			}))
		raw := &joined{Conn: b.dial(), hold: -1}
		c := tls.Client(raw, b.client())
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		raw.hold = 0
		send(t, c, "!") // and in the same write what is no record of this connection
		raw.held = append(raw.held, 23, 3, 3, 0, 32)
		raw.held = append(raw.held, make([]byte, 32)...)
		if _, err := raw.Conn.Write(raw.held); err != nil {
			t.Fatal(err)
		}
		other := b.connect(nil)
		send(t, other, "e")
		want(t, other, "e")
		if err := receive(t, errs, "the handler"); err != nil {
			t.Error(err)
		}
	})
}

// A joined keeps what is written, once hold is not negative.
type joined struct {
	net.Conn
	hold int
	held []byte
}

func (j *joined) Write(p []byte) (int, error) {
	if j.hold < 0 {
		return j.Conn.Write(p)
	}
	j.held = append(j.held, p...)
	return len(p), nil
}

// TestTLSSecondHandshake: StartTLS is refused where TLS is spoken already, which goes on.
func TestTLSSecondHandshake(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		errs := make(chan error, 1)
		b := serveTLS(t, driver, &plexor.Server{}, nil, plexor.GreeterFunc(func(c *plexor.Conn) {
			err := c.StartTLS(new(tls.Config))
			fmt.Fprint(c, "still here")
			errs <- err
		}))
		c := b.connect(nil)
		want(t, c, "still here")
		if err := receive(t, errs, "the handler"); err == nil || !strings.Contains(err.Error(), "speaks TLS") {
			t.Errorf("StartTLS on a connection over TLS: %v", err)
		}
	})
}
