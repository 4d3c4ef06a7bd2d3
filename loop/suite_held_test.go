//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A holder is called by a handler, and holds its loop until the test ends. Make it after the loop, which ends behind
// it.
type holder struct{ holds, free chan struct{} }

func newHolder(t *testing.T) *holder {
	h := &holder{make(chan struct{}), make(chan struct{})}
	t.Cleanup(func() { close(h.free) })
	return h
}

func (h *holder) hold() {
	close(h.holds)
	<-h.free
}

// giveUp has a held loop closed, which is to give it up.
func giveUp(t *testing.T, close func() error) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- close() }()
	if _, ok := errors.AsType[*loop.HeldError](recv(t, "Close", ended)); !ok {
		t.Error("Close tells of no held loop")
	}
}

// together runs a test on all drivers at once, for each waits until Close gives up.
func together(t *testing.T, test func(t *testing.T, driver string)) {
	for _, name := range driverNames(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, name)
		})
	}
}

// TestHeldLoopAccepted: who was accepted by a turn that is held, and whose turn has not come, is let go as all others
// are; so is who was accepted beyond the turn's budget.
func TestHeldLoopAccepted(t *testing.T) {
	t.Parallel()
	const budget, conns = 4, 20
	for name, at := range map[string]int{"the first holds": 1, "one of the next turn holds": budget + 2} {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(name+"/"+network, func(t *testing.T) {
				t.Parallel()
				together(t, func(t *testing.T, driver string) {
					r := run(t, loop.Options{Driver: driver, AcceptBudget: budget})
					h, n := newHolder(t), 0
					a := r.listen(network, sock.Options{}, func(*loop.Conn) loop.Handler {
						if n++; n == at {
							h.hold()
						}
						return loop.Base{}
					})
					release := r.busy()
					var peers []*peer
					for range conns {
						peers = append(peers, dial(t, a))
					}
					release()
					recv(t, "the handler", h.holds)
					giveUp(t, r.Close)
					for i, p := range peers {
						if _, err := io.ReadAll(p); errors.Is(err, os.ErrDeadlineExceeded) {
							t.Errorf("connection %d of %d waits for a loop that was given up", i, conns)
						}
					}
				})
			})
		}
	}
}

// TestHeldLoopParting: what the very turn has ended that is held is over for the peers all the same: a connection that
// was aborted, a listener with who waits there, a socket of datagrams. On io_uring the kernel has an operation under
// way on each of them, and the loop does not see its end.
func TestHeldLoopParting(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			together(t, func(t *testing.T, driver string) {
				r := run(t, loop.Options{Driver: driver})
				h := newHolder(t)
				k, u := r.connect(network, sock.Options{}, &watcher{}), r.packets("127.0.0.1", sock.Options{})
				var ln *loop.Listener
				r.do(func() {
					var err error
					accept := func(*loop.Conn) loop.Handler { return loop.Base{} }
					if ln, err = r.Listen(address(t, network), sock.Options{}, accept); err != nil {
						t.Error(err)
					}
				})
				udp := udpTo(t, u.addr)
				release := r.busy()
				waits := dial(t, ln.Addr())
				if err := r.Post(func() {
					k.c.Abort()
					if err := errors.Join(ln.Close(), u.s.Close()); err != nil {
						t.Error(err)
					}
					h.hold()
				}); err != nil {
					t.Fatal(err)
				}
				release()
				recv(t, "the handler", h.holds)
				giveUp(t, r.Close)
				for name, p := range map[string]*peer{"aborted": k.peer, "waiting": waits} {
					if _, err := io.ReadAll(p); errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("the %s connection waits for a loop that was given up", name)
					}
				}
				if network == "tcp" { // a unix socket's file is gone
					refuses(t, ln.Addr())
				}
				eventually(t, "who sends is told that nobody is there", func() bool {
					_, err := udp.Write([]byte("?"))
					return errors.Is(err, syscall.ECONNREFUSED)
				})
			})
		})
	}
}

// TestHeldLoopDatagrams: a datagram socket of a loop that was given up takes nothing more, and who sends is told so.
func TestHeldLoopDatagrams(t *testing.T) {
	t.Parallel()
	together(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		h := newHolder(t)
		var peers []*net.UDPConn
		for _, host := range []string{"127.0.0.1", "0.0.0.0", "::1", "::"} {
			c, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
			if err != nil {
				t.Logf("no datagrams on %s here: %v", host, err)
				continue
			}
			c.Close()
			peers = append(peers, udpTo(t, r.packets(host, sock.Options{}).addr))
		}
		if err := r.Post(h.hold); err != nil {
			t.Fatal(err)
		}
		recv(t, "the handler", h.holds)
		giveUp(t, r.Close)
		for _, c := range peers {
			eventually(t, "who sends to "+c.RemoteAddr().String()+" is told that nobody is there", func() bool {
				_, err := c.Write([]byte("?"))
				return errors.Is(err, syscall.ECONNREFUSED)
			})
		}
	})
}

// udpTo is a socket of Go's own that is connected to a wildcard's port, or to an address.
func udpTo(t *testing.T, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	if ip := to.Addr(); ip.IsUnspecified() {
		to = netip.AddrPortFrom(netip.IPv6Loopback(), to.Port())
		if ip.Is4() {
			to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), to.Port())
		}
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestHeldLoopShared: what a loop that was given up shared with others is theirs alone, and ends with them. With
// io_uring the kernel keeps a socket on which an operation is under way until the loop ends; so there it does not end.
func TestHeldLoopShared(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"tcp", "udp"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			together(t, func(t *testing.T, driver string) {
				s, err := sock.Listen(address(t, scheme), sock.Options{})
				if err != nil {
					t.Fatal(err)
				}
				a, err := s.LocalAddr()
				if err != nil {
					t.Fatal(err)
				}
				groups := sharers(t, driver, s)
				h := newHolder(t)
				if err := groups[0].Loops()[0].Post(h.hold); err != nil {
					t.Fatal(err)
				}
				recv(t, "the handler", h.holds)
				giveUp(t, groups[0].Close)
				for range 5 {
					answered(t, a)
				}
				if err := errors.Join(groups[1].Close(), s.Close()); err != nil {
					t.Error(err)
				}
				if driver != "io_uring" {
					refuses(t, a)
				}
			})
		})
	}
}

// sharers are two groups that echo what comes to a socket that both have.
func sharers(t *testing.T, driver string, s sock.Socket) (groups []*loop.Group) {
	t.Helper()
	for range 2 {
		g, err := loop.NewGroup(loop.GroupOptions{Loops: 1, Options: loop.Options{Driver: driver, Stall: -1, Log: quiet}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Close() })
		dup, err := s.Dup()
		if err != nil {
			t.Fatal(err)
		}
		if a, _ := s.LocalAddr(); a.Scheme == "udp" {
			_, err = g.ListenPacketShared(dup, loop.PacketFunc(func(s *loop.PacketConn, p []byte, peer netip.AddrPort, _ bool) {
				_, _ = s.WriteTo(p, peer)
			}))
		} else {
			_, err = g.ListenShared(sock.Options{}, func(*loop.Conn) loop.Handler {
				return loop.HandlerFunc(func(c *loop.Conn, p []byte) { _, _ = c.Write(p) })
			}, dup)
		}
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, g)
	}
	return groups
}

func answered(t *testing.T, a sock.Addr) {
	t.Helper()
	c := dial(t, a)
	c.send([]byte("hello"))
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
		t.Fatalf("who shares the socket answers %q, %v", got, err)
	}
}

func refuses(t *testing.T, a sock.Addr) {
	t.Helper()
	eventually(t, "nobody has the socket", func() bool {
		c, err := tryDial(a)
		if err != nil {
			return errors.Is(err, syscall.ECONNREFUSED)
		}
		defer c.Close()
		_, err = c.Write([]byte("?"))
		if a.Scheme == "udp" && err == nil {
			_, err = c.Write([]byte("?"))
		}
		return a.Scheme == "udp" && errors.Is(err, syscall.ECONNREFUSED)
	})
}

// A slowEnd is a clock that takes longer to be left than Close waits for a loop that does nothing.
type slowEnd struct{ *loop.ManualClock }

func (s slowEnd) OnStep(wake func()) func() {
	cancel := s.ManualClock.OnStep(wake)
	return func() { <-time.After(1500 * time.Millisecond); cancel() }
}

// TestCloseWaitsForItsOwn: what is left of the end of a loop when all handlers have run is waited for, however long a
// busy machine makes it take: no handler holds the loop then.
func TestCloseWaitsForItsOwn(t *testing.T) {
	t.Parallel()
	l, err := loop.New(loop.Options{Driver: "poll", Clock: slowEnd{loop.NewManualClock(time.Now())}})
	if err != nil {
		t.Fatal(err)
	}
	go l.Run()
	if err := l.Do(func() {}); err != nil { // it runs
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Close() }()
	if err := recv(t, "Close", ended); err != nil {
		t.Error(err)
	}
}
