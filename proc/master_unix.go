//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/sock"
)

// A master is a Master that runs. All of it belongs to one goroutine, that of run; what happens elsewhere is posted to
// it.
type master struct {
	*Master
	pid       *pidFile
	sockets   []*shared
	null      *os.File // the workers' standard input
	notes     *notifications
	events    chan func()
	ended     chan struct{}
	slots     []*slot
	alive     map[*child]bool // all workers, those that leave too
	announced bool            // all were ready once
	status    string          // the first worker's
	reload    []*slot         // that are still to be replaced; the first one is being
	again     bool            // HUP came while a reload ran

	tickets     *tickets     // the keys of TLS session tickets
	ticketTimer *time.Timer  // until the next one
	predecessor *predecessor // the master that started us to take its place, while it lives
	successor   *child       // and one that we started

	stopping Mode // "" while not
	err      error
}

// A slot is a place for a worker. Its number is the worker's.
type slot struct {
	number int
	cur    *child // nil while it waits to be started again
	next   *child // that is to take its place, when it is ready
	deaths int    // in a row
	fails  int    // starts that failed, in a row: there was no process
	timer  *time.Timer
}

func (c *Master) run(ctx context.Context) (err error) {
	if err := mustMain(); err != nil {
		return err
	}
	if mine != nil && mine.Role != roleSuccessor {
		return errors.New("proc: Run in a process that is a worker itself: call proc.Main at the start of main")
	}
	m := &master{Master: c, events: make(chan func(), 64), ended: make(chan struct{}), alive: make(map[*child]bool)}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGTTIN,
		syscall.SIGTTOU, syscall.SIGUSR2)
	defer signal.Stop(signals)
	defer ReapOrphans()()
	if err := m.open(); err != nil {
		m.close()
		return err
	}
	m.turnTicketsLater()
	for n := range c.Workers {
		m.slots = append(m.slots, &slot{number: n + 1})
	}
	m.Log.Info("master started", "pid", os.Getpid(), "workers", c.Workers)
	for _, s := range slices.Clone(m.slots) {
		m.start(s)
	}
	done := ctx.Done()
	for m.stopping == "" || len(m.alive) > 0 {
		select {
		case f := <-m.events:
			f()
		case sig := <-signals:
			m.signalled(sig.(syscall.Signal))
		case <-done:
			done = nil
			m.stop(Drain)
		}
	}
	m.close()
	m.Log.Info("master ended", "pid", os.Getpid())
	return m.err
}

// post has f run by the master's goroutine, unless that has ended. Any goroutine may call it.
func (m *master) post(f func()) {
	select {
	case m.events <- f:
	case <-m.ended:
	}
}

// open takes what a master holds.
func (m *master) open() (err error) {
	hs, err := takeHanded() // before a descriptor is opened that could have one of their numbers
	if err != nil {
		return err
	}
	if m.pid, err = writePIDFile(m.PIDFile); err != nil {
		return err
	}
	owned := func(string) bool { return false }
	if mine != nil { // a successor
		manager := mine.Notify
		owned = func(name string) bool { return slices.Contains(mine.Owned, name) }
		if err := errors.Join(os.Unsetenv(notifySocket), setUnlessEmpty(notifySocket, manager)); err != nil {
			return fmt.Errorf("proc: %w", err)
		}
		m.predecessor, m.tickets = watchPredecessor(mine.Control,
			func(t *tickets) { m.post(func() { m.predecessorTurned(t) }) }, func() { m.post(m.predecessorEnded) })
	}
	if m.tickets == nil {
		m.tickets = newTickets(time.Now())
	}
	var unused int
	if m.sockets, unused, err = bind(m.Addrs, hs, owned); err != nil {
		return err
	}
	if unused > 0 {
		m.Log.Warn("sockets were handed over that no address is for; they are closed", "how many", unused)
	}
	if m.null, err = os.Open(os.DevNull); err != nil {
		return fmt.Errorf("proc: %w", err)
	}
	m.notes, err = listenNotify(func(pid int) { m.post(func() { m.notified(pid) }) })
	return err
}

func setUnlessEmpty(key, value string) error {
	if value == "" {
		return nil
	}
	return os.Setenv(key, value)
}

// close gives back what is left.
func (m *master) close() {
	close(m.ended)
	m.stopTickets()
	m.closeSockets()
	if m.notes != nil {
		m.notes.close()
	}
	if m.null != nil {
		_ = m.null.Close() // it was open for reading
	}
	if m.predecessor != nil {
		m.predecessor.close()
	}
	if m.successor != nil {
		_ = m.successor.control.Close() // by which it knows that it is alone
	}
	m.pid.remove()
}

// closeSockets ends listening, as far as the master goes. The files stay if another master serves on.
func (m *master) closeSockets() {
	for _, s := range m.sockets {
		s.end(!m.another())
	}
}

// another reports whether there is a second master on the same sockets.
func (m *master) another() bool { return m.predecessor != nil || m.successor != nil }

// start starts a slot's worker.
func (m *master) start(s *slot) {
	c, err := m.worker(s.number)
	if err != nil {
		m.notStarted(s, err)
		return
	}
	s.cur, s.fails = c, 0
}

// worker starts a worker.
func (m *master) worker(number int) (*child, error) {
	path, err := running()
	if err != nil {
		return nil, fmt.Errorf("proc: start worker %d: %w", number, err)
	}
	env := []string{fmt.Sprintf("%s=%d", listenFDs, len(m.sockets)), listenNames + "=" + m.names()}
	if m.notes.name != "" {
		env = append(env, notifySocket+"="+m.notes.name)
	}
	c, err := start{
		name: fmt.Sprintf("worker %d", number), number: number, path: path, stdin: m.null.Fd(), files: m.files(),
		env: environ(env...), job: job{Role: roleWorker, Entry: m.Entry},
		hello: message{Kind: msgHello, Number: number, Config: m.Config, Addrs: m.Addrs, Tickets: m.tickets, Limit: m.Drain},
		heard: func(c *child, msg message) { m.post(func() { m.heard(c, msg) }) },
		ended: func(c *child, st *os.ProcessState) { m.post(func() { m.workerEnded(c, st) }) },
	}.begin()
	if err != nil {
		return nil, err
	}
	m.alive[c] = true
	m.Log.Info("worker started", "worker", number, "pid", c.pid)
	c.after(m.ReadyTimeout, func() {
		m.post(func() {
			if c.readyAt.IsZero() && !c.leaving {
				c.kill(fmt.Sprintf("it was not ready within %v, and was killed", m.ReadyTimeout))
			}
		})
	})
	return c, nil
}

// files are the sockets' descriptors.
func (m *master) files() (fds []uintptr) {
	for _, s := range m.sockets {
		fds = append(fds, uintptr(s.sock.FD()))
	}
	return fds
}

func (m *master) names() string {
	var names []string
	for _, s := range m.sockets {
		names = append(names, s.name())
	}
	return strings.Join(names, ":")
}

// notified is READY=1 of a process, by NOTIFY_SOCKET.
func (m *master) notified(pid int) {
	for c := range m.alive {
		if c.pid == pid {
			m.heard(c, message{Kind: msgReady})
		}
	}
	if c := m.successor; c != nil && c.pid == pid {
		m.successorHeard(c, message{Kind: msgReady})
	}
}

func (m *master) heard(c *child, msg message) {
	switch msg.Kind {
	case msgFailed:
		c.failed = msg.Text
	case msgReady:
		if c.readyAt.IsZero() && m.alive[c] {
			m.ready(c, msg.Text)
		}
	}
}

// ready is a worker that serves.
func (m *master) ready(c *child, status string) {
	c.readyAt = time.Now()
	if c.leaving {
		return
	}
	c.stopTimer()
	m.Log.Info("worker ready", "worker", c.number, "pid", c.pid)
	s := m.slotOf(c)
	if c == s.next {
		old := s.cur
		s.cur, s.next, s.deaths = c, nil, 0
		m.leave(old, Retire)
		m.reloaded(s)
	}
	if m.status == "" {
		m.status = status
	}
	m.announce()
}

// announce says once that all are ready.
func (m *master) announce() {
	if m.announced || m.stopping != "" ||
		slices.ContainsFunc(m.slots, func(s *slot) bool { return s.cur == nil || s.cur.readyAt.IsZero() }) {
		return
	}
	m.announced = true
	m.notify("READY=1", fmt.Sprintf("MAINPID=%d", os.Getpid()))
	if m.OnReady != nil {
		addrs := make([]sock.Addr, len(m.sockets))
		for i, s := range m.sockets {
			addrs[i] = s.addr
		}
		m.OnReady(addrs, m.status)
	}
	if m.predecessor != nil {
		m.predecessor.ready()
	}
}

// notify tells the service manager.
func (m *master) notify(states ...string) {
	if _, err := Notify(states...); err != nil {
		m.Log.Warn("the service manager was not told", "err", err)
	}
}

// slotOf is the slot whose worker c is, or is to be; nil for one that leaves.
func (m *master) slotOf(c *child) *slot {
	for _, s := range m.slots {
		if s.cur == c || s.next == c {
			return s
		}
	}
	return nil
}

// workerEnded is the end of a worker's process, which has been waited for.
func (m *master) workerEnded(c *child, state *os.ProcessState) {
	delete(m.alive, c)
	c.stopTimer()
	why := c.why(state)
	s := m.slotOf(c)
	switch {
	case c.leaving || s == nil:
		if state != nil && state.Success() {
			m.Log.Info("worker ended", "worker", c.number, "pid", c.pid)
			break
		}
		if c.slain(state) { // it may have been under way before the worker was told to end
			m.Log.Error("worker died", "worker", c.number, "pid", c.pid, "why", why)
			break
		}
		m.Log.Warn("worker was cut off", "worker", c.number, "pid", c.pid, "why", why)
		if m.stopping == Drain && m.err == nil {
			m.err = fmt.Errorf("%w: %s: %s", ErrCut, c.name, why)
		}
	case c == s.next:
		s.next = nil
		m.reloadFailed(s, why)
	default:
		s.cur = nil
		if !c.readyAt.IsZero() && time.Since(c.readyAt) >= m.Steady {
			s.deaths = 0
		}
		m.Log.Error("worker died", "worker", c.number, "pid", c.pid, "why", why)
		m.died(s, why, !m.announced && c.readyAt.IsZero() && state != nil && state.Exited())
	}
}

// died starts a slot's worker again in a while, or gives up. hopeless says that a worker could not begin when the
// master itself had just started: it will not be better the next time.
func (m *master) died(s *slot, why string, hopeless bool) {
	if m.stopping != "" {
		return
	}
	s.deaths++
	if hopeless || s.deaths >= m.Deaths {
		e := &GaveUpError{Worker: s.number, Deaths: s.deaths, Reason: why}
		if hopeless {
			e.Deaths = 0
		}
		m.giveUp(e)
		return
	}
	m.startLater(s, s.deaths)
}

// startLater starts a slot's worker after a wait that doubles with each of n misfortunes in a row.
func (m *master) startLater(s *slot, n int) {
	wait := min(m.Backoff<<min(n-1, 20), longestBackoff)
	s.timer = time.AfterFunc(wait, func() {
		m.post(func() {
			if m.stopping == "" && slices.Contains(m.slots, s) && s.cur == nil {
				m.start(s)
			}
		})
	})
}

// leave tells a worker to end, in the given way; a later call can be a quicker one. One that has ended before it was
// told is a death as any other: workerEnded will hear of it.
func (m *master) leave(c *child, how Mode) {
	if c == nil || !c.leaving && c.over() {
		return
	}
	c.leaving = true
	limit := m.Drain
	c.say(message{Kind: msgStop, Mode: how, Limit: limit})
	switch how {
	case Retire:
		limit *= 2
	case Quit:
		limit = 0
	}
	c.after(limit+killGrace, func() {
		m.post(func() { c.kill(fmt.Sprintf("it did not end within %v, and was killed", limit+killGrace)) })
	})
}

// stop ends all.
func (m *master) stop(how Mode) {
	if m.stopping == how || m.stopping == Quit {
		return
	}
	m.Log.Info("master stops", "how", string(how))
	if m.stopping == "" {
		if m.successor != nil {
			m.notify(fmt.Sprintf("MAINPID=%d", m.successor.pid))
		} else {
			m.notify("STOPPING=1")
		}
	} else if how == Quit && m.err == nil {
		m.err = fmt.Errorf("%w: a second signal ended the drain", ErrCut)
	}
	m.stopping = how
	for _, s := range m.slots {
		if s.timer != nil {
			s.timer.Stop()
		}
	}
	// First we, so that the last worker that closes the socket is one that has taken in what waited there.
	m.closeSockets()
	if how == Drain && m.another() {
		how = Retire // the other master's workers take it in
	}
	for c := range m.alive {
		m.leave(c, how)
	}
}
