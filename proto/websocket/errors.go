package websocket

import "fmt"

// A Code says why a connection is closed (RFC 6455, section 7.4, and IANA's registry). Those from 3000 are of
// libraries and from 4000 of applications.
type Code uint16

// The codes. NoCode, Abnormal and BadTLS are never sent: they stand for what was not.
const (
	Normal         Code = 1000
	GoingAway      Code = 1001 // a server shuts down, a page is left
	ProtocolError  Code = 1002
	Unsupported    Code = 1003 // a kind of data that is not taken
	NoCode         Code = 1005 // a close frame without a code
	Abnormal       Code = 1006 // the connection ended without a close frame
	InvalidData    Code = 1007 // text that is not UTF-8, compressed data that can't be inflated
	Policy         Code = 1008
	TooBig         Code = 1009
	NeedsExtension Code = 1010 // a client misses one in the server's answer
	InternalError  Code = 1011
	Restart        Code = 1012
	TryLater       Code = 1013
	BadGateway     Code = 1014
	BadTLS         Code = 1015
)

// Sendable reports whether c may stand in a close frame: the registered codes that are not reserved, and 3000 to 4999.
func (c Code) Sendable() bool {
	return Normal <= c && c <= Unsupported || InvalidData <= c && c <= BadGateway || 3000 <= c && c <= 4999
}

// An Error is why bytes are no message that can be taken.
type Error struct {
	Code Code   // to close with
	What string // is wrong
}

func (e *Error) Error() string { return fmt.Sprintf("websocket: %s (%d)", e.What, e.Code) }

// The errors. Each is one value, so that errors.Is finds it and refusing costs nothing.
var (
	ErrReservedBit  = &Error{ProtocolError, "a reserved bit is set that no extension gives a meaning"}
	ErrOpcode       = &Error{ProtocolError, "the opcode is a reserved one"}
	ErrUnmasked     = &Error{ProtocolError, "a client's frame has no mask"}
	ErrMasked       = &Error{ProtocolError, "a server's frame has a mask"}
	ErrLength       = &Error{ProtocolError, "the length is written in more bytes than needed, or has its highest bit set"}
	ErrControlLong  = &Error{ProtocolError, "a control frame has more than 125 bytes"}
	ErrControlSplit = &Error{ProtocolError, "a control frame is a fragment"}
	ErrNotBegun     = &Error{ProtocolError, "a continuation without a message to continue"}
	ErrNotEnded     = &Error{ProtocolError, "a message begins before the one before it has ended"}
	ErrCloseShort   = &Error{ProtocolError, "a close frame has one byte, where a code has two"}
	ErrCloseCode    = &Error{ProtocolError, "the code of a close frame is one that may not be sent"}
	ErrCloseReason  = &Error{InvalidData, "the reason of a close frame is not UTF-8"}
	ErrText         = &Error{InvalidData, "a text message is not UTF-8"}
	ErrInflate      = &Error{InvalidData, "a compressed message is not what DEFLATE has"}
	ErrInflated     = &Error{TooBig, "a message is longer than Limits.Inflated once it is inflated"}
	ErrTooBig       = &Error{TooBig, "a message is longer than Limits.Message"}
	ErrFrames       = &Error{Policy, "a message has more frames than Limits.Frames"}
)

// A CloseError is what the peer's close frame said: the end of the messages.
type CloseError struct {
	Code   Code   // NoCode where the frame had none
	Reason string // at most 123 bytes of UTF-8; written by the peer, so nothing to show unescaped
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("websocket: closed by the peer: %d %q", e.Code, e.Reason)
}
