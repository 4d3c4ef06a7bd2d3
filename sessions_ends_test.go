package plexor_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
)

// TestSessionReasons: Closed is told why, once.
func TestSessionReasons(t *testing.T) {
	beside(t)
	said := errors.New("I said so")
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	hangUp := func(t *testing.T, c net.Conn) { closeWrite(t, c) }
	resetAfter := func(line string) func(t *testing.T, c net.Conn) {
		return func(t *testing.T, c net.Conn) { want(t, c, line); reset(t, bare(c)) }
	}
	for _, row := range []struct {
		name   string
		sent   string
		client func(t *testing.T, c net.Conn) // what the client does then; nil: nothing
		reason func(error) bool
		only   string // the kind that has this end
		tcp    bool   // unix sockets have none
	}{
		{"the peer's end", "a\n", hangUp, func(err error) bool { return err == io.EOF }, "", false},
		{"the peer's end at once", "", hangUp, func(err error) bool { return err == io.EOF }, "", false},
		{"an end inside a message", "a\nb", hangUp, is(io.ErrUnexpectedEOF), "", false},
		{"no message", strings.Repeat("x", 60), nil,
			func(err error) bool { _, ok := errors.AsType[*frame.Error](err); return ok }, "Message", false},
		{"an error", "a\nfail\n", nil, func(err error) bool { return err == said }, "", false},
		{"an error after a wait", "a\nlate\n", nil, func(err error) bool { return err == said }, "", false},
		{"io.EOF", "quit\n", nil, func(err error) bool { return err == io.EOF }, "Turn", false},
		{"a panic", "panic\n", nil,
			func(err error) bool { _, ok := errors.AsType[*coro.PanicError](err); return ok }, "", false},
		{"Close", "close\n", nil, is(net.ErrClosed), "", false},
		{"Close and an error", "close and fail\n", nil, is(net.ErrClosed), "", false},
		{"Abort", "abort\n", nil, is(loop.ErrAborted), "", false},
		{"Shared", "share\n", nil, is(plexor.ErrGivenAway), "", false},
		{"a read deadline", "deadline\n", nil, isTimeout, "", false},
		{"a reset", "a\n", resetAfter("a\n"), is(syscall.ECONNRESET), "", true},
		{"a reset while it is handled", "sleep\n", resetAfter("asleep\n"), is(syscall.ECONNRESET), "", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachSessionPlace(t, func() *visits {
				return newVisits(func(v *visit, line string) error {
					switch line {
					case "fail":
						return said
					case "late":
						if err := coro.Sleep(v.ctx, time.Millisecond); err != nil {
							return err
						}
						return said
					case "quit":
						return io.EOF
					case "panic":
						panic("oh no")
					case "close":
						return v.c.Close()
					case "close and fail":
						return errors.Join(v.c.Close(), said)
					case "abort":
						return v.c.Abort()
					case "share":
						return v.c.Shared().Close()
					case "deadline":
						return v.c.SetReadDeadline(time.Now().Add(time.Millisecond))
					case "sleep":
						if err := v.c.Send([]byte("asleep")); err != nil {
							return err
						}
						return coro.Sleep(v.ctx, time.Hour)
					}
					return v.c.Send([]byte(line))
				})
			}, func(t *testing.T, p place, v *visits, h plexor.Handler) {
				if row.only != "" && !strings.Contains(t.Name(), "/"+row.only+"/") {
					t.Skip("this kind has no such end")
				}
				if row.tcp && strings.HasPrefix(p.addr, "unix") {
					t.Skip("a unix socket has no reset")
				}
				b := p.serve(t, &plexor.Server{}, h)
				c := b.dialMessages()
				send(t, c, row.sent)
				if row.client != nil {
					row.client(t, c)
				}
				if err := receive(t, v.ended, "the end"); !row.reason(err) {
					t.Errorf("the reason is %v", err)
				}
				c.Close()
				b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.Handlers == 0 })
				if len(v.ended) > 0 {
					t.Errorf("and then: %v", <-v.ended)
				}
			})
		})
	}
}

// bare is what is below TLS.
func bare(c net.Conn) net.Conn {
	if tc, ok := c.(*tls.Conn); ok {
		return tc.NetConn()
	}
	return c
}

// TestSessionServerEnds: Shutdown tells those that rest and those that are busy, Close all, also when no coroutine runs
// any more.
func TestSessionServerEnds(t *testing.T) {
	beside(t)
	for _, how := range []string{"Shutdown", "Close"} {
		t.Run(how, func(t *testing.T) {
			eachSessionPlace(t, func() *visits {
				v := newVisits(func(v *visit, line string) error {
					if err := v.c.Send([]byte(line)); err != nil || line != "sleep" {
						return err
					}
					return coro.Sleep(v.ctx, 20*time.Millisecond)
				})
				v.open = func(v *visit) error { return v.c.Send([]byte("welcome")) }
				return v
			}, func(t *testing.T, p place, v *visits, h plexor.Handler) {
				b := p.serve(t, &plexor.Server{}, h)
				quiet, spoke, busy := b.dialMessages(), b.dialMessages(), b.dialMessages()
				for _, c := range []net.Conn{quiet, spoke, busy} {
					want(t, c, "welcome\n")
				}
				send(t, spoke, "a\n")
				want(t, spoke, "a\n")
				send(t, busy, "sleep\n")
				want(t, busy, "sleep\n")
				done := make(chan struct{})
				go func() {
					defer close(done)
					if how == "Shutdown" {
						b.shutdown()
					} else if err := b.Server.Close(); err != nil {
						t.Error(err)
					}
				}()
				for range 3 {
					if err := receive(t, v.ended, "an end"); !errors.Is(err, plexor.ErrServerClosed) {
						t.Errorf("the reason is %v, want ErrServerClosed", err)
					}
				}
				for _, c := range []net.Conn{quiet, spoke, busy} {
					c.Close()
				}
				receive(t, done, how)
				if len(v.ended) > 0 {
					t.Errorf("and then: %v", <-v.ended)
				}
			})
		})
	}
}

// TestSessionLimits: the reasons that are limits, by the loops' clock.
func TestSessionLimits(t *testing.T) {
	beside(t)
	for _, row := range []struct {
		name   string
		limits plexor.Limits
		sent   string
		reason error
		count  func(plexor.Stats) int64
		only   string
	}{
		{"idle", plexor.Limits{IdleTimeout: 8 * time.Second}, "a\n",
			plexor.ErrIdle, func(s plexor.Stats) int64 { return s.Idle }, ""},
		{"idle in a turn", plexor.Limits{IdleTimeout: 8 * time.Second}, "a\nb",
			plexor.ErrIdle, func(s plexor.Stats) int64 { return s.Idle }, "Turn"},
		{"first byte", plexor.Limits{FirstByte: 8 * time.Second, IdleTimeout: -1}, "",
			plexor.ErrFirstByte, func(s plexor.Stats) int64 { return s.Silent }, ""},
		{"frame time", plexor.Limits{FrameTime: 8 * time.Second, IdleTimeout: -1}, "a\nb",
			plexor.ErrFrameTime, func(s plexor.Stats) int64 { return s.SlowFrames }, "Message"},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachSessionPlace(t, func() *visits {
				v := newVisits(func(v *visit, line string) error { return v.c.Send([]byte(line)) })
				v.open = func(v *visit) error { return v.c.Send([]byte("welcome")) }
				return v
			}, func(t *testing.T, p place, v *visits, h plexor.Handler) {
				if row.only != "" && !strings.Contains(t.Name(), "/"+row.only+"/") {
					t.Skip("this kind has no such end")
				}
				clock := loop.NewManualClock(time.Now())
				b := p.serve(t, &plexor.Server{Loops: 1, Clock: clock, Limits: row.limits}, h)
				c := b.dialMessages()
				want(t, c, "welcome\n")
				if row.sent != "" {
					send(t, c, row.sent)
					want(t, c, "a\n")
				}
				end := time.Now().Add(patience)
				for ; row.count(b.Stats()) == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
					clock.Advance(time.Second)
				}
				err := receive(t, v.ended, "the end")
				if !errors.Is(err, row.reason) || !isTimeout(err) {
					t.Errorf("the reason is %v, want %v", err, row.reason)
				}
				c.Close()
				b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.Handlers == 0 && row.count(s) == 1 })
				if len(v.ended) > 0 {
					t.Errorf("and then: %v", <-v.ended)
				}
			})
		})
	}
}

// TestSessionTLSEnds: over TLS, an end that is none and a broken record.
func TestSessionTLSEnds(t *testing.T) {
	beside(t)
	broken := append([]byte{23, 3, 3, 0, 32}, make([]byte, 32)...)
	for _, row := range []struct {
		name   string
		end    func(t *testing.T, c *tls.Conn)
		reason func(error) bool
	}{
		{"an end without close_notify", func(t *testing.T, c *tls.Conn) { closeWrite(t, c.NetConn()) },
			func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"an end inside a record", func(t *testing.T, c *tls.Conn) {
			send(t, c.NetConn(), string(broken[:20]))
			closeWrite(t, c.NetConn())
		},
			func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"a broken record", func(t *testing.T, c *tls.Conn) { send(t, c.NetConn(), string(broken)) },
			func(err error) bool { return strings.Contains(err.Error(), "bad record MAC") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			make := func() *visits {
				return newVisits(func(v *visit, line string) error { return v.c.Send([]byte(line)) })
			}
			for kind := range make().handlers() {
				for _, sent := range []string{"", "a\n"} {
					t.Run(fmt.Sprintf("%s %q", kind, sent), func(t *testing.T) {
						eachDriver(t, func(t *testing.T, driver string) {
							v := make()
							b := serveTLS(t, driver, &plexor.Server{}, nil, v.handlers()[kind])
							c := b.connect(nil)
							send(t, c, sent)
							want(t, c, sent)
							row.end(t, c)
							if err := receive(t, v.ended, "the end"); !row.reason(err) {
								t.Errorf("the reason is %v", err)
							}
							c.Close()
							b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.Handlers == 0 && s.Failed == 0 })
							if len(v.ended) > 0 {
								t.Errorf("and then: %v", <-v.ended)
							}
						})
					})
				}
			}
		})
	}
}
