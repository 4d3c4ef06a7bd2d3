package shm

import (
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	// MaxParties is how many Rings may have the same memory open at once, in all processes together.
	MaxParties = 256
	// MaxSlots is the greatest number of slots.
	MaxSlots = 1 << 20
	// MaxSlotSize is the greatest size of a slot, in bytes.
	MaxSlotSize = 1 << 24
	// MaxMemory is the greatest size of a ring's memory, in bytes.
	MaxMemory = 1 << 30
	// CheckInterval is how often a party that waits looks whether another has died. It bounds how long what a dead one
	// held is missing.
	CheckInterval = 20 * time.Millisecond

	defaultSlots    = 1024
	defaultSlotSize = 256
	defaultMode     = 0o600
)

// Options are the bounds of a ring. Its maker gives them; they are kept in the memory, for all parties.
type Options struct {
	// Slots is how many items there may be in the ring, those that are taken and not yet done among them (default 1024).
	Slots int
	// SlotSize is how many bytes one slot has (default 256). It is rounded up to a multiple of 64. An item takes as many
	// slots as its bytes need, and at least one.
	SlotSize int
	// MaxItem is the greatest length of an item, in bytes (default and at most: what all slots hold together).
	MaxItem int
	// Mode is who may open it (default 0600: processes of the same user).
	Mode os.FileMode
}

// A shape is the bounds of a ring, checked.
type shape struct{ slots, slotSize, maxItem uint32 }

const (
	partiesAt = 4096
	partySize = 64
	slotsAt   = partiesAt + MaxParties*partySize
	slotHead  = 32
	cacheLine = 64
)

// size is how many bytes the memory of a ring has; a shape that was checked fits an int everywhere.
func (s shape) size() uint64 { return s.dataAt() + uint64(s.slots)*uint64(s.slotSize) }

// dataAt is where the items' bytes begin.
func (s shape) dataAt() uint64 {
	return slotsAt + (uint64(s.slots)*slotHead+cacheLine-1)&^(cacheLine-1)
}

// check returns what is wrong with a shape; "": nothing. It stands between numbers from anywhere and the memory.
func (s shape) check() string {
	switch {
	case s.slots < 1 || s.slots > MaxSlots:
		return fmt.Sprintf("%d slots, and there may be 1 to %d", s.slots, MaxSlots)
	case s.slotSize < cacheLine || s.slotSize > MaxSlotSize || s.slotSize%cacheLine != 0:
		return fmt.Sprintf("slots of %d bytes, and they may have %d to %d, in steps of %[2]d", s.slotSize, cacheLine,
			MaxSlotSize)
	case s.size() > MaxMemory:
		return fmt.Sprintf("%d slots of %d bytes, and all memory together is at most %d", s.slots, s.slotSize, MaxMemory)
	case s.maxItem < 1 || uint64(s.maxItem) > uint64(s.slots)*uint64(s.slotSize):
		return fmt.Sprintf("items of at most %d bytes, and %d slots of %d bytes hold 1 to %d", s.maxItem, s.slots, s.slotSize,
			uint64(s.slots)*uint64(s.slotSize))
	}
	return ""
}

// shape applies the defaults and checks.
func (o Options) shape() (shape, error) {
	refuse := func(why string) (shape, error) {
		return shape{}, &Error{Op: "make a ring", Err: os.ErrInvalid, Hint: why}
	}
	if o.Slots == 0 {
		o.Slots = defaultSlots
	}
	if o.SlotSize == 0 {
		o.SlotSize = defaultSlotSize
	}
	if o.Slots < 0 || o.Slots > MaxSlots {
		return refuse(fmt.Sprintf("Slots is %d, and may be 1 to %d", o.Slots, MaxSlots))
	}
	if o.SlotSize < 0 || o.SlotSize > MaxSlotSize {
		return refuse(fmt.Sprintf("SlotSize is %d, and may be 1 to %d", o.SlotSize, MaxSlotSize))
	}
	if o.MaxItem < 0 || o.MaxItem > MaxMemory {
		return refuse(fmt.Sprintf("MaxItem is %d, and may be 1 to what all slots hold", o.MaxItem))
	}
	if o.Mode&^os.ModePerm != 0 {
		return refuse(fmt.Sprintf("Mode is %v, and may have the permission bits alone", o.Mode))
	}
	s := shape{slots: uint32(o.Slots), slotSize: (uint32(o.SlotSize) + cacheLine - 1) &^ (cacheLine - 1),
		maxItem: uint32(o.MaxItem)}
	if s.maxItem == 0 && s.size() <= MaxMemory {
		s.maxItem = s.slots * s.slotSize
	}
	if why := s.check(); why != "" {
		return refuse(why)
	}
	return s, nil
}

// mode is the permissions of the file.
func (o Options) mode() uint32 {
	if o.Mode == 0 {
		return defaultMode
	}
	return uint32(o.Mode)
}

// maxName is the longest file name (NAME_MAX).
const maxName = 255

// checkName refuses what is no name of a file in one directory.
func checkName(op, name string) error {
	if name == "" || len(name) > maxName || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return &Error{Op: fmt.Sprintf("%s %q", op, name), Err: os.ErrInvalid,
			Hint: fmt.Sprintf("a name has 1 to %d bytes, no / and no zero byte, and is not . or ..", maxName)}
	}
	return nil
}

// An Item is one that was taken from a ring. Data is the caller's own, for ever.
type Item struct {
	// Data is the item's bytes.
	Data []byte
	// Deliveries is how often the item was handed out, this time included: more than 1 after a taker's death, Close, or
	// Return. It stops counting at 2^24-1.
	Deliveries int

	slot  uint32 // the first
	seq   uint64 // the item's number in the ring
	state uint64 // of the slot, since it was taken
}

// Stats is how full a ring is.
type Stats struct {
	Ready   int // items that nobody has taken
	Taken   int // items that are taken and not done
	Free    int // slots
	Parties int // Rings that have the memory open, dead ones that nobody has noticed yet among them
}
