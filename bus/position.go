package bus

import (
	"fmt"
	"strconv"
	"strings"
)

// A Position is a message's place in a room: the epoch, and the number within it, from 1. An epoch is the time in which
// one node orders the room. It is a random number, so that two are never taken for one, and says nothing of which
// came first. The zero value is no position.
type Position struct {
	Epoch uint64
	Seq   uint64
}

// String is what ParsePosition reads: a client keeps it, and shows it when it comes back.
func (p Position) String() string {
	return strconv.FormatUint(p.Epoch, 16) + "-" + strconv.FormatUint(p.Seq, 10)
}

// ParsePosition reads what Position.String wrote. The empty string is no position.
func ParsePosition(s string) (p Position, err error) {
	if s == "" {
		return p, nil
	}
	epoch, seq, _ := strings.Cut(s, "-")
	if p.Epoch, err = strconv.ParseUint(epoch, 16, 64); err == nil {
		p.Seq, err = strconv.ParseUint(seq, 10, 64)
	}
	if err != nil || len(s) > mostPosition {
		return Position{}, fmt.Errorf("bus: %.*q is no position", mostPosition, s)
	}
	return p, nil
}

// mostPosition is the length of the longest position's text.
const mostPosition = 16 + 1 + 20

// A NodeID is one run of a node: a random number, another one after a restart.
type NodeID uint64

func (n NodeID) String() string { return fmt.Sprintf("%016x", uint64(n)) }
