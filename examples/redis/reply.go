package main

import (
	"net"

	"github.com/plexor-go/plexor/frame/resp"
)

// big is from how many bytes on a value is sent from where it lies, and not copied behind what stands before it.
const big = 16 << 10

// mostSpare is the largest buffer that a reply keeps when it is used again, in bytes.
const mostSpare = 64 << 10

// mostReply bounds what one command is answered, in bytes: a client may ask for one value many times.
const mostReply = 64 << 20

// A reply is what one command is answered: parts, and b behind them.
type reply struct {
	args  [][]byte // of the command, kept for its memory
	parts net.Buffers
	b     []byte
	size  int // of the values in it
}

func (r *reply) reset() {
	if clear(r.parts); cap(r.b) > mostSpare {
		r.b = nil
	}
	r.parts, r.b, r.size = r.parts[:0], r.b[:0], 0
}

// bulk adds a value, unless the reply is too long already. A big one must not change until the reply is sent.
func (r *reply) bulk(v []byte) {
	if r.size += len(v); r.size > mostReply {
		return
	}
	if len(v) < big {
		r.b = resp.AppendBulk(r.b, v)
		return
	}
	head := resp.AppendBulkHeader(r.b, len(v))
	r.parts = append(r.parts, head, v)
	r.b = append(head[len(head):], "\r\n"...)
}

// add adds what another one holds.
func (r *reply) add(o *reply) {
	if len(o.parts) == 0 {
		r.b = append(r.b, o.b...)
		return
	}
	r.parts = append(append(r.parts, r.b), o.parts...)
	r.b = append([]byte(nil), o.b...)
}

func (r *reply) fail(text string)   { r.b = resp.AppendError(r.b, text) }
func (r *reply) ok()                { r.b = append(r.b, "+OK\r\n"...) }
func (r *reply) null()              { r.b = resp.AppendNullBulk(r.b) }
func (r *reply) number(n int)       { r.b = resp.AppendInt(r.b, int64(n)) }
func (r *reply) array(elements int) { r.b = resp.AppendArray(r.b, elements) }
