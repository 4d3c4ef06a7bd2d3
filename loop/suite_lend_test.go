//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"net"
	"testing"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A borrower is a watcher that connections are lent to.
type borrower struct {
	*watcher
	refuse  int // so many loans
	lent    chan sock.Socket
	revoked chan error
	broken  chan bool
}

func newBorrower(t testing.TB) *borrower {
	return &borrower{watcher: &watcher{t: t}, lent: make(chan sock.Socket, 1), revoked: make(chan error, 1),
		broken: make(chan bool, 8)}
}

func (b *borrower) Lent(_ *loop.Conn, s sock.Socket) bool {
	if b.refuse > 0 {
		b.refuse--
		return false
	}
	b.lent <- s
	return true
}

func (b *borrower) Broken(*loop.Conn) { b.broken <- true }

func (b *borrower) Revoke(err error) {
	select {
	case b.revoked <- err:
	default: // it was told already
	}
}

// borrow has the link's connection lent, and returns what is lent.
func (k *link) borrow(b *borrower) sock.Socket {
	k.t.Helper()
	b.watcher = k.w
	k.do(func() {
		k.c.SetHandler(b)
		k.c.Lend()
	})
	return recv(k.t, "Lent", b.lent)
}

// receive reads n bytes by the descriptor.
func receive(t testing.TB, s sock.Socket, n int) []byte {
	t.Helper()
	got := make([]byte, 0, n)
	eventually(t, "all bytes have come", func() bool {
		m, err := s.Recv(got[len(got):n])
		if err != nil && err != sock.ErrWouldBlock {
			t.Fatalf("Recv: %v", err)
		}
		got = got[:len(got)+m]
		return len(got) == n
	})
	return got
}

// TestLend: what was written before leaves first, what came before is told, and while it is lent the loop reads
// nothing. Given back, it is as before.
func TestLend(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver})
			var got []byte
			k := r.connect(network, sock.Options{}, &watcher{data: func(_ *loop.Conn, p []byte) { got = append(got, p...) }})
			k.peer.send([]byte("before"))
			r.until("the first bytes", func() bool { return len(got) == 6 })
			k.do(func() { write(t, k.c, []byte("first")) })
			b := newBorrower(t)
			b.refuse = 1
			k.w.writable = nil
			b.watcher = k.w
			k.do(func() { k.c.SetHandler(b); k.c.Lend() })
			r.turns(3)
			k.peer.send([]byte("refused"))
			r.until("what comes behind a refused loan", func() bool { return string(got) == "beforerefused" })
			s := k.borrow(b)
			k.peer.expect([]byte("first"))
			k.peer.send([]byte("lent"))
			if p := receive(t, s, 4); string(p) != "lent" {
				t.Errorf("by the descriptor came %q", p)
			}
			if _, err := s.Send([]byte("direct")); err != nil {
				t.Error(err)
			}
			k.peer.expect([]byte("direct"))
			if err := k.c.WithSocket(func(sock.Socket) error { return nil }); !errors.Is(err, net.ErrClosed) {
				t.Errorf("WithSocket of a lent connection: %v, want ErrClosed", err)
			}
			k.peer.send([]byte("after"))
			k.do(func() { k.c.Return(s) })
			r.until("what came at the end", func() bool { return string(got) == "beforerefusedafter" })
			k.do(func() { write(t, k.c, []byte("last")); k.c.Close() })
			k.peer.expectAll([]byte("last"))
			k.peer.Close()
			k.end(nil)
		})
	})
}

// TestLendBehindOutput: a loan waits until a peer that does not read has taken all, and none comes of a connection that
// is closed meanwhile.
func TestLendBehindOutput(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for _, closes := range []bool{false, true} {
			r := run(t, loop.Options{Driver: driver})
			k := r.connect("tcp", sock.Options{}, &watcher{})
			all := pattern(large)
			b := newBorrower(t)
			b.watcher = k.w
			k.do(func() {
				write(t, k.c, all)
				k.c.SetHandler(b)
				k.c.Lend()
				if closes {
					k.c.Close()
				}
			})
			r.turns(2)
			select {
			case <-b.lent:
				t.Fatal("it was lent with output under way")
			default:
			}
			if closes {
				readSlowly(t, k.peer, all)
				k.peer.Close()
				k.end(nil)
				continue
			}
			k.peer.expect(all)
			s := recv(t, "Lent", b.lent)
			k.do(func() { k.c.Return(sock.None) }) // the borrower closes it
			k.end(nil)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			k.peer.expectEOF()
		}
	})
}

// TestLendRevoked: a connection that the loop ends while it is lent is the borrower's to close, and what comes back
// then is closed by the loop.
func TestLendRevoked(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		why := errors.New("its time is up")
		for name, end := range map[string]func(k *link) error{
			"fail":  func(k *link) error { k.do(func() { k.c.CloseWithError(why) }); return why },
			"close": func(k *link) error { k.Close(); return loop.ErrLoopClosed },
		} {
			t.Run(name, func(t *testing.T) {
				r := run(t, loop.Options{Driver: driver})
				k := r.connect("tcp", sock.Options{}, &watcher{})
				b := newBorrower(t)
				s := k.borrow(b)
				want := end(k)
				if err := recv(t, "Revoke", b.revoked); !errors.Is(err, want) {
					t.Errorf("Revoke got %v, want %v", err, want)
				}
				k.end(want)
				if name == "fail" {
					k.do(func() { k.c.Return(s) })
				} else if err := s.Close(); err != nil {
					t.Error(err)
				}
				if _, err := k.peer.Read(make([]byte, 1)); err == nil {
					t.Error("the peer read something")
				}
			})
		}
	})
}

// TestListenLent: connections are lent from the start, count as the loop's, and those that the borrower does not want
// are the loop's.
func TestListenLent(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		g, err := loop.NewGroup(loop.GroupOptions{Options: loop.Options{Driver: driver, Log: quiet}, Loops: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		a := address(t, "tcp")
		sockets, err := g.Bind(a, sock.Options{})
		if err != nil {
			t.Fatal(err)
		}
		came := make(chan *borrower, 8)
		refusals := make(chan int, 8)
		ln, err := g.ListenLent(sock.Options{}, func(*loop.Conn) loop.Handler {
			refuse := <-refusals
			if refuse < 0 {
				return nil
			}
			b := newBorrower(t)
			b.refuse = refuse
			b.data = func(c *loop.Conn, p []byte) { c.Write(p) }
			came <- b
			return b
		}, false, sockets...)
		if err != nil {
			t.Fatal(err)
		}
		refusals <- 0
		p := dial(t, ln.Addr())
		s := recv(t, "Lent", recv(t, "a connection", came).lent)
		p.send([]byte("direct"))
		if got := receive(t, s, 6); string(got) != "direct" {
			t.Errorf("by the descriptor came %q", got)
		}
		refusals <- 1
		q := dial(t, ln.Addr())
		recv(t, "a connection", came)
		q.send([]byte("by the loop"))
		q.expect([]byte("by the loop"))
		refusals <- -1
		if c, err := tryDial(ln.Addr()); err == nil { // it may be reset as early as that
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("a connection that was refused read something")
			}
			c.Close()
		}
		eventually(t, "two connections count", func() bool { return g.Stats().Conns == 2 })
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestLendDrain: a drain leaves what is lent to its borrower, and takes it once it is back.
func TestLendDrain(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		k := r.connect("tcp", sock.Options{}, &watcher{})
		b := newBorrower(t)
		s := k.borrow(b)
		k.do(func() {
			if k.c.Quiet() || k.c.Drain() {
				t.Error("a lent connection was drained")
			}
			k.c.Return(s)
		})
		var drained bool
		k.do(func() { drained = k.c.Drain() })
		if !drained {
			t.Error("a connection that is back was not drained")
		}
		k.peer.expectEOF()
		k.peer.Close()
		k.end(nil)
	})
}
