package websocket

import "encoding/binary"

// An Opcode says what a frame is (RFC 6455, section 5.2 and 11.8).
type Opcode uint8

// The opcodes.
const (
	Continuation Opcode = 0
	Text         Opcode = 1
	Binary       Opcode = 2
	CloseFrame   Opcode = 8
	PingFrame    Opcode = 9
	PongFrame    Opcode = 10
)

// control reports whether o is of the control frames: 8 to 15.
func (o Opcode) control() bool { return o&8 != 0 }

func (o Opcode) known() bool { return o <= Binary || CloseFrame <= o && o <= PongFrame }

// MaxControl is the longest payload of a control frame, in bytes (RFC 6455, section 5.5).
const MaxControl = 125

// maxHeader is the longest header, in bytes: two, eight of a length, four of a key.
const maxHeader = 14

// A Header is the beginning of a frame (RFC 6455, section 5.2):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-------+-+-------------+-------------------------------+
//	|F|R|R|R| opcode|M|    length   |    16 or 64 bits of length,   |
//	|I|S|S|S|  (4)  |A|     (7)     |     if those 7 are 126 or     |
//	|N|V|V|V|       |S|             |              127              |
//	| |1|2|3|       |K|             |                               |
//	+-+-+-+-+-------+-+-------------+-------------------------------+
//	|            the key, 32 bits, if the bit MASK is set           |
//	+---------------------------------------------------------------+
type Header struct {
	Final      bool // the last frame of a message
	Compressed bool // RSV1: the message is compressed (RFC 7692, section 6)
	Op         Opcode
	Masked     bool
	Key        [4]byte // of a masked frame
	Length     int64   // of the payload, in bytes
}

// headerSize is how long a header is, of which the second byte has come.
func headerSize(second byte) int {
	n := 2
	switch second & 127 {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if second&128 != 0 {
		n += 4
	}
	return n
}

// AppendHeader writes the header behind dst, with the fewest bytes for the length.
func AppendHeader(dst []byte, h Header) []byte {
	first, mask := byte(h.Op), byte(0)
	if h.Final {
		first |= 128
	}
	if h.Compressed {
		first |= 64
	}
	if h.Masked {
		mask = 128
	}
	switch {
	case h.Length <= 125:
		dst = append(dst, first, mask|byte(h.Length))
	case h.Length <= 0xffff:
		dst = append(dst, first, mask|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(h.Length))
	default:
		dst = append(dst, first, mask|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.Length))
	}
	if h.Masked {
		dst = append(dst, h.Key[:]...)
	}
	return dst
}

// AppendFrame writes a frame behind dst: the header h, whose Length is that of payload whatever it says, and the
// payload, masked with h.Key if h.Masked. payload is not changed.
func AppendFrame(dst []byte, h Header, payload []byte) []byte {
	h.Length = int64(len(payload))
	dst = AppendHeader(dst, h)
	n := len(dst)
	dst = append(dst, payload...)
	if h.Masked {
		Mask(dst[n:], h.Key, 0)
	}
	return dst
}

// AppendControl writes a ping or a pong behind dst, masked with key unless that is nil. The payload has at most
// MaxControl bytes; what is longer is cut.
func AppendControl(dst []byte, op Opcode, payload []byte, key *[4]byte) []byte {
	h := Header{Final: true, Op: op}
	if key != nil {
		h.Masked, h.Key = true, *key
	}
	return AppendFrame(dst, h, payload[:min(len(payload), MaxControl)])
}

// AppendClose writes a close frame behind dst, masked with key unless that is nil. A code that may not be sent (see
// [Code.Sendable]) leaves the frame without one, and without a reason. A reason over 123 bytes is cut between two
// characters, and of one that is not UTF-8 only what comes before that is sent.
func AppendClose(dst []byte, code Code, reason string, key *[4]byte) []byte {
	var b [MaxControl]byte
	n := 0
	if code.Sendable() {
		n = copy(b[2:], reason[:validPrefix(reason, MaxControl-2)]) + 2
		binary.BigEndian.PutUint16(b[:], uint16(code))
	}
	return AppendControl(dst, CloseFrame, b[:n], key)
}
