package bus

import "time"

// An Event is what a subscriber sees of a room.
type Event struct {
	Kind Kind
	// Pos is a message's position; of a Gap, that of the last message before it that the subscriber had or that was
	// there; of a NewEpoch, that of the last message of the epoch before.
	Pos Position
	// Data is a message. It is shared by all, and must not be written to.
	Data []byte
	// Missed is how many messages a Gap stands for; 0: nobody knows.
	Missed uint64
	apart  bool // a Gap that has a number of its own
	// Complete is, of a NewEpoch, that nothing of the epoch before was missed, and none was between.
	Complete bool
}

// A Kind is what an Event says.
type Kind uint8

const (
	// Message is a message. Within an epoch they come in the order of their numbers, each once, and none is left out
	// but by a Gap.
	Message Kind = iota + 1
	// Gap says that messages were missed: they were no longer kept, or nobody knows what there was, or nodes that
	// were cut off from this one's, and are back, had an epoch of their own.
	Gap
	// NewEpoch says that another epoch begins: the room has another owner. Messages of the epoch before may have been
	// missed, unless Complete.
	NewEpoch
)

func (k Kind) String() string {
	switch k {
	case Message:
		return "message"
	case Gap:
		return "gap"
	case NewEpoch:
		return "new epoch"
	}
	return "no kind"
}

// A logbook has the newest events of a room, as many as Limits say.
type logbook struct {
	entries []logged
	begin   uint64 // the index of the first, counted from the room's first
	bytes   int
}

type logged struct {
	Event
	at time.Time
}

// entryCost is what an entry takes beside its data.
const entryCost = 96

func (b *logbook) end() uint64 { return b.begin + uint64(len(b.entries)) }

// add adds an event, and drops the oldest that find no room. It keeps e itself in any case.
func (b *logbook) add(m *machine, e Event, now time.Time) {
	b.entries = append(b.entries, logged{e, now})
	size := len(e.Data) + entryCost
	b.bytes += size
	m.memory += size
	l := &m.limits
	for len(b.entries) > 1 && (len(b.entries) > l.History || b.bytes > l.HistoryBytes || m.memory > l.Memory) {
		b.drop(m)
	}
}

// drop drops the oldest.
func (b *logbook) drop(m *machine) {
	size := len(b.entries[0].Data) + entryCost
	b.entries[0] = logged{}
	b.entries = b.entries[1:]
	b.begin++
	b.bytes -= size
	m.memory -= size
}

// expire drops what is older than that.
func (b *logbook) expire(m *machine, before time.Time) {
	for len(b.entries) > 0 && b.entries[0].at.Before(before) {
		b.drop(m)
	}
}

func (b *logbook) clear(m *machine) {
	for len(b.entries) > 0 {
		b.drop(m)
	}
}
