package loop

import (
	"github.com/plexor-go/plexor/sock"
	"github.com/plexor-go/plexor/uring"
)

// A slot is what the driver knows of an endpoint. For a connection that waits it is all that there is of it here, and
// has the size of a cache line.
type slot struct {
	conn     *Conn
	other    *otherEnd // nil: it is a connection's, or nobody's any more
	held     *output   // bytes that came while the connection did not want to read
	arena    *sendArena
	sock     sock.Socket
	from, to int32 // what is being sent of the arena
	number   uint32
	ops      opSet // under way
	cancels  opSet // under way, and to be cancelled
	ends     bool  // after held, as completion.endings has it
	reset    bool
	released bool
	parting  bool // in Loop.parting
	queued   bool // in again or hungry
	unheard  bool // was readable when the driver last looked, and nothing has completed since: see sweep
}

// An otherEnd is an endpoint that is no connection: one of the three is set.
type otherEnd struct {
	listener *Listener
	packet   *PacketConn
	watch    *Watch

	turn   uint32 // of taken
	taken  int32  // connections accepted in that turn
	queues bool   // the system queues the datagrams that were refused
}

// nobody is what a slot's other is read as when it has none.
var nobody otherEnd

func (s *slot) otherwise() *otherEnd {
	if s.other == nil {
		return &nobody
	}
	return s.other
}

func (s *slot) listener() *Listener { return s.otherwise().listener }
func (s *slot) packet() *PacketConn { return s.otherwise().packet }
func (s *slot) watch() *Watch       { return s.otherwise().watch }

// The operations, each of which a slot has under way at most once.
type opSet uint16

const (
	opReceive opSet = 1 << iota
	opSend
	opPollOut
	opAccept
	opReceiveMessage
	opPollError
	opWake
	opCancel // of no slot: a cancellation that failed, since what it was for has completed
	opPollIn
	opPollHangup
)

// mark is a submission's user data.
func (s *slot) mark(op opSet) uint64 { return uint64(op)<<32 | uint64(s.number) }

// slotOf is the slot of the completion ready[i]; nil if there is none.
func (d *completion) slotOf(i int) *slot {
	if i < len(d.ready) {
		if n := uint32(d.ready[i].UserData); n < uint32(len(d.slots)) {
			return d.slots[n]
		}
	}
	return nil
}

// slotFor gives a slot to a socket.
func (d *completion) slotFor(fd sock.Socket) *slot {
	if last := len(d.free) - 1; last >= 0 {
		s := d.slots[d.free[last]]
		d.free = d.free[:last]
		s.sock = fd
		return s
	}
	s := &slot{sock: fd, number: uint32(len(d.slots))}
	d.slots = append(d.slots, s)
	return s
}

// cancel asks for the end of operations of s that are under way; their last completions tell when it has come.
func (d *completion) cancel(s *slot, ops opSet) {
	for ops = ops & s.ops &^ s.cancels; ops != 0; ops &= ops - 1 {
		op := ops & -ops
		e := d.entry()
		e.Cancel(s.mark(op), 0)
		e.Flags |= uring.SQESkipSuccess
		// It fails if the operation has just completed, or can't be stopped any more: its own completion counts.
		e.UserData = uint64(opCancel)<<32 | uint64(s.number)
		s.cancels |= op
	}
}

// drop is the end of a slot's endpoint: at once if nothing is under way, else with the last completion, which a loop
// that is held does not see. e is what else has to be ended then than a connection, or nil.
func (d *completion) drop(s *slot, reset bool, e endpoint) {
	s.conn, s.other = nil, nil
	s.released, s.reset = true, reset
	if s.ops == 0 {
		d.gone(s)
		return
	}
	if s.parting = reset || e != nil; s.parting {
		d.loop.part(s.sock, e)
	}
	d.cancel(s, s.ops)
}

// gone closes the descriptor, for the kernel is done with it.
func (d *completion) gone(s *slot) {
	if s.held != nil {
		d.loop.dropHeld(s.held)
	}
	if s.parting {
		d.loop.parted(s.sock)
	}
	if s.reset {
		_ = s.sock.Abort() // it is gone whatever that says
	} else {
		_ = s.sock.Close()
	}
	d.clear(s)
	d.loop.starved.fed()
}

// clear has a slot wait for the next endpoint.
func (d *completion) clear(s *slot) {
	if s.ends {
		delete(d.endings, s.number)
	}
	*s = slot{number: s.number, sock: sock.None, queued: s.queued}
	d.free = append(d.free, s.number)
}
