//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"slices"
	"syscall"
)

// signalled does what a signal asks for.
func (m *master) signalled(sig syscall.Signal) {
	switch {
	case sig == syscall.SIGTERM && m.stopping == "":
		m.stop(Drain)
	case sig == syscall.SIGTERM || sig == syscall.SIGINT || sig == syscall.SIGQUIT:
		m.stop(Quit)
	case m.stopping != "":
	case sig == syscall.SIGHUP:
		m.startReload()
	case sig == syscall.SIGTTIN:
		m.more()
	case sig == syscall.SIGTTOU:
		m.fewer()
	case sig == syscall.SIGUSR2:
		m.upgrade()
	}
}

// more is one worker more.
func (m *master) more() {
	if len(m.slots) >= MaxWorkers {
		m.Log.Warn("no more workers: there are as many as there may be", "workers", len(m.slots))
		return
	}
	s := &slot{number: len(m.slots) + 1}
	m.slots = append(m.slots, s)
	m.Log.Info("one worker more", "workers", len(m.slots))
	m.start(s)
}

// fewer is one worker fewer: that with the highest number.
func (m *master) fewer() {
	if len(m.slots) == 1 {
		m.Log.Warn("no fewer workers: there is only one")
		return
	}
	last := len(m.slots) - 1
	s := m.slots[last]
	m.slots = m.slots[:last]
	m.Log.Info("one worker fewer", "workers", len(m.slots))
	if s.timer != nil {
		s.timer.Stop()
	}
	m.leave(s.cur, Retire)
	m.leave(s.next, Retire)
	if i := slices.Index(m.reload, s); i >= 0 {
		m.reload = slices.Delete(m.reload, i, i+1)
		if i == 0 {
			m.reloadNext()
		}
	}
	m.announce() // it may have been the one that was waited for
}

// A reload replaces the workers one by one: a new one is started, and when it is ready the old one retires. If a new
// one fails, the rest of the old ones stay.

func (m *master) startReload() {
	if len(m.reload) > 0 {
		m.again = true
		return
	}
	m.Log.Info("reload", "workers", len(m.slots))
	m.notify(reloading()...)
	m.reload = slices.Clone(m.slots)
	m.reloadNext()
}

func (m *master) reloadNext() {
	for len(m.reload) > 0 && m.stopping == "" {
		s := m.reload[0]
		if s.cur == nil { // what is started in a while is new anyway
			m.reload = m.reload[1:]
			continue
		}
		c, err := m.worker(s.number)
		if err != nil {
			m.reloadFailed(s, err.Error())
			return
		}
		s.next = c
		return
	}
	m.endReload()
	m.Log.Info("reload done", "workers", len(m.slots))
}

// reloaded is a slot that is done.
func (m *master) reloaded(s *slot) {
	if len(m.reload) > 0 && m.reload[0] == s {
		m.reload = m.reload[1:]
		m.reloadNext()
	}
}

func (m *master) reloadFailed(s *slot, why string) {
	m.Log.Error("reload failed: the workers that have not been replaced stay", "worker", s.number, "why", why)
	m.reload = nil
	m.endReload()
}

func (m *master) endReload() {
	if m.stopping != "" {
		return
	}
	m.notify("READY=1")
	if m.again {
		m.again = false
		m.startReload()
	}
}
