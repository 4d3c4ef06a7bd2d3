package wire

import (
	"errors"
	"strconv"
)

// What can be wrong with a packet. They are found with errors.Is underneath an *Error.
var (
	// ErrTruncated: the bytes end before the field does.
	ErrTruncated = errors.New("truncated")
	// ErrLength: a length says what is not so: it reaches behind the end, or is less than what it has to cover.
	ErrLength = errors.New("bad length")
	// ErrValue: the field has a value that its standard forbids, or one that the format cannot carry.
	ErrValue = errors.New("bad value")
	// ErrUnsupported: well formed perhaps, but of a kind that this package does not read: ARP for another hardware.
	ErrUnsupported = errors.New("unsupported")
	// ErrLimit: more of something than a bound of this package allows. The bound is named where it is documented.
	ErrLimit = errors.New("over the limit")
	// ErrChecksum: the checksum is not that of the bytes. Only Verify returns it.
	ErrChecksum = errors.New("wrong checksum")
)

// An Error says what is wrong with a packet, and where.
type Error struct {
	Format string // as in "IPv4"
	Field  string // in words, as in "total length"
	Offset int    // where the field begins, in bytes from the start of what was parsed; -1 when it was to be emitted
	Value  int    // what the field holds; for ErrTruncated how many bytes are there
	Bound  int    // what Value was measured by: bytes needed or there, the limit, the right checksum; else 0
	Err    error  // the kind: ErrTruncated, ErrLength, ErrValue, ErrUnsupported, ErrLimit or ErrChecksum
}

// Error is one line, as in "wire: IPv4: total length at byte 2: bad length 1500, 40 bytes are there".
func (e *Error) Error() string {
	s := "wire: " + e.Format + ": " + e.Field
	if e.Offset >= 0 {
		s += " at byte " + strconv.Itoa(e.Offset)
	}
	s += ": " + e.Err.Error()
	value, bound := strconv.Itoa(e.Value), strconv.Itoa(e.Bound)
	switch e.Err {
	case ErrTruncated:
		return s + ", " + value + " bytes of " + bound
	case ErrLength:
		return s + " " + value + ", against " + bound
	case ErrLimit:
		return s + ", " + value + " of at most " + bound
	case ErrChecksum:
		return s + " 0x" + strconv.FormatInt(int64(e.Value), 16) + ", 0x" + strconv.FormatInt(int64(e.Bound), 16) +
			" is right"
	}
	return s + " " + value
}

// Unwrap gives the kind of error to errors.Is.
func (e *Error) Unwrap() error { return e.Err }

// emitted is the Offset of errors of Append, where no bytes are there yet.
const emitted = -1

// truncated: have bytes are there of the need that the field takes from offset on.
func truncated(format, field string, offset, have, need int) error {
	return &Error{Format: format, Field: field, Offset: offset, Value: have, Bound: need, Err: ErrTruncated}
}

// badLength: the length value does not agree with bound.
func badLength(format, field string, offset, value, bound int) error {
	return &Error{Format: format, Field: field, Offset: offset, Value: value, Bound: bound, Err: ErrLength}
}

// badValue: the field must not be value.
func badValue(format, field string, offset, value int) error {
	return &Error{Format: format, Field: field, Offset: offset, Value: value, Err: ErrValue}
}

// unsupported: the field says that this is a kind of packet that is not read here.
func unsupported(format, field string, offset, value int) error {
	return &Error{Format: format, Field: field, Offset: offset, Value: value, Err: ErrUnsupported}
}

// overLimit: there are value of something, and at most bound are taken.
func overLimit(format, field string, offset, value, bound int) error {
	return &Error{Format: format, Field: field, Offset: offset, Value: value, Bound: bound, Err: ErrLimit}
}

// wrongChecksum: value stands at offset, and right would be right.
func wrongChecksum(format string, offset int, value, right uint16) error {
	return &Error{Format: format, Field: "checksum", Offset: offset, Value: int(value), Bound: int(right),
		Err: ErrChecksum}
}

// at moves an error of a format that lies inside another by offset bytes: its own start in the outer one's bytes.
// The error was made a moment ago and nobody else has it.
func at(err error, offset int) error {
	if e, ok := err.(*Error); ok && e.Offset >= 0 {
		e.Offset += offset
	}
	return err
}

// emitting makes an error of parsing one of Append, where there is no offset yet.
func emitting(err error) error {
	if e, ok := err.(*Error); ok {
		e.Offset = emitted
	}
	return err
}
