package loop

import (
	"fmt"
	"io"
	"syscall"

	"github.com/plexor-go/plexor/selector"
	"github.com/plexor-go/plexor/uring"
	"golang.org/x/sys/unix"
)

// A sendArena is memory that a turn's output stands in while it is sent. There are as many as have something under
// way, which is two at most times: the kernel is done with one when the next turn's completions have been read. A turn
// that writes much has more.
type sendArena struct {
	memory *uring.Memory
	users  int // sends under way
}

// mostArenas bounds them: 4 MiB in all.
const mostArenas = 16

// nextArena keeps the arena if nothing of it is being sent, and else takes one of which nothing is.
func (d *completion) nextArena() []byte {
	if d.arena == nil || d.arena.users > 0 {
		d.arena = d.idleArena()
	}
	if d.arena == nil {
		return nil // there are enough, or no memory: Write then makes blocks, and they are sent by system calls
	}
	return d.arena.memory.Bytes()[:0]
}

func (d *completion) idleArena() *sendArena {
	for _, a := range d.arenas {
		if a.users == 0 {
			return a
		}
	}
	if len(d.arenas) == mostArenas {
		return nil
	}
	memory, err := uring.Map(corkArena)
	if err != nil {
		d.memoryLacks("output is copied and sent by system calls", err)
		return nil
	}
	a := &sendArena{memory: memory}
	d.arenas = append(d.arenas, a)
	return a
}

func (d *completion) add(c *Conn) error {
	s := d.slotFor(c.sock)
	s.conn = c
	c.slot = s.number
	d.update(c)
	return nil
}

// update starts or ends what c wants now.
func (d *completion) update(c *Conn) {
	s := d.slots[c.slot]
	c.lendSoon()
	if c.wantsRead() {
		if s.ops&opReceive == 0 && !s.queued && (!c.is(lending) || s.held != nil || s.ends) {
			if s.held != nil || s.ends {
				d.later(s) // not here: this may be inside a handler's call
			} else if d.hungry.none() {
				d.receive(s)
			} else {
				d.starve(s)
			}
		}
	} else if s.ops&opReceive != 0 && s.cancels&opReceive == 0 && !c.is(sawEOF) {
		d.cancel(s, opReceive)
	}
	if c.wantsWrite() && s.ops&(opSend|opPollOut) == 0 {
		d.submission(s, opPollOut).PollAdd(s.sock.FD(), unix.POLLOUT)
	}
	if c.wantsHangup() && s.ops&opPollHangup == 0 && !c.is(lending) {
		// Multishot, and so told of changes: a poll always tells of the peer's end (POLLRDHUP) too, and one that
		// reports once would be over with that.
		d.submission(s, opPollHangup).PollMultishot(s.sock.FD(), unix.POLLERR|unix.POLLHUP)
	}
}

// hangup is told what a connection is polled for behind its peer's end.
func (d *completion) hangup(s *slot, c *uring.CQE) {
	switch {
	case s.conn == nil || c.Errno() == unix.ECANCELED:
	case c.Errno() != 0:
		s.conn.fail(fmt.Errorf("loop: poll: %w", c.Errno()))
	case c.Res&(unix.POLLERR|unix.POLLHUP) != 0:
		s.conn.hungUp()
	}
	if s.conn != nil && !c.More() {
		d.update(s.conn)
	}
}

// later has s looked at in the next dispatch.
func (d *completion) later(s *slot) {
	if !s.queued {
		s.queued = true
		d.again = append(d.again, s)
	}
}

// arrived hands bytes over, or holds them: copied, for the buffers are everybody's. At most one receive's bytes arrive
// in a turn, since the next one is submitted with the next wait: so no more than ReadBudget are handed over.
func (d *completion) arrived(s *slot, p []byte) {
	if s.conn == nil || len(p) == 0 {
		return
	}
	if s.held == nil && s.conn.wantsRead() {
		s.conn.received(p)
		return
	}
	if s.held == nil {
		s.held = d.loop.blocks.getQueue()
	}
	s.held.append(p, &d.loop.blocks)
	if s.conn.wantsRead() {
		d.later(s)
	}
}

// ended is the end of what comes: at once, or behind what is held.
func (d *completion) ended(s *slot, why error) {
	if s.held != nil {
		s.ends = true
		d.endings[s.number] = why
		d.later(s)
		return
	}
	d.end(s, why)
}

func (d *completion) end(s *slot, why error) {
	if s.ends {
		s.ends = false
		delete(d.endings, s.number)
	}
	if why == io.EOF {
		s.conn.receivedEOF()
	} else {
		s.conn.fail(why)
	}
}

// resume hands over what was held, as far as it is wanted, and then goes on receiving. No more is held than one receive
// brings, which is within ReadBudget.
func (d *completion) resume(s *slot) {
	if s.held != nil && s.conn != nil && s.conn.handOver(s.held) {
		s.held = nil
	}
	if s.conn == nil {
		return // released, and what was held with it, or so as soon as possible
	}
	if s.held == nil && s.ends && s.conn.wantsRead() {
		d.end(s, d.endings[s.number])
	}
	if s.conn != nil && s.held == nil {
		d.update(s.conn)
	}
}

// write sends by the ring what the turn has corked, if that is all there is, and the rest by system calls.
func (d *completion) write(c *Conn, extra []byte) error {
	s := d.slots[c.slot]
	switch {
	case s.ops&(opSend|opPollOut) != 0: // behind what is on its way, or has no room
		if c.corkLen > 0 {
			c.keep(c.takeCorked())
		}
		c.keep(extra)
		return nil
	case c.out == nil && len(extra) == 0 && d.arena != nil:
		s.from, s.to, s.arena = c.corkOff, c.corkOff+c.corkLen, d.arena
		c.flight = c.corkLen
		c.corkOff, c.corkLen = 0, 0
		s.arena.users++
		e := d.submission(s, opSend)
		e.Send(s.sock.FD(), s.arena.memory.Bytes()[s.from:s.to], unix.MSG_DONTWAIT|unix.MSG_WAITALL|unix.MSG_NOSIGNAL)
		e.Flags |= uring.SQESkipSuccess
		d.sending = append(d.sending, s)
		return nil
	}
	return c.writeNow(extra)
}

// finishSends: the sends that were submitted are done, for they don't wait (MSG_DONTWAIT). That all bytes were taken
// is told by nothing, which saves the kernel and the loop a completion a message, and a turn for completions that tell
// nothing. A send that was cut short or failed has one: with MSG_WAITALL, less than all is a failure. If the kernel did
// not take all that was prepared, it is not known which ones it did.
func (d *completion) finishSends(allTaken bool) {
	if len(d.sending) == 0 {
		return
	}
	for i := range d.ready {
		if c := &d.ready[i]; opSet(c.UserData>>32) == opSend {
			if s := d.slots[uint32(c.UserData)]; s.ops&opSend != 0 {
				d.sent(s, max(c.Res, 0), c.Errno())
			}
		}
	}
	if !allTaken {
		return
	}
	for i, s := range d.sending {
		d.sending[i] = nil
		if s.ops&opSend != 0 {
			d.sent(s, s.to-s.from, 0)
		}
		if s.released && s.ops == 0 {
			d.gone(s)
		}
	}
	d.sending = d.sending[:0]
}

// sent is the end of a send from the arena: n bytes are on their way.
func (d *completion) sent(s *slot, n int32, errno syscall.Errno) {
	rest := s.arena.memory.Bytes()[s.from:s.to][n:]
	s.ops &^= opSend
	s.arena.users--
	s.arena = nil
	c := s.conn
	if c == nil {
		return
	}
	c.flight = 0
	if errno != 0 && errno != unix.EAGAIN && errno != unix.ECANCELED {
		c.breakOutput(fmt.Errorf("loop: send: %w", errno))
		return
	}
	if len(rest) > 0 {
		c.keepFirst(rest)
	}
	c.sentSome()
}

// writable: there is room, or a connect has ended.
func (d *completion) writable(s *slot, cqe *uring.CQE) {
	if s.watch() != nil {
		d.watched(s, selector.Write, cqe)
		return
	}
	c := s.conn
	if c == nil || cqe.Errno() == unix.ECANCELED {
		return
	}
	if c.is(connecting) {
		c.connected(connectError(c))
	} else if c.out != nil {
		writeOn(c, (*Conn).writeNow)
	}
}

// holds is true for all while completions are handed out: whose they are is not looked at.
func (d *completion) holds(c *Conn) bool {
	s := d.slots[c.slot]
	return s.held != nil || s.ends || len(d.ready) > 0
}

func (d *completion) forget(c *Conn) bool {
	s := d.slots[c.slot]
	if s.ops != 0 || s.held != nil || s.ends {
		d.cancel(s, s.ops&(opReceive|opPollHangup)) // a send ends by itself
		return false
	}
	d.clear(s)
	return true
}

func (d *completion) release(c *Conn, reset bool) { d.drop(d.slots[c.slot], reset, nil) }
