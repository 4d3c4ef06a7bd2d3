//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"net"
	"strconv"
	"time"

	"github.com/plexor-go/plexor/sock"
	"golang.org/x/sys/unix"
)

// A connection that nobody is woken for.
//
// Of those that wait for a connection on one socket with io_uring, the kernel wakes the first, and it alone. The ring of a
// process that was killed is cleared away some milliseconds after the process (by a kernel thread), and waits until then with
// the others. A connection that comes in that time may wake it in vain, and then stays in the queue until
// another one comes: 2 of 300 that were made just after a kill (Linux 6.18). epoll wakes all, and loses none.
//
// So the master looks at the sockets for a while after a worker has ended. One on which a connection waits at two looks in a
// row gets another connection, from the master, which is closed at once: its arrival wakes the next one, who takes in both.
// Under load it may be that nothing was lost, and the handlers see a client that comes and goes.

const (
	looks     = 8
	lookEvery = 50 * time.Millisecond
)

// look begins to look after the sockets, or begins anew.
func (m *master) look() {
	m.looks = looks
	m.waited = nil
	if m.looking == nil {
		m.lookLater()
	}
}

func (m *master) lookLater() {
	m.looking = time.AfterFunc(lookEvery, func() { m.post(m.lookNow) })
}

func (m *master) lookNow() {
	m.looking = nil
	if m.stopping != "" {
		return
	}
	waits := make(map[*shared]bool)
	for _, s := range m.sockets {
		if s.addr.Scheme == "udp" || !s.readable() {
			continue
		}
		waits[s] = true
		if m.waited[s] && m.served() {
			go nudge(s.addr)
		}
	}
	m.waited = waits
	if m.looks--; m.looks > 0 {
		m.lookLater()
	}
}

// served reports whether there is a worker to be woken.
func (m *master) served() bool {
	for c := range m.alive {
		if !c.readyAt.IsZero() && !c.leaving {
			return true
		}
	}
	return false
}

// readable reports whether a connection waits.
func (s *shared) readable() bool {
	fds := []unix.PollFd{{Fd: int32(s.sock.FD()), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// nudge connects and is gone. If it can't, the queue is full, and there is no lack of those who wake.
func nudge(a sock.Addr) {
	address := a.Path
	if a.Scheme != "unix" {
		address = net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
	}
	if c, err := net.DialTimeout(a.Scheme, address, lookEvery); err == nil {
		_ = c.Close() // nothing was sent
	}
}
