//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"errors"
	"syscall"
)

// A start that fails is no death: there was no process. While another worker serves it is tried again for ever, for the
// machine may have room again (processes, descriptors, memory), and no client gains by the end of a worker that does
// well.

// notStarted is told why a slot's worker could not be started.
func (m *master) notStarted(s *slot, err error) {
	if m.stopping != "" {
		return
	}
	s.fails++
	m.Log.Error("worker not started", "worker", s.number, "tries", s.fails, "err", err)
	if !m.served() && (s.fails >= m.Deaths || !m.announced && !passes(err)) {
		m.giveUp(&GaveUpError{Worker: s.number, Starts: s.fails, Reason: err.Error()})
		return
	}
	m.startLater(s, s.fails)
}

func (m *master) giveUp(err *GaveUpError) {
	m.Log.Error("master gives up", "err", err)
	m.err = err
	m.stop(Drain)
}

// served reports whether a worker serves that is to go on.
func (m *master) served() bool {
	for c := range m.alive {
		if !c.readyAt.IsZero() && !c.leaving {
			return true
		}
	}
	return false
}

// passes reports whether a start failed for what may be better the next time: a limit of processes or descriptors, or
// no memory.
func passes(err error) bool {
	for _, e := range []error{syscall.EAGAIN, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
