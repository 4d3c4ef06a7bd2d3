package http1

import "fmt"

// An Error is why bytes are no message that can be taken.
type Error struct {
	Status int    // to answer a request with: 400, 414, 431, 501 or 505
	What   string // is wrong, and where
}

func (e *Error) Error() string { return fmt.Sprintf("http: %s (%d)", e.What, e.Status) }

// The errors. Each is one value, so that errors.Is finds it and refusing costs nothing.
var (
	ErrLineEnd    = &Error{400, "a line does not end in CR LF, or has a CR, LF or NUL inside"}
	ErrStartLine  = &Error{400, "the first line is not a method, a target and a version with single spaces between"}
	ErrStatusLine = &Error{400, "the first line is not a version, three digits and a reason"}
	ErrMethod     = &Error{400, "the method is not a token"}
	ErrTarget     = &Error{400, "the target is not a path, a URL, host:port for CONNECT, or * for OPTIONS"}
	ErrVersion    = &Error{505, "the version is not HTTP/1.0 or HTTP/1.1"}
	ErrSpace      = &Error{400, "a line begins with white space"}
	ErrFieldName  = &Error{400, "a field's name is not a token with the colon right behind it"}
	ErrFieldValue = &Error{400, "a field's value has a control character"}
	ErrNoHost     = &Error{400, "there is no Host"}
	ErrHost       = &Error{400, "there are two Hosts, or one that is not host:port"}
	ErrLength     = &Error{400, "the Content-Length is not one number, or there are several that differ"}
	ErrBothFramed = &Error{400, "there are both a Content-Length and a Transfer-Encoding"}
	ErrCoding     = &Error{400, "the Transfer-Encoding does not end in chunked, or has it twice"}
	ErrUnknown    = &Error{501, "the Transfer-Encoding has a coding besides chunked"}
	ErrOldCoding  = &Error{400, "there is a Transfer-Encoding, which HTTP/1.0 has not"}
	ErrChunkSize  = &Error{400, "a chunk's size is not 1 to 15 hexadecimal digits"}
	ErrChunkEnd   = &Error{400, "a chunk does not end in CR LF"}
	ErrExtension  = &Error{400, "a chunk's extension has a control character"}
	ErrOverhead   = &Error{400, "the chunks have more overhead than Limits.Overhead"}
	ErrTrailer    = &Error{400, "a trailer is a field of framing, routing or authentication"}

	ErrHeadTooLong   = &Error{431, "the head is longer than Limits.Head"}
	ErrTooManyFields = &Error{431, "there are more fields than Limits.Fields"}
	ErrTargetTooLong = &Error{414, "the target is longer than Limits.Target"}
	ErrTrailersLong  = &Error{431, "the trailers are longer than Limits.Trailer"}
)
