package bus

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound a node. The zero value of each field means its default. All nodes should have the same.
type Limits struct {
	// Message is how long a message, an answer's part or a value may be, in bytes: 64 KiB. What is longer is refused
	// with ErrTooLong. (A NATS server takes packets of 1 MiB.)
	Message int
	// History is how many messages of a room are kept for those who come back, HistoryBytes how many bytes of them,
	// and HistoryAge how long: 256, 1 MiB, 5 minutes. It is also how far a slow subscriber may be behind. The owner
	// of a room keeps them, and each node with subscribers.
	History      int
	HistoryBytes int
	HistoryAge   time.Duration
	// Memory bounds the messages of all rooms together, in bytes: 256 MiB. A room whose message comes beyond it keeps
	// that one alone.
	Memory int
	// Rooms is how many rooms a node may be in, and how many it may own: 65,536.
	Rooms int
	// Pending is how many messages to a room may wait for its owner, and PendingBytes how many bytes of them: 1024,
	// 1 MiB. More are refused with ErrFull.
	Pending      int
	PendingBytes int
	// Nodes is how many nodes are known at once: 64. A further one is not heard.
	Nodes int
	// Entries is how many members, services and values a node may have: 65,536; and EntryBytes how many bytes of
	// them: 16 MiB. Each other node holds as much for it.
	Entries    int
	EntryBytes int
	// Calls is how many calls a node may have under way, and how many it answers at once: 4096.
	Calls int
	// Linger is how long a node stays in a room without subscribers, so that one that comes back finds what it
	// missed: 30 s.
	Linger time.Duration
	// Out is how many bytes may wait to be sent to other nodes: 16 MiB. What is beyond is dropped, and sent again
	// later as if the network had lost it.
	Out int
}

func (l Limits) withDefaults() (Limits, error) {
	for _, f := range []struct {
		name  string
		field *int
		value int
	}{
		{"Message", &l.Message, 64 << 10}, {"History", &l.History, 256}, {"HistoryBytes", &l.HistoryBytes, 1 << 20},
		{"Memory", &l.Memory, 256 << 20}, {"Rooms", &l.Rooms, 1 << 16}, {"Pending", &l.Pending, 1024},
		{"PendingBytes", &l.PendingBytes, 1 << 20}, {"Nodes", &l.Nodes, 64}, {"Entries", &l.Entries, 1 << 16},
		{"EntryBytes", &l.EntryBytes, 16 << 20}, {"Calls", &l.Calls, 4096}, {"Out", &l.Out, 16 << 20},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
		if *f.field < 0 {
			return l, fmt.Errorf("bus: Limits.%s is %d: it must be positive, or 0 for the default of %d", f.name, *f.field,
				f.value)
		}
	}
	if l.HistoryAge == 0 {
		l.HistoryAge = 5 * time.Minute
	}
	if l.Linger == 0 {
		l.Linger = 30 * time.Second
	}
	if l.HistoryAge < 0 || l.Linger < 0 {
		return l, errors.New("bus: Limits.HistoryAge or Linger is negative")
	}
	if most := packetMost - 1024; l.Message > most {
		return l, fmt.Errorf("bus: Limits.Message is %d: at most %d fit into a packet", l.Message, most)
	}
	return l, nil
}

// packetMost is how long a packet may be: a NATS server's own bound is 1 MiB. packetGood is up to where frames are
// gathered in one.
const (
	packetMost = 1<<20 - 1024
	packetGood = 32 << 10
)

// The times of the protocol. A node that is not heard for deadAfter is taken for dead. So its members are gone, on
// every other node, 2.5 s after its death at the latest, but for what the machine itself delays.
const (
	helloEvery  = 500 * time.Millisecond
	deadAfter   = 2 * time.Second
	settle      = time.Second // a new node looks around for so long before it owns a room
	tick        = 20 * time.Millisecond
	resendAfter = 200 * time.Millisecond
	strayAfter  = 2 * time.Second // another node should own the room: how long who owns it now is stayed with
	retireLimit = 10 * time.Second
	sweepEvery  = time.Second
)

// The windows of the protocol: what is under way between two nodes for one room.
const (
	window      = 256       // messages
	windowBytes = 256 << 10 // of those, and one more
)

var (
	// ErrTooLong is a message, name or value that is longer than it may be. Nothing was sent.
	ErrTooLong = errors.New("bus: too long (Limits.Message, or 255 bytes of a name)")
	// ErrFull is what finds no room: Limits.Pending, Rooms, Entries or Calls. Nothing was sent.
	ErrFull = errors.New("bus: full (Limits)")
	// ErrPerhaps is a message whose owner was lost before it answered: subscribers may have got it, or not, and will
	// not get it later.
	ErrPerhaps = errors.New("bus: perhaps published: the room's owner is gone")
	// ErrClosed is a Bus that is closed.
	ErrClosed = errors.New("bus: closed")
)
