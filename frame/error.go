package frame

import (
	"errors"
	"fmt"
	"strconv"
)

// What can be wrong with a frame, besides a stream that ends inside one (io.ErrUnexpectedEOF). They are found
// with errors.Is underneath an *Error.
var (
	// ErrTooLong: the message is longer than the codec's maximum.
	ErrTooLong = errors.New("message too long")
	// ErrMalformed: the bytes are no frame of this codec, or the message is none that it can carry.
	ErrMalformed = errors.New("malformed frame")
)

// An Error says which frame of a stream is bad, and why.
type Error struct {
	Codec   string // the codec's spec
	Offset  int64  // where the frame begins, in bytes from the start of the stream; -1 when it was to be sent
	Missing int    // for io.ErrUnexpectedEOF: at least so many bytes were still to come; otherwise 0
	Err     error  // ErrTooLong, ErrMalformed, io.ErrUnexpectedEOF, or what a codec from elsewhere returned
	Reason  string // in words, with the numbers
}

// Error is one line: the codec, the kind of error, the offset where there is one, and the reason.
func (e *Error) Error() string {
	s := "frame: " + e.Codec + ": " + e.Err.Error()
	if e.Offset >= 0 {
		s += " at byte " + strconv.FormatInt(e.Offset, 10)
	}
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// Unwrap gives the kind of error to errors.Is.
func (e *Error) Unwrap() error { return e.Err }

// scanError is what the codecs' Scan returns: the decoder adds the codec and the offset.
func scanError(kind error, format string, args ...any) error {
	return &Error{Offset: -1, Err: kind, Reason: fmt.Sprintf(format, args...)}
}

// encodeError is what the codecs' Append returns.
func encodeError(c Codec, kind error, format string, args ...any) error {
	return &Error{Codec: c.String(), Offset: -1, Err: kind, Reason: fmt.Sprintf(format, args...)}
}

// locate completes an error of c.Scan with the codec's spec and the offset of the frame.
func locate(c Codec, offset int64, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		// A copy: a codec from elsewhere may return the same error each time.
		return &Error{Codec: c.String(), Offset: offset, Missing: e.Missing, Err: e.Err, Reason: e.Reason}
	}
	return &Error{Codec: c.String(), Offset: offset, Err: err}
}
