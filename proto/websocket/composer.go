package websocket

import (
	"crypto/rand"
	"unicode/utf8"
)

// A Composer writes messages, each as one frame, compressed where that was agreed on and pays. It is what an
// [Assembler] of the other side reads. Between two messages it holds nothing, but for the window of a [Compression]
// that keeps one: then the messages have to arrive in the order in which they were written. Its methods are for one
// goroutine at a time.
type Composer struct {
	side      Side
	threshold int
	d         *deflater // nil: nothing is compressed
}

// NewComposer is one for the side that writes. c is what was agreed on, or nil; o says how hard to compress, and
// from which length on.
func NewComposer(side Side, c *Compression, o *Deflate) *Composer {
	w := &Composer{side: side}
	if c != nil {
		if o == nil {
			o = new(Deflate)
		}
		w.threshold, w.d = o.threshold(), newDeflater(o.level(), c)
	}
	return w
}

// AppendMessage writes a message behind dst. op is Text or Binary; text that is not UTF-8 is refused with ErrText,
// and dst is returned as it was. A client's frame has a new key each time, from crypto/rand (RFC 6455, section 5.3).
func (w *Composer) AppendMessage(dst []byte, op Opcode, msg []byte) ([]byte, error) {
	if op == Text && !utf8.Valid(msg) {
		return dst, ErrText
	}
	h := w.header(op)
	if w.d == nil || len(msg) < w.threshold {
		return AppendFrame(dst, h, msg), nil
	}
	h.Compressed = true
	packed := w.d.append(getBuffer(), msg, true)
	dst = AppendFrame(dst, h, packed)
	putBuffer(packed)
	return dst, nil
}

// header is that of a frame which is a whole message.
func (w *Composer) header(op Opcode) Header {
	h := Header{Final: true, Op: op}
	if w.side == Client {
		h.Masked, h.Key = true, newKey()
	}
	return h
}

func newKey() (key [4]byte) {
	rand.Read(key[:]) // never fails
	return key
}
