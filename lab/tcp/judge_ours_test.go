package tcp_test

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab/ip"
	"github.com/plexor-go/plexor/lab/tcp"
)

// ours is this package's TCP as a judge, on a host of lab/ip.
type ours struct {
	cable
	time time.Duration
	h    *ip.Host
	i    *ip.Interface
	s    *tcp.Stack
	l    *tcp.Listener
	out  []sent
	told map[*tcp.Conn]tcp.Events
	all  []*tcp.Conn
}

func newOurs(t testing.TB, o setup, six bool) *ours {
	random := rand.New(rand.NewPCG(1, 1))
	limits := tcp.Limits{ReceiveBuffer: o.receive, KeepAlive: o.keepAlive, FinWait: o.finWait, Orphan: o.orphan}
	if o.keepAlive > 0 { // questions are an eighth of the user timeout apart
		limits.UserTimeout = 8 * o.keepAlive
	}
	j := &ours{cable: newCable(t, 1, six), told: map[*tcp.Conn]tcp.Events{},
		h: ip.New(ip.Options{Random: random.Uint64, TTL: o.ttl, SourceRoutes: o.routes,
			TCP: tcp.Options{Limits: limits, ECN: o.ecn, Reno: o.reno}})}
	j.put = func(frame []byte) { j.h.Frame(j.time, j.i, frame); j.flush() }
	j.s, j.i = j.h.TCP(), j.h.NewInterface("eth0", j.localMAC, 0)
	for _, a := range j.prefixes() {
		if err := j.i.Add(0, a); err != nil {
			t.Fatal(err)
		}
	}
	j.hello()
	return j
}

func (j *ours) now() time.Duration                          { return j.time }
func (j *ours) slack(d time.Duration, _ bool) time.Duration { return d }

func (j *ours) flush() {
	var frames [][]byte
	j.h.Flush(j.time, func(_ *ip.Interface, b []byte) { frames = append(frames, bytes.Clone(b)) })
	for c, e := j.s.Event(); c != nil; c, e = j.s.Event() {
		j.told[c] |= e
	}
	for _, b := range frames {
		if h, ok := j.took(b, j.time); ok {
			j.out = append(j.out, h)
		}
	}
}

func (j *ours) next(within time.Duration) (h sent, ok bool) {
	for until := j.time + within; len(j.out) == 0; {
		at, ok := j.h.Next()
		if !ok || at > until {
			j.time = until
			return h, false
		}
		j.time = max(j.time, at)
		j.h.Advance(j.time)
		j.flush()
	}
	h, j.out = j.out[0], j.out[1:]
	return h, true
}

func (j *ours) listen(backlog int) {
	var err error
	if j.l, err = j.s.Listen(netip.AddrPortFrom(j.local, 80), backlog); err != nil {
		j.t.Fatal(err)
	}
}

func (j *ours) inUse() error {
	_, err := j.s.Listen(netip.AddrPortFrom(j.local, 80), 0)
	return err
}

func (j *ours) accept() socket {
	if c := j.l.Accept(); c != nil {
		return j.socket(c)
	}
	return nil
}

func (j *ours) dial(from netip.AddrPort, port uint16, via ...netip.Addr) socket {
	j.t.Helper()
	var err error
	src := from.Addr()
	if !src.IsValid() {
		src, err = j.h.Source(j.remote)
	}
	var c *tcp.Conn
	if err == nil {
		c, err = j.s.Dial(j.time, netip.AddrPortFrom(src, from.Port()), netip.AddrPortFrom(j.remote, port))
	}
	if err == nil && len(via) > 0 {
		err = c.SetRoute(via...)
	}
	if err != nil {
		j.t.Fatal(err)
	}
	j.flush()
	return j.socket(c)
}

func (j *ours) refused(to netip.Addr) error {
	_, err := j.s.Dial(j.time, netip.AddrPortFrom(j.local, 0), netip.AddrPortFrom(to, 80))
	return err
}

func (j *ours) state(local, remote uint16) string {
	state := tcp.Closed.String()
	for _, c := range j.all {
		if c.Local().Port() == local && c.Remote().Port() == remote && c.State() != tcp.Closed {
			state = c.State().String()
		}
	}
	return state
}

func (j *ours) socket(c *tcp.Conn) socket {
	j.all = append(j.all, c)
	return &oursSocket{j, c}
}

type oursSocket struct {
	j *ours
	c *tcp.Conn
}

func (s *oursSocket) write(b []byte) (int, error) {
	defer s.j.flush()
	return s.c.Write(s.j.time, b)
}

func (s *oursSocket) writeUrgent(b []byte) (int, error) {
	defer s.j.flush()
	return s.c.WriteUrgent(s.j.time, b)
}

func (s *oursSocket) read(b []byte) (int, bool, error) {
	defer s.j.flush()
	return s.c.Read(s.j.time, b)
}

func (s *oursSocket) closeWrite() {
	if err := s.c.CloseWrite(s.j.time); err != nil {
		s.j.t.Fatal(err)
	}
	s.j.flush()
}

func (s *oursSocket) close() {
	if err := s.c.Close(s.j.time); err != nil {
		s.j.t.Fatal(err)
	}
	s.j.flush()
}

func (s *oursSocket) abort()                      { s.c.Abort(s.j.time); s.j.flush() }
func (s *oursSocket) failed() error               { return s.c.Err() }
func (s *oursSocket) urgent() bool                { return s.happened(tcp.Urgent) }
func (s *oursSocket) noDelay(on bool)             { s.c.SetNoDelay(on); s.j.flush() }
func (s *oursSocket) tos(tos uint8)               { s.c.SetTOS(tos) }
func (s *oursSocket) userTimeout(d time.Duration) { s.c.SetUserTimeout(d) }
func (s *oursSocket) reports()                    { delete(s.j.told, s.c) }
func (s *oursSocket) advised() bool               { return s.happened(tcp.Advised) }
func (s *oursSocket) stalled() bool               { return s.happened(tcp.Stalled) }
func (s *oursSocket) happened(e tcp.Events) bool  { s.j.flush(); return s.j.told[s.c]&e != 0 }
func (s *oursSocket) urgentLeft() int             { return s.c.UrgentLeft() }

func (s *oursSocket) route(via ...netip.Addr) {
	if err := s.c.SetRoute(via...); err != nil {
		s.j.t.Fatal(err)
	}
}

func (s *oursSocket) keepAlive() time.Duration {
	s.c.SetKeepAlive(s.j.time, true, 0)
	h, ok := s.j.next(24 * time.Hour)
	if !ok {
		s.j.t.Fatal("nobody is asked in a day")
	}
	return h.at
}
