package loop_test

import (
	"net"
	"testing"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// die closes the peer's end, by a reset over tcp.
func (p *peer) die() {
	p.t.Helper()
	if tcp, ok := p.Conn.(*net.TCPConn); ok {
		if err := tcp.SetLinger(0); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		p.t.Fatal(err)
	}
}

// shut closes the peer's half.
func (p *peer) shut() {
	p.t.Helper()
	if err := p.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
}

// A loan is a link that is lent.
type loan struct {
	*link
	b *borrower
	s sock.Socket
}

func (r *rig) lend(network string) *loan {
	r.t.Helper()
	k := r.connect(network, sock.Options{}, &watcher{})
	b := newBorrower(r.t)
	return &loan{k, b, k.borrow(b)}
}

// giveUp ends it.
func (n *loan) giveUp() {
	n.t.Helper()
	n.do(func() { n.c.Return(sock.None) })
	n.end(nil)
	if err := n.s.Close(); err != nil {
		n.t.Error(err)
	}
}

// dieUnread has the peer die with bytes that it has not read, which is an error on a unix socket too.
func (n *loan) dieUnread() {
	n.t.Helper()
	if _, err := n.s.Send([]byte("unread")); err != nil {
		n.t.Error(err)
	}
	n.peer.die()
}

// told waits until the loop has heard of all that has happened to what it has lent: of one more, which comes last.
func (r *rig) told(network string) {
	r.t.Helper()
	n := r.lend(network)
	n.dieUnread()
	recv(r.t, "Broken", n.b.broken)
	n.giveUp()
}

// TestLentBroken: the borrower is told that its peer has died, and not that it has closed its half, or, on a unix
// socket, both at once.
func TestLentBroken(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			for _, c := range []struct {
				name   string
				happen func(n *loan)
				tells  bool
			}{
				{"nothing", func(*loan) {}, false},
				{"its half is closed", func(n *loan) { n.peer.shut() }, false},
				{"bytes and its half", func(n *loan) { n.peer.send([]byte("more")); n.peer.shut() }, false},
				{"closed at once", func(n *loan) { n.peer.die() }, network == "tcp"},
				{"closed behind its half", func(n *loan) { n.peer.shut(); n.told(network); n.peer.die() }, true},
				{"closed with bytes unread", (*loan).dieUnread, true},
			} {
				t.Run(c.name, func(t *testing.T) {
					r := run(t, loop.Options{Driver: driver})
					n := r.lend(network)
					c.happen(n)
					r.told(network)
					if told := len(n.b.broken) > 0; told != c.tells {
						t.Errorf("Broken was called: %v, want %v", told, c.tells)
					}
					n.giveUp()
				})
			}
		})
	})
}

// TestLentBrokenLater: who has given the descriptor back, or a duplicate, is told nothing more, and the next one in its
// place nothing of it.
func TestLentBrokenLater(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for _, duplicates := range []bool{false, true} {
			r := run(t, loop.Options{Driver: driver})
			n := r.lend("tcp")
			if duplicates {
				dup, err := n.s.Dup()
				if err != nil {
					t.Fatal(err)
				}
				if err := n.s.Close(); err != nil {
					t.Fatal(err)
				}
				n.s = dup
			}
			n.do(func() { n.c.Return(n.s) })
			next := r.lend("tcp")
			n.peer.die()
			if err := recv(t, "Closed", n.closed); err == nil {
				t.Error("Closed got no error of a peer that is gone")
			}
			r.told("tcp")
			if len(n.b.broken)+len(next.b.broken) > 0 {
				t.Error("Broken was called of a descriptor that was given back, or of its successor's")
			}
			next.giveUp()
		}
	})
}
