package plexor_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// TestFirstByteShared: a connection that Open gives away is its user's, who may wait for its first byte as long as it
// likes, and Limits.FirstByte no longer holds for it.
func TestFirstByteShared(t *testing.T) {
	eachSessionPlace(t, func() *visits {
		v := newVisits(func(v *visit, line string) error { return v.c.Send([]byte(line)) })
		v.open = func(v *visit) error {
			sh := v.c.Shared()
			go func() {
				defer sh.Close()
				io.Copy(sh, sh)
			}()
			return nil
		}
		return v
	}, func(t *testing.T, p place, v *visits, h plexor.Handler) {
		clock := loop.NewManualClock(time.Now())
		limits := plexor.Limits{FirstByte: 8 * time.Second}
		b := p.serve(t, &plexor.Server{Loops: 1, Clock: clock, Limits: limits}, h)
		c := b.dialMessages()
		if b.tls {
			if err := c.(*tls.Conn).Handshake(); err != nil {
				t.Fatal(err)
			}
		}
		receive(t, v.ended, "the end of the session")
		for range 40 {
			clock.Advance(time.Second)
			if err := plexor.Turn(b.Server); err != nil {
				t.Fatal(err)
			}
		}
		send(t, c, "x\n")
		want(t, c, "x\n")
		if s := b.Stats(); s.Silent != 0 {
			t.Errorf("%d were silent, want none", s.Silent)
		}
	})
}

// A dam keeps what is written behind the first piece until it is opened: of a client's
// handshake, all behind the first flight.
type dam struct {
	net.Conn
	begun bool
	kept  []byte
}

func (d *dam) Write(p []byte) (int, error) {
	if !d.begun {
		d.begun = true
		return d.Conn.Write(p)
	}
	d.kept = append(d.kept, p...)
	return len(p), nil
}

// TestFirstByteBroken: the first byte of a session comes with the last of the TLS handshake, while Open waits, and then
// the connection breaks: there is nothing left to be awaited when Open returns, and the session ends once.
func TestFirstByteBroken(t *testing.T) {
	for kind := range newVisits(nil).handlers() {
		t.Run(kind, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				v := newVisits(func(*visit, string) error { return nil })
				opening, release := make(chan struct{}), make(chan struct{})
				v.open = func(v *visit) error {
					close(opening)
					_, err := coro.Await(context.WithoutCancel(v.ctx), func() (struct{}, error) {
						<-release
						return struct{}{}, nil
					})
					return err
				}
				b := place{driver, tlsAddr}.serve(t, &plexor.Server{Loops: 1}, v.handlers()[kind])
				raw := b.dial()
				d := &dam{Conn: raw}
				c := tls.Client(d, &tls.Config{InsecureSkipVerify: true})
				if err := c.Handshake(); err != nil {
					t.Fatal(err)
				}
				send(t, c, "x\n")
				send(t, raw, string(d.kept))
				receive(t, opening, "the session")
				reset(t, raw)
				b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 })
				close(release)
				b.await("the handler's end", func(s plexor.Stats) bool { return s.Handlers == 0 })
				if s := b.Stats(); s.Panics != 0 {
					t.Errorf("%d panics, want none", s.Panics)
				}
				c.Close()
			})
		})
	}
}
