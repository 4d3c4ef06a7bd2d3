//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import "time"

// turnAfter is time.AfterFunc, but for tests.
var turnAfter = time.AfterFunc

// turnTicketsLater sets the timer for the next key. While the master that started this one lives, it is that one's
// matter, so that both have the same.
func (m *master) turnTicketsLater() {
	m.stopTickets()
	if p := m.predecessor; p != nil && p.tickets {
		return
	}
	wait := ticketTurn - time.Since(m.tickets.Turned) // by another master's clock, perhaps
	m.ticketTimer = turnAfter(min(max(wait, 0), ticketTurn), func() {
		m.post(func() { m.setTickets(m.tickets.turn(time.Now())) })
	})
}

func (m *master) stopTickets() {
	if m.ticketTimer != nil {
		m.ticketTimer.Stop()
	}
}

// setTickets is for new keys, our own or those of the predecessor.
func (m *master) setTickets(t *tickets) {
	m.tickets = t
	m.turnTicketsLater()
	msg := message{Kind: msgTickets, Tickets: t}
	for c := range m.alive {
		c.say(msg)
	}
	if m.successor != nil {
		m.successor.say(msg)
	}
	m.Log.Info("TLS session tickets: a new key")
}
