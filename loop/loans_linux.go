package loop

import (
	"fmt"

	"github.com/plexor-go/plexor/selector"
	"github.com/plexor-go/plexor/sock"
	"golang.org/x/sys/unix"
)

// While a connection is lent the loop reads and writes nothing of it, and so would not learn that its peer has died;
// its borrower may not either, as it may do something else for long. So all that a loop has lent are in one epoll
// instance, and the loop has a Watch on that, whatever it waits on itself.
//
// The instance is edge-triggered and asks for no readiness: bytes that come are filtered out in the kernel and wake
// nobody. An error is always told (EPOLLERR), and the end of both halves (EPOLLHUP). Over TCP a peer that is gone is an
// error, so that is all there. A unix socket has none: there the end of the peer's half is asked for too (EPOLLRDHUP),
// since a peer that closes one half after the other has died, and one that closes both at once has not (see
// Conn.lookGone).
//
// The borrower closes the descriptor when it likes, and the kernel takes it out of the instance then; if a duplicate
// lives, it stays in there and is reported once more at most. So an entry has its number's round, and the loop never
// names a descriptor to the kernel that is not its own at that moment.

// loanSet are the connections that a loop has lent.
type loanSet struct {
	watch *Watch
	slots []loan // by Conn.slot
	free  []uint32
}

type loan struct {
	conn  *Conn
	round uint32 // how often the slot was given
	half  bool   // the peer has closed its half, and that alone
}

// loansAtOnce is how many are looked at in a turn.
const loansAtOnce = 64

// watchLoan begins to watch c, whose descriptor is still the loop's.
func (l *Loop) watchLoan(c *Conn) error {
	if l.loans == nil {
		if err := l.newLoans(); err != nil {
			return err
		}
	}
	s := l.loans
	if s.watch.ended {
		return ErrClosed
	}
	if len(s.free) == 0 {
		s.free = append(s.free, uint32(len(s.slots)))
		s.slots = append(s.slots, loan{})
	}
	at := s.free[len(s.free)-1]
	e := unix.EpollEvent{Events: unix.EPOLLET, Fd: int32(at), Pad: int32(s.slots[at].round)}
	domain, err := unix.GetsockoptInt(c.sock.FD(), unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err == nil && domain == unix.AF_UNIX {
		e.Events |= unix.EPOLLRDHUP
	}
	if err := unix.EpollCtl(s.watch.sock.FD(), unix.EPOLL_CTL_ADD, c.sock.FD(), &e); err != nil {
		return fmt.Errorf("loop: epoll_ctl: %w", err)
	}
	s.free = s.free[:len(s.free)-1]
	s.slots[at].conn, s.slots[at].half = c, c.state&(sawEOF|goneAtOnce) == sawEOF
	c.slot = at
	return nil
}

// unwatchLoan ends that. k is the descriptor if it is the loop's again, or a duplicate of it.
func (l *Loop) unwatchLoan(c *Conn, k sock.Socket) {
	s := l.loans
	if s == nil {
		return // the loop ends
	}
	n := &s.slots[c.slot]
	n.conn = nil
	n.round++
	s.free = append(s.free, c.slot)
	if k != sock.None && !s.watch.ended {
		_ = unix.EpollCtl(s.watch.sock.FD(), unix.EPOLL_CTL_DEL, k.FD(), nil) // a duplicate is not in there
	}
}

func (l *Loop) newLoans() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("loop: epoll_create1: %w", err)
	}
	s := new(loanSet)
	if s.watch, err = l.Watch(sock.Socket(fd), s); err != nil {
		return err
	}
	s.watch.Await(selector.Read)
	l.loans = s
	return nil
}

// Ready is of WatchHandler.
func (s *loanSet) Ready(w *Watch, _ selector.Events) {
	var events [loansAtOnce]unix.EpollEvent
	n, _ := unix.EpollWait(w.sock.FD(), events[:], 0) // it fails for a signal alone, and then it is ready again
	w.Await(selector.Read)
	for _, e := range events[:max(n, 0)] {
		if n := &s.slots[uint32(e.Fd)]; n.conn != nil && n.round == uint32(e.Pad) {
			n.happened(e.Events)
		}
	}
}

// Closed is of WatchHandler.
func (s *loanSet) Closed(w *Watch, err error) {
	w.loop.loans = nil
	for _, n := range s.slots {
		if n.conn != nil { // the loop has not ended: the Watch failed
			n.conn.fail(err)
		}
	}
}

// happened is told what the system reports. The borrower may end the loan.
func (n *loan) happened(e uint32) {
	switch {
	case e&unix.EPOLLERR != 0, e&unix.EPOLLHUP != 0 && n.half:
		n.conn.handler.(Borrower).Broken(n.conn)
	case e&unix.EPOLLHUP == 0:
		n.half = true
	}
}
