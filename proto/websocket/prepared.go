package websocket

import (
	"sync"
	"unicode/utf8"
)

// A Prepared is a message for many connections: it is encoded once, and compressed once if one of them has
// compression. It is compressed with an empty window, so that all can have it. It is for any goroutine.
type Prepared struct {
	op    Opcode
	msg   []byte
	o     Deflate
	plain []byte // a server's frame

	once         sync.Once
	packed       []byte // the message, compressed; nil: that does not pay
	packedServer []byte // a server's frame
}

// Prepare makes a message for many; o says how hard to compress and from which length on, and may be nil. msg is
// not to be changed from then on. Text that is not UTF-8 is refused with ErrText.
func Prepare(op Opcode, msg []byte, o *Deflate) (*Prepared, error) {
	if op == Text && !utf8.Valid(msg) {
		return nil, ErrText
	}
	p := &Prepared{op: op, msg: msg, plain: AppendFrame(nil, Header{Final: true, Op: op}, msg)}
	if o != nil {
		p.o = *o
	}
	return p, nil
}

// Frame is what a server sends to a connection with this agreement, which may be nil. It is not to be changed.
// Where the agreement keeps a server's window, what a Composer of that connection wrote before must not be referred
// to behind it: Conn.WritePrepared sees to that.
func (p *Prepared) Frame(c *Compression) []byte {
	frame, _ := p.frame(c)
	return frame
}

func (p *Prepared) frame(c *Compression) (frame []byte, packed bool) {
	if p.compressed(c) != nil {
		return p.packedServer, true
	}
	return p.plain, false
}

// compressed is the payload for who can inflate it: a message that is longer than the peer's window may refer too
// far back.
func (p *Prepared) compressed(c *Compression) []byte {
	if c == nil || len(p.msg) < p.o.threshold() || len(p.msg) > 1<<c.SendBits && c.SendBits < mostBits {
		return nil
	}
	p.once.Do(func() {
		d := newDeflater(p.o.level(), &Compression{SendBits: mostBits})
		packed := d.append(nil, p.msg, true)
		if len(packed) < len(p.msg) {
			p.packed = packed
			p.packedServer = AppendFrame(nil, Header{Final: true, Compressed: true, Op: p.op}, packed)
		}
	})
	return p.packed
}
