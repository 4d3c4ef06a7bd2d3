//go:build netbsd || openbsd

package selector

import "golang.org/x/sys/unix"

// nudge is what ends a wait from outside: a pipe. (NetBSD has user events since 10, OpenBSD has none.)
type nudge struct{ waker *waker }

func (n *nudge) open(kq int) error {
	w, err := newWaker()
	if err != nil {
		return err
	}
	if err := kevent1(kq, w.source(), unix.EVFILT_READ, unix.EV_ADD, 0); err != nil {
		w.close()
		return err
	}
	n.waker = w
	return nil
}

func (n *nudge) kick(int) error { return n.waker.kick() }

func (n *nudge) is(ev *unix.Kevent_t) bool {
	if int(ev.Ident) != n.waker.source() {
		return false
	}
	n.waker.drain()
	return true
}

func (n *nudge) close() { n.waker.close() }
