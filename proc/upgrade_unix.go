//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// An upgrade starts the program that stands in our file by now, as a second master on the same sockets. Both serve,
// until somebody ends one of them: the old one by TERM, when the new one does well, or the new one when it does not.

func (m *master) upgrade() {
	if m.another() {
		m.Log.Warn("no upgrade: there is a second master already; end one of the two first")
		return
	}
	if err := m.startSuccessor(); err != nil {
		m.Log.Error("upgrade failed", "err", err)
	}
}

func (m *master) startSuccessor() error {
	self, err := running()
	if err != nil {
		return err
	}
	if err := m.pid.rename(m.PIDFile + oldSuffix); err != nil {
		return err
	}
	next := &job{Role: roleSuccessor, Notify: os.Getenv(notifySocket)}
	for _, s := range m.sockets {
		if s.file.Path() != "" {
			next.Owned = append(next.Owned, s.name())
		}
	}
	env := []string{fmt.Sprintf("%s=%d", listenFDs, len(m.sockets)), listenNames + "=" + m.names()}
	if m.notes.name != "" {
		env = append(env, notifySocket+"="+m.notes.name)
	}
	c, err := start{
		name: "successor", path: self, stdin: 0, files: m.files(), env: environ(env...),
		job:   job{Role: roleExec, Path: calledAs, Next: next},
		hello: message{Kind: msgHello, Tickets: m.tickets},
		heard: func(c *child, msg message) { m.post(func() { m.successorHeard(c, msg) }) },
		ended: func(c *child, st *os.ProcessState) { m.post(func() { m.successorEnded(c, st) }) },
	}.begin()
	if err != nil {
		m.restorePIDFile()
		return err
	}
	m.successor = c
	m.Log.Info("upgrade: a new master was started", "pid", c.pid, "program", calledAs)
	return nil
}

func (m *master) successorHeard(c *child, msg message) {
	switch {
	case c != m.successor:
	case msg.Kind == msgFailed:
		c.failed = msg.Text
	case msg.Kind == msgReady:
		m.Log.Info("upgrade: the new master is ready; TERM ends this one", "pid", c.pid)
	}
}

func (m *master) successorEnded(c *child, state *os.ProcessState) {
	m.successor = nil
	m.restorePIDFile()
	m.Log.Warn("upgrade: the new master has ended; this one goes on", "pid", c.pid, "why", c.why(state))
	m.notify(fmt.Sprintf("MAINPID=%d", os.Getpid()))
}

func (m *master) restorePIDFile() {
	if err := m.pid.rename(m.PIDFile); err != nil {
		m.Log.Error("the pid file has kept its old name", "err", err)
	}
}

// A predecessor is the master that started this one, as long as it lives.
type predecessor struct {
	control *os.File
	tickets bool // it tells us its keys for TLS session tickets
	done    sync.WaitGroup
}

// watchPredecessor waits for what it has to tell, and returns its keys; nil if it is of a kind that has none, or has
// ended. From then on it calls turned for new ones and ended when it has, on a goroutine of its own.
func watchPredecessor(fd int, turned func(*tickets), ended func()) (p *predecessor, keys *tickets) {
	p = &predecessor{control: os.NewFile(uintptr(fd), "control")}
	dec := json.NewDecoder(p.control)
	var m message
	_ = p.control.SetReadDeadline(time.Now().Add(tellTime)) // without one it takes as long as it takes
	if err := dec.Decode(&m); err == nil && m.Tickets.valid() {
		keys, p.tickets = m.Tickets, true
	} else if errors.Is(err, os.ErrDeadlineExceeded) { // it is stopped, and may go on
		dec = json.NewDecoder(io.MultiReader(dec.Buffered(), p.control))
	}
	_ = p.control.SetReadDeadline(time.Time{}) // likewise
	p.done.Go(func() {
		for {
			var m message
			if dec.Decode(&m) != nil { // it ends with the other's process, or by close
				break
			}
			if m.Tickets.valid() {
				turned(m.Tickets)
			}
		}
		ended()
	})
	return p, keys
}

// ready tells it that we are.
func (p *predecessor) ready() {
	_ = json.NewEncoder(p.control).Encode(message{Kind: msgReady}) // it may have ended just now
}

func (p *predecessor) close() {
	_ = p.control.Close()
	p.done.Wait()
}

// predecessorTurned is for keys of TLS session tickets that it tells.
func (m *master) predecessorTurned(t *tickets) {
	if m.predecessor != nil {
		m.predecessor.tickets = true
		m.setTickets(t)
	}
}

func (m *master) predecessorEnded() {
	if m.predecessor == nil {
		return
	}
	m.predecessor.close()
	m.predecessor = nil
	m.turnTicketsLater()
	if m.stopping == "" {
		m.Log.Info("upgrade: the old master has ended; this one goes on alone")
	}
}
