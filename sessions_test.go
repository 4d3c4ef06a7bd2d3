package plexor_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
)

// A visit is the state of the sessions under test.
type visit struct {
	c     *plexor.Conn
	ctx   context.Context
	lines int
	ended chan error // gets each reason that Closed is told
}

// A visits makes sessions of lines, by Message and by Turn alike.
type visits struct {
	open   func(v *visit) error
	line   func(v *visit, line string) error
	closed func(v *visit)
	opened atomic.Int64
	ended  chan error
}

func newVisits(line func(v *visit, line string) error) *visits {
	return &visits{line: line, ended: make(chan error, 100)}
}

func (h *visits) make(c *plexor.Conn) (*visit, error) {
	h.opened.Add(1)
	v := &visit{c: c, ctx: c.Context(), ended: h.ended}
	if h.open == nil {
		return v, nil
	}
	return v, h.open(v)
}

func (h *visits) end(v *visit, reason error) {
	if h.closed != nil {
		h.closed(v)
	}
	v.ended <- reason
	cause := context.Cause(v.ctx)
	if errors.Is(cause, coro.ErrLoopClosed) && errors.Is(reason, plexor.ErrServerClosed) {
		return
	}
	if cause == nil || cause != reason && !errors.Is(reason, cause) && !errors.Is(cause, reason) {
		v.ended <- fmt.Errorf("the context ended with %v, the session with %w", cause, reason)
	}
}

// handlers are the two kinds.
func (h *visits) handlers() map[string]plexor.Handler {
	return map[string]plexor.Handler{
		"Message": plexor.Sessions[*visit]{Codec: frame.Line{Max: 50}, Open: h.make, Closed: h.end,
			Message: func(_ *plexor.Conn, v *visit, msg []byte) error { v.lines++; return h.line(v, string(msg)) }},
		"Turn": plexor.Sessions[*visit]{Codec: frame.Line{}, Open: h.make, Closed: h.end,
			Turn: func(c *plexor.Conn, v *visit) error {
				line, err := lineOf(c)
				if err != nil {
					return err
				}
				v.lines++
				return h.line(v, line)
			}},
	}
}

// eachSessionPlace runs f for both kinds at each place. make makes the functions anew for each.
func eachSessionPlace(t *testing.T, make func() *visits, f func(t *testing.T, p place, v *visits, h plexor.Handler)) {
	for kind := range make().handlers() {
		t.Run(kind, func(t *testing.T) {
			eachMessagePlace(t, func(t *testing.T, p place) {
				v := make()
				f(t, p, v, v.handlers()[kind])
			})
		})
	}
}

// TestSessions: the state is the connection's own, Open greets before anything came, the context lasts, and while a
// connection waits there is no handler.
func TestSessions(t *testing.T) {
	eachSessionPlace(t, func() *visits {
		v := newVisits(func(v *visit, line string) error {
			if err := v.ctx.Err(); err != nil || v.c.Context() != v.ctx {
				return fmt.Errorf("the context of line %d: %v, the same=%v", v.lines, err, v.c.Context() == v.ctx)
			}
			return v.c.Send(fmt.Appendf(nil, "%d %s", v.lines, line))
		})
		v.open = func(v *visit) error {
			if err := coro.Yield(v.c.Context()); err != nil {
				return err
			}
			return v.c.Send([]byte("welcome"))
		}
		return v
	}, func(t *testing.T, p place, v *visits, h plexor.Handler) {
		b := p.serve(t, &plexor.Server{}, h)
		var conns []net.Conn
		for range 3 {
			c := b.dialMessages()
			want(t, c, "welcome\n")
			conns = append(conns, c)
		}
		b.await("a rest", func(s plexor.Stats) bool { return s.Handlers == 0 && s.Conns == 3 })
		for i := range 3 {
			for _, c := range conns {
				send(t, c, "a\nb\n")
				want(t, c, fmt.Sprintf("%d a\n%d b\n", 2*i+1, 2*i+2))
			}
			b.await("a rest", func(s plexor.Stats) bool { return s.Handlers == 0 && s.Conns == 3 })
		}
		for _, c := range conns {
			closeWrite(t, c)
			wantEnd(t, c)
			if err := receive(t, v.ended, "the end"); err != io.EOF {
				t.Errorf("the reason is %v, want EOF", err)
			}
			c.Close()
		}
		b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.Handlers == 0 })
		if n := v.opened.Load(); n != 3 || len(v.ended) > 0 {
			t.Errorf("%d sessions, %d more ends; want 3 and none", n, len(v.ended))
		}
	})
}

// TestSessionOpenFails: an error of Open refuses the connection behind what was said, a
// panic resets it; there is no end to tell then.
func TestSessionOpenFails(t *testing.T) {
	for _, row := range []struct {
		name string
		open func(v *visit) error
		log  string
	}{
		{"an error", func(*visit) error { return errors.New("I said so") }, "I said so"},
		{"an error after a wait", func(v *visit) error {
			if err := coro.Sleep(v.ctx, time.Millisecond); err != nil {
				return err
			}
			return errors.New("I said so")
		}, "I said so"},
		{"a panic", func(*visit) error { panic("oh no") }, "oh no"},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachSessionPlace(t, func() *visits {
				v := newVisits(func(*visit, string) error { return errors.New("a line of nobody's") })
				v.open = func(v *visit) error {
					return errors.Join(v.c.Send([]byte("sorry")), row.open(v))
				}
				return v
			}, func(t *testing.T, p place, v *visits, h plexor.Handler) {
				b := p.serve(t, &plexor.Server{}, h)
				if row.name == "a panic" {
					if c, err := dialPeer(b.addr); err == nil { // it may be reset before this returns
						if b.tls {
							c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
						}
						io.Copy(c, strings.NewReader("a\nb\n"))
						io.Copy(io.Discard, c)
						c.Close()
					}
				} else {
					c := b.dialMessages()
					send(t, c, "a\nb\n")
					want(t, c, "sorry\n")
					wantEnd(t, c)
					c.Close()
				}
				b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.Handlers == 0 && s.Failed+s.Panics == 1 })
				b.log.says(t, row.log)
				if n := v.opened.Load(); n != 1 || len(v.ended) > 0 {
					t.Errorf("%d sessions were opened, and %d told of their end; want 1 and none", n, len(v.ended))
				}
			})
		})
	}
}

// TestSessionRefused: a connection beyond a limit, and one whose handshake fails, have no session.
func TestSessionRefused(t *testing.T) {
	beside(t)
	eachSessionPlace(t, func() *visits {
		return newVisits(func(v *visit, line string) error { return v.c.Send([]byte(line)) })
	}, func(t *testing.T, p place, v *visits, h plexor.Handler) {
		beside(t)
		b := p.serve(t, &plexor.Server{Limits: plexor.Limits{Conns: 1}}, h)
		c := b.dialMessages()
		send(t, c, "a\n")
		want(t, c, "a\n")
		if refused, err := dialPeer(b.addr); err == nil { // it may be reset before this returns
			if n, err := refused.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("one too many: %d, %v", n, err)
			}
			refused.Close()
		}
		b.await("the refusal", func(s plexor.Stats) bool { return s.RefusedConns == 1 })
		closeWrite(t, c)
		wantEnd(t, c)
		c.Close()
		receive(t, v.ended, "the end")
		b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.RefusedConns == 1 })
		wanted := int64(1)
		if b.tls {
			c := b.dial()
			send(t, c, "this is no handshake\n")
			io.Copy(io.Discard, c)
			b.await("its end", func(s plexor.Stats) bool { return s.Conns == 0 && s.HandshakeErrors == 1 })
		}
		if n := v.opened.Load(); n != wanted || len(v.ended) > 0 {
			t.Errorf("%d sessions were opened, and %d more told of their end; want %d and none", n, len(v.ended), wanted)
		}
	})
}

// TestSessionOrder: what comes while Open waits is handled behind it, and Closed comes when the handler has returned.
func TestSessionOrder(t *testing.T) {
	beside(t)
	eachSessionPlace(t, func() *visits {
		v := newVisits(func(v *visit, line string) error {
			err := coro.Sleep(v.c.Context(), 2*time.Millisecond)
			v.lines = -1 // it is busy no more
			return err
		})
		v.open = func(v *visit) error { return coro.Sleep(v.ctx, 5*time.Millisecond) }
		v.closed = func(v *visit) {
			if v.lines != -1 {
				v.ended <- errors.New("a line is still handled")
			}
			if err := coro.Sleep(context.WithoutCancel(v.ctx), time.Millisecond); err != nil {
				v.ended <- err
			}
			if _, err := v.c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				v.ended <- fmt.Errorf("Write in Closed: %w", err)
			}
		}
		return v
	}, func(t *testing.T, p place, v *visits, h plexor.Handler) {
		b := p.serve(t, &plexor.Server{}, h)
		c := b.dialMessages()
		send(t, c, "a\n")
		closeWrite(t, c)
		wantEnd(t, c)
		if err := receive(t, v.ended, "the end"); err != io.EOF {
			t.Errorf("the reason is %v, want EOF", err)
		}
	})
}

// TestSessionServeConn: a stream's handler that goes over to a session, which ends before it goes on.
func TestSessionServeConn(t *testing.T) {
	said := errors.New("I said so")
	eachSessionPlace(t, func() *visits {
		return newVisits(func(v *visit, line string) error {
			switch line {
			case "fail":
				return said
			case "panic":
				panic("oh no")
			}
			return v.c.Send(fmt.Appendf(nil, "%d %s", v.lines, line))
		})
	}, func(t *testing.T, p place, v *visits, h plexor.Handler) {
		b := p.serve(t, &plexor.Server{}, plexor.HandlerFunc(func(c *plexor.Conn) {
			if line, err := lineOf(c); err != nil || line != "hi" {
				t.Errorf("the first line: %q, %v", line, err)
			}
			h.ServeConn(c)
			io.WriteString(c, "bye")
		}))
		for _, row := range []struct {
			sent, read string
			reason     func(error) bool
		}{
			{"hi\na\nb\n", "1 a\n2 b\nbye", func(err error) bool { return err == io.EOF }},
			{"hi\na\nfail\nb\n", "1 a\nbye", func(err error) bool { return err == said }},
			{"hi\npanic\n", "", func(err error) bool { _, ok := errors.AsType[*coro.PanicError](err); return ok }},
		} {
			c := b.dialMessages()
			if send(t, c, row.sent); row.read != "" {
				closeWrite(t, c)
			}
			if got, err := io.ReadAll(c); row.read != "" && (string(got) != row.read || err != nil) {
				t.Errorf("sent %q, read %q, %v; want %q", row.sent, got, err, row.read)
			}
			if err := receive(t, v.ended, "the end"); !row.reason(err) {
				t.Errorf("sent %q: the reason is %v", row.sent, err)
			}
			for len(v.ended) > 0 {
				<-v.ended // the context is the handler's, and goes on
			}
		}
	})
}

// TestSessionsCheck: what a Sessions must have.
func TestSessionsCheck(t *testing.T) {
	message := func(*plexor.Conn, int, []byte) error { return nil }
	turn := func(*plexor.Conn, int) error { return nil }
	for _, row := range []struct {
		h    plexor.Sessions[int]
		want string
	}{
		{plexor.Sessions[int]{}, "neither Message nor Turn"},
		{plexor.Sessions[int]{Codec: frame.Line{}}, "neither Message nor Turn"},
		{plexor.Sessions[int]{Codec: frame.Line{}, Message: message, Turn: turn}, "both"},
		{plexor.Sessions[int]{Message: message}, "codec is nil"},
		{plexor.Sessions[int]{Codec: frame.Fixed{}, Message: message}, "frame"},
		{plexor.Sessions[int]{Codec: frame.Fixed{}, Turn: turn}, "frame"},
	} {
		_, err := new(plexor.Server).Open("tcp://127.0.0.1:0", row.h)
		if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "Sessions") {
			t.Errorf("%+v: %v, want %q", row.h, err, row.want)
		}
	}
	_, err := new(plexor.Server).Open("tcp://127.0.0.1:0", plexor.Turns(nil))
	if err == nil || !strings.Contains(err.Error(), "Turns: the handler is nil") {
		t.Errorf("Turns(nil): %v", err)
	}
}
