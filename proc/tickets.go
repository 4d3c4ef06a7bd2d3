package proc

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/stack"
)

// Session tickets of TLS are to be good at every worker, and at those that take their place. So the master makes the
// keys, turns them over, and tells its workers, and in an upgrade its successor, by their pipes. They are nowhere else:
// not in an environment, an argument, a file or a log.
//
//	next ──▶ in use ──▶ former ──▶ former ──▶ forgotten        one step each ticketTurn
//
// The next key is known to all one turn before the first ticket is made by it, so that no worker meets a ticket of a
// key that it has not heard of yet.

// ticketTurn is how often a new key is made, and ticketsFormer how many former ones are still good: a client can resume
// for a day, and at most a day and a half. The shorter they live, the less is known to who learns them (RFC 5077
// section
// 5.5); RFC 8446 section 4.6.1 sets seven days as the most.
const (
	ticketTurn    = 12 * time.Hour
	ticketsFormer = 2
)

// A ticketKey is one as tls.Config.SetSessionTicketKeys takes it.
type ticketKey = [32]byte

// tickets are the keys of a master.
type tickets struct {
	Keys   []ticketKey // the next, the one in use, the former ones
	Turned time.Time   // when the last one was made
}

func newTickets(now time.Time) *tickets {
	return &tickets{[]ticketKey{newTicketKey(), newTicketKey()}, now}
}

func newTicketKey() (k ticketKey) {
	_, _ = rand.Read(k[:]) // it never fails
	return k
}

// turn is t one step on.
func (t *tickets) turn(now time.Time) *tickets {
	keys := append([]ticketKey{newTicketKey()}, t.Keys...)
	return &tickets{keys[:min(len(keys), 2+ticketsFormer)], now}
}

// inUse are the keys with the one first that new tickets are made by.
func (t *tickets) inUse() []ticketKey {
	keys := append([]ticketKey(nil), t.Keys...)
	keys[0], keys[1] = keys[1], keys[0]
	return keys
}

// valid reports whether what another process said can be used.
func (t *tickets) valid() bool { return t != nil && len(t.Keys) >= 2 }

// ticketUsers are those in a worker who want the keys.
type ticketUsers struct {
	mu      sync.Mutex
	now     *tickets
	use     []func([][32]byte)
	servers map[*plexor.Server]bool // that are among them
}

// OnTicketKeys calls f with the keys of TLS session tickets that all workers of the master have, and those that take
// their place by a reload or an upgrade: at once, and again, on a goroutine of the worker's, whenever the master has
// turned them over, every 12 hours. They are what tls.Config.SetSessionTicketKeys takes: the first is for new tickets,
// and a ticket is good for one to one and a half days. So a client resumes its session at whichever worker it comes to.
//
// A plexor.Server of [Worker.Serve], [Worker.Join] or [Worker.Run] has them already. OnTicketKeys is for other servers
// with TLS:
//
//	w.OnTicketKeys(cfg.SetSessionTicketKeys)
//
// Whoever has the keys can read sessions that were resumed by them: write them nowhere. f must not call OnTicketKeys,
// and is called as long as the process lives; keys is f's to keep.
func (w *Worker) OnTicketKeys(f func(keys [][32]byte)) {
	stack.Given("proc: Worker.OnTicketKeys", "the function", f != nil)
	u := &w.tickets
	u.mu.Lock()
	defer u.mu.Unlock()
	u.addLocked(f)
}

func (u *ticketUsers) addLocked(f func([][32]byte)) {
	u.use = append(u.use, f)
	if u.now.valid() {
		f(u.now.inUse())
	}
}

// set is for keys that the master has sent.
func (u *ticketUsers) set(t *tickets) {
	if !t.valid() {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.now = t
	for _, f := range u.use {
		f(t.inUse())
	}
}

// Join makes srv one of the worker's: it gets the sockets of Addrs, by its Bind field, and the keys of TLS session
// tickets that all workers have (see [Worker.OnTicketKeys]). Call it before an address of srv is opened.
func (w *Worker) Join(srv *plexor.Server) {
	stack.Given("proc: Worker.Join", "the server", srv != nil)
	srv.Bind = w.Bind
	w.shareTickets(srv)
}

// shareTickets is OnTicketKeys for a server, once.
func (w *Worker) shareTickets(srv *plexor.Server) {
	u := &w.tickets
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.servers[srv] {
		return
	}
	if u.servers == nil {
		u.servers = make(map[*plexor.Server]bool)
	}
	u.servers[srv] = true
	u.addLocked(srv.SetSessionTicketKeys)
}
