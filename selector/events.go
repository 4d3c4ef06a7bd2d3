package selector

import "fmt"

// Events says what a descriptor is watched for, or what it is ready for: a set of [Read] and [Write].
type Events uint8

const (
	// Read: a read would not block. There is data, or the end of the stream, or a connection to accept,
	// or an error to collect.
	Read Events = 1 << iota
	// Write: a write would not block. There is room, or a connect has ended (well or not), or there is
	// an error to collect.
	Write
	// Hangup: the connection is broken, with an error to collect, or both of its halves are closed. It stands alone:
	// whoever asks for Read or Write is told of these things by those. It is for a connection of which nothing is to
	// be read or written for now, as one whose peer has closed its half. On Windows it is never reported.
	Hangup

	both = Read | Write
	all  = both | Hangup
)

// String is "none", "read", "write", "read|write", "hangup", or a number where there are bits that mean nothing.
func (e Events) String() string {
	switch e {
	case 0:
		return "none"
	case Read:
		return "read"
	case Write:
		return "write"
	case both:
		return "read|write"
	case Hangup:
		return "hangup"
	}
	return fmt.Sprintf("Events(%#x)", uint8(e))
}
