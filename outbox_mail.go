package plexor

import (
	"sync"
	"sync/atomic"

	"github.com/plexor-go/plexor/loop"
)

// A mail is what other goroutines have for the connections of a loop: outboxes into which something was put, and casts,
// which go to many at once. However much it is, the loop is woken once.
//
//	Send ──▶ Outbox.queue, and once the outbox ──▶ mail ──▶ run, on the loop ──▶ loop.Conn
//	Audience.Send ───────────────────the cast ──▶ mail ──▶ run ──▶ each member's loop.Conn; Outbox.queue if that is full
//
// The order between the two is kept by counting casts. An entry knows how many casts were handed in before it
// (after), and leaves when those are done; a cast goes before entries that come after it. So an outbox need not be in
// the mail more than once between two casts.
type mail struct {
	call  *loop.Call
	casts atomic.Uint64 // handed in

	mu        sync.Mutex
	posts     []post
	waiting   int // casts among them, and in work
	waitBytes int // of those
	ended     bool

	// Of the loop.
	work    []post // being done, from next on
	next    int
	spare   []post
	member  int    // of the cast that is being done: the next one
	done    uint64 // casts that are
	running bool
}

// A post is one thing to do for the loop.
type post struct {
	box *Outbox // see what waits there
	cast
}

// A cast is one piece for many.
type cast struct {
	to     []*Outbox // nobody's to change any more
	except *Outbox
	p      []byte
	key    any
}

const (
	// mostCasts and mostCastBytes bound the casts that wait for a loop, which takes them up with its next turn: beyond
	// them the loop is held by somebody, or drowned.
	mostCasts     = 4096
	mostCastBytes = 16 << 20
	// castBudget is how many members of an audience are written to before the loop's other sockets have their turn:
	// some 10 ms. It fills a turn's arena with pieces of 128 bytes.
	castBudget = 2048
	// keepPosts is how long a list of posts may be that is kept for the next ones, of 80 bytes each.
	keepPosts = 1024
)

// add hands in a post.
func (m *mail) add(p post) {
	m.mu.Lock()
	if !m.ended {
		m.posts = append(m.posts, p)
	}
	m.mu.Unlock()
	m.ask()
}

// ask has the loop run what was handed in. Once it has ended, there are no connections, and nobody will.
func (m *mail) ask() {
	if m.call.Ask() == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended, m.posts = true, nil
}

// cast hands in a cast, and reports whether there was room.
func (m *mail) cast(c cast) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.ended:
		return true // the members have ended, or are about to
	case m.waiting >= mostCasts, m.waiting > 0 && m.waitBytes+len(c.p) > mostCastBytes:
		return false
	}
	m.waiting++
	m.waitBytes += len(c.p)
	m.casts.Add(1)
	m.posts = append(m.posts, post{cast: c})
	return true
}

// clear reports whether all casts are done, and nothing is being done: who is on the loop need not stand behind
// anything.
func (m *mail) clear() bool { return !m.running && m.done == m.casts.Load() }

// run does what there is to do. It is for the loop, in a coroutine of it too.
func (m *mail) run() {
	if m.running { // somebody whom it woke
		return
	}
	m.running = true
	budget := castBudget
	for budget > 0 && m.more() {
		p := &m.work[m.next]
		if p.box != nil {
			box := p.box
			*p = post{}
			m.next++
			box.called()
			budget--
			continue
		}
		c := p.cast
		for budget > 0 && m.member < len(c.to) {
			box := c.to[m.member]
			m.member++
			if box != c.except {
				box.deliver(&c, m.done)
				budget--
			}
		}
		if m.member < len(c.to) {
			break
		}
		m.work[m.next] = post{}
		m.next++
		m.member = 0
		m.done++
		m.mu.Lock()
		m.waiting--
		m.waitBytes -= len(c.p)
		m.mu.Unlock()
	}
	m.running = false
	if m.more() {
		m.ask()
	}
}

// more reports whether there is anything to do.
func (m *mail) more() bool {
	if m.next < len(m.work) {
		return true
	}
	if cap(m.work) <= keepPosts {
		m.spare = m.work[:0]
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.work, m.next = m.posts, 0
	m.posts, m.spare = m.spare, nil
	return len(m.work) > 0
}
