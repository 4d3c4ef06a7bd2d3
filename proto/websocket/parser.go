package websocket

import (
	"encoding/binary"
	"unicode/utf8"
)

// A Side is one end of a connection.
type Side uint8

// The sides. A server takes masked frames and sends plain ones; a client the other way round.
const (
	Server Side = iota
	Client
)

// A Kind is what an [Event] tells.
type Kind uint8

// The kinds.
const (
	None  Kind = iota // all bytes are eaten, and more are needed
	Data              // of a message
	Ping              // to be answered by a pong with its payload, or with that of the latest (section 5.5.3)
	Pong              // an answer to a ping, or unasked
	Close             // to be answered by a close frame, unless one was sent; no data comes behind it (section 5.5.1)
)

// An Event is what a Parser found. Payload is a view: into the bytes that Next was given, or into the Parser; it
// holds until Next is called again.
type Event struct {
	Kind    Kind
	Payload []byte

	// Of Data.
	Op          Opcode // of the message: Text or Binary
	Compressed  bool   // the message is: what came is to be inflated, and then checked if it is text
	First, Last bool   // piece of its message; a piece that is the last may be empty

	// Of Close. The reason is Payload.
	Code Code
}

// A Parser takes the frames of one direction apart. Make it by a literal; the fields are not to be changed once
// Next was called. Its methods are for one goroutine at a time.
type Parser struct {
	Side    Side   // which side reads: Server takes a client's frames
	Deflate bool   // permessage-deflate was agreed on: the first frame of a message may have RSV1
	Limits  Limits // filled (WithDefaults)

	state   state
	have    uint8 // bytes of head that have come
	head    [maxHeader]byte
	h       Header
	pos     int64 // bytes of the frame's payload that have come
	control []byte

	op         Opcode // of the message that is under way; 0: none
	compressed bool
	begun      bool // its first piece was given
	size       int64
	frames     int
	text       runes
	err        error
}

type state uint8

const (
	inHeader state = iota
	inData
	inControl
	closed // a close frame came, or an error: nothing is read any more
)

// Next looks at b, what has come since, and returns how many bytes of it were eaten, with the next event. When that
// is None all are eaten. It unmasks in b. How the bytes are cut changes how a message is cut into pieces, and
// nothing else.
//
// An error is an [*Error], is where it could first be seen, and stays: the connection is to be failed with its code
// (RFC 6455, section 7.1.7). Behind a close frame bytes are eaten and ignored.
func (p *Parser) Next(b []byte) (n int, e Event, err error) {
	for {
		switch p.state {
		case inHeader:
			m, whole, err := p.header(b[n:])
			n += m
			if err != nil {
				p.state, p.err = closed, err
				return n, Event{}, err
			}
			if !whole {
				return n, Event{}, nil
			}
			// The first frame of a message and the last are told of, however short.
			if p.state == inData && p.h.Length == 0 {
				if e, tell, err := p.data(nil); err != nil || tell {
					return n, e, err
				}
			}
		case inData:
			piece := b[n:]
			if left := p.h.Length - p.pos; int64(len(piece)) > left {
				piece = piece[:left]
			}
			if len(piece) == 0 {
				return n, Event{}, nil
			}
			e, _, err = p.data(piece)
			return n + len(piece), e, err
		case inControl:
			m, e, whole, err := p.controlFrame(b[n:])
			n += m
			if err != nil || whole {
				return n, e, err
			}
			return n, Event{}, nil
		default:
			return len(b), Event{}, p.err
		}
	}
}

// Left is how many bytes are still to come of the data frame that is under way; 0 where none is. As many may be
// read to where they are wanted, and given to Next there.
func (p *Parser) Left() int64 {
	if p.state != inData {
		return 0
	}
	return p.h.Length - p.pos
}

// Idle reports whether nothing is under way, neither a frame nor a message.
func (p *Parser) Idle() bool { return p.state == inHeader && p.have == 0 && p.op == 0 }

// header gathers a header. Each of its bytes is checked as soon as it is there.
func (p *Parser) header(b []byte) (n int, whole bool, err error) {
	for n < len(b) {
		p.head[p.have] = b[n]
		p.have++
		n++
		switch {
		case p.have == 1:
			err = p.first(p.head[0])
		case p.have == 2:
			err = p.second(p.head[1])
		}
		if err != nil {
			return n, false, err
		}
		if p.have >= 2 && int(p.have) == headerSize(p.head[1]) {
			return n, true, p.begin()
		}
	}
	return n, false, nil
}

// first checks FIN, the reserved bits and the opcode.
func (p *Parser) first(c byte) error {
	p.h = Header{Final: c&128 != 0, Compressed: c&64 != 0, Op: Opcode(c & 15)}
	switch {
	case !p.h.Op.known():
		return ErrOpcode
	case c&0x30 != 0:
		return ErrReservedBit
	case p.h.Compressed && (!p.Deflate || p.h.Op.control() || p.h.Op == Continuation):
		return ErrReservedBit
	case p.h.Op.control() && !p.h.Final:
		return ErrControlSplit
	case p.h.Op == Continuation && p.op == 0:
		return ErrNotBegun
	case !p.h.Op.control() && p.h.Op != Continuation && p.op != 0:
		return ErrNotEnded
	}
	return nil
}

// second checks MASK, and the length as far as it is there.
func (p *Parser) second(c byte) error {
	p.h.Masked = c&128 != 0
	switch {
	case p.Side == Server && !p.h.Masked:
		return ErrUnmasked
	case p.Side == Client && p.h.Masked:
		return ErrMasked
	case p.h.Op.control() && c&127 > MaxControl:
		return ErrControlLong
	}
	return nil
}

// begin reads the rest of the header, and begins the frame.
func (p *Parser) begin() error {
	rest := p.head[2:p.have]
	p.have = 0
	switch n := p.head[1] & 127; n {
	case 126:
		p.h.Length = int64(binary.BigEndian.Uint16(rest))
		if p.h.Length <= 125 {
			return ErrLength
		}
		rest = rest[2:]
	case 127:
		n := binary.BigEndian.Uint64(rest)
		if n <= 0xffff || n>>63 != 0 {
			return ErrLength
		}
		p.h.Length = int64(n)
		rest = rest[8:]
	default:
		p.h.Length = int64(n)
	}
	copy(p.h.Key[:], rest)
	p.pos = 0
	if p.h.Op.control() {
		p.state = inControl
		return nil
	}
	if p.h.Op != Continuation {
		p.op, p.compressed, p.begun = p.h.Op, p.h.Compressed, false
		p.size, p.frames, p.text = 0, 0, runes{}
	}
	if p.frames++; p.frames > p.Limits.Frames {
		return ErrFrames
	}
	if p.h.Length > p.Limits.Message-p.size {
		return ErrTooBig
	}
	p.size += p.h.Length
	p.state = inData
	return nil
}

// data takes a piece of the payload. tell is false for an empty frame in the midst of a message.
func (p *Parser) data(b []byte) (e Event, tell bool, err error) {
	if p.h.Masked {
		Mask(b, p.h.Key, p.pos)
	}
	p.pos += int64(len(b))
	ended := p.pos == p.h.Length
	e = Event{Kind: Data, Payload: b, Op: p.op, Compressed: p.compressed, First: !p.begun, Last: ended && p.h.Final}
	tell = e.First || e.Last || len(b) > 0
	p.begun = true
	if p.op == Text && !p.compressed {
		if !p.text.check(b) || e.Last && !p.text.ended() {
			p.state, p.err = closed, ErrText
			return Event{}, false, ErrText
		}
	}
	if ended {
		p.state = inHeader
	}
	if e.Last {
		p.op = 0
	}
	return e, tell, nil
}

// controlFrame gathers a control frame. One that is whole in b is not copied.
func (p *Parser) controlFrame(b []byte) (n int, e Event, whole bool, err error) {
	left := int(p.h.Length - p.pos)
	n = min(len(b), left)
	piece := b[:n]
	if p.h.Masked {
		Mask(piece, p.h.Key, p.pos)
	}
	p.pos += int64(n)
	if n < left {
		if n > 0 {
			if p.control == nil {
				p.control = make([]byte, 0, MaxControl)
			}
			p.control = append(p.control, piece...)
		}
		return n, Event{}, false, nil
	}
	if p.control != nil {
		piece = append(p.control, piece...)
		p.control = nil
	}
	p.state = inHeader
	e.Payload = piece
	switch p.h.Op {
	case PingFrame:
		e.Kind = Ping
	case PongFrame:
		e.Kind = Pong
	default:
		p.state = closed
		if e, err = closing(piece); err != nil {
			p.err = err
		}
	}
	return n, e, true, err
}

// closing reads the payload of a close frame (RFC 6455, section 5.5.1).
func closing(b []byte) (Event, error) {
	e := Event{Kind: Close, Code: NoCode}
	if len(b) == 0 {
		return e, nil
	}
	if len(b) == 1 {
		return Event{}, ErrCloseShort
	}
	e.Code, e.Payload = Code(binary.BigEndian.Uint16(b)), b[2:]
	if !e.Code.Sendable() {
		return Event{}, ErrCloseCode
	}
	if !utf8.Valid(e.Payload) {
		return Event{}, ErrCloseReason
	}
	return e, nil
}
