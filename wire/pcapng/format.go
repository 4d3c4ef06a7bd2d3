package pcapng

import (
	"errors"
	"fmt"
	"time"
)

// The bounds of what is read and written.
const (
	MaxBlock      = 16 << 20 // bytes of a block: far above a packet of 64 KiB with its comments
	MaxInterfaces = 1 << 16  // interfaces of a section
	maxOption     = 65535    // bytes of an option: its length has 16 bits
)

// What can be wrong with a file; errors.Is finds them underneath the errors of a Reader, whose text says where.
// A file that ends within a block is io.ErrUnexpectedEOF.
var (
	// ErrFormat: the bytes are no pcapng, or a length in them is not true.
	ErrFormat = errors.New("malformed pcapng")
	// ErrTooLong: a block, or a number of interfaces, is over its bound.
	ErrTooLong = errors.New("over the limit")
	// ErrUnsupported: a version, or a resolution of times, that this package does not know.
	ErrUnsupported = errors.New("unsupported pcapng")
)

// A LinkType says what a packet's data begins with (the registry of LINKTYPE values).
type LinkType uint16

// The link types of Ethernet frames, and of IP packets of either version.
const (
	Ethernet LinkType = 1
	Raw      LinkType = 101
)

// A Section says where a capture comes from. All may be empty.
type Section struct {
	Hardware    string
	System      string
	Application string
	Comments    []string
}

// An Interface is what packets were captured on.
type Interface struct {
	Name        string
	Description string
	LinkType    LinkType
	SnapLen     uint32 // the most that is kept of a packet, in bytes; 0: all
	resolution  uint64 // units of time a second
	offset      int64  // seconds to add to each time
}

// A Direction is which way a packet went, as the interface saw it.
type Direction uint8

// The directions of the flags of an enhanced packet block.
const (
	Unknown Direction = iota
	Inbound
	Outbound
)

// A Packet is one that was captured.
type Packet struct {
	Interface int // its number in the section
	Time      time.Time
	Data      []byte
	Length    int // on the wire, where Data is less of it; 0 when writing: len(Data)
	Direction Direction
	Comments  []string // as in "dropped here"
}

// The types of blocks that are read, and the options in them.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockSimple    = 3
	blockPacket    = 6

	optEnd         = 0
	optComment     = 1
	optHardware    = 2
	optSystem      = 3
	optApplication = 4
	optName        = 2
	optDescription = 3
	optResolution  = 9
	optOffset      = 14
	optFlags       = 2

	byteOrder = 0x1a2b3c4d
)

// nano is the resolution that a Writer uses: 10⁻⁹ s.
const nano = 9

func formatError(offset int64, format string, args ...any) error {
	return fmt.Errorf("pcapng: block at byte %d: %s: %w", offset, fmt.Sprintf(format, args...), ErrFormat)
}

func limitError(offset int64, what string, n, bound int64) error {
	return fmt.Errorf("pcapng: block at byte %d: %s: %d of at most %d: %w", offset, what, n, bound, ErrTooLong)
}
