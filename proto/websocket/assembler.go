package websocket

// An Assembler is a Parser that gives whole messages: it gathers the pieces, and inflates. It is what a server
// needs that calls a handler for each message and holds nothing between two of them:
//
//	for len(b) > 0 {
//		n, event, err := assembler.Next(b)
//		b = b[n:]
//		…                                     // a Data event is a whole message
//	}
//
// A message that is whole in b and not compressed is a view into b. Otherwise it stands in a buffer, which the
// Assembler takes from a pool and gives back when Next is called again: with no bytes, if it is to rest. Between
// messages an Assembler holds no buffer, but for the window of a [Compression] that keeps one. Its methods are for
// one goroutine at a time.
type Assembler struct {
	parser Parser
	z      *inflater
	buf    []byte // of the message that is under way, or was given last
	packed []byte // the same, compressed
	given  bool   // buf is the message that was given last
}

// NewAssembler is one for the side that reads. c is what was agreed on, or nil.
func NewAssembler(side Side, c *Compression, l Limits) *Assembler {
	l = l.WithDefaults()
	a := &Assembler{parser: Parser{Side: side, Deflate: c != nil, Limits: l}}
	if c != nil {
		a.z = newInflater(c, l)
	}
	return a
}

// Next is that of a Parser, but that a Data event is a whole message, inflated and checked.
func (a *Assembler) Next(b []byte) (n int, e Event, err error) {
	a.release()
	for {
		m, e, err := a.parser.Next(b[n:])
		n += m
		if err != nil || e.Kind != Data {
			return n, e, err
		}
		if e.First && e.Last && !e.Compressed {
			return n, e, nil
		}
		if a.buf == nil {
			a.buf = getBuffer()
		}
		if err := a.gather(&e); err != nil {
			a.parser.state, a.parser.err = closed, err
			return n, Event{}, err
		}
		if e.Last {
			e.Payload, e.First, e.Compressed, a.given = a.buf, true, false, true
			return n, e, nil
		}
	}
}

// release gives back the buffer of the message that was given last.
func (a *Assembler) release() {
	if a.given {
		putBuffer(a.buf)
		a.buf, a.given = nil, false
	}
}

// Idle reports whether nothing is under way, neither a frame nor a message.
func (a *Assembler) Idle() bool { return a.parser.Idle() }

// Held is how many bytes of memory the buffers take, of a message that has come in part or was given last.
func (a *Assembler) Held() int { return cap(a.buf) + cap(a.packed) }

// gather adds a piece to buf. A compressed message that is one piece is inflated from where it is.
func (a *Assembler) gather(e *Event) (err error) {
	switch {
	case !e.Compressed:
		a.buf = append(a.buf, e.Payload...)
		return nil
	case !e.Last:
		if a.packed == nil {
			a.packed = getBuffer()
		}
		a.packed = append(a.packed, e.Payload...)
		return nil
	case a.packed == nil:
		a.buf, err = a.z.append(a.buf, e.Op, e.Payload)
		return err
	}
	a.packed = append(a.packed, e.Payload...)
	a.buf, err = a.z.append(a.buf, e.Op, a.packed)
	putBuffer(a.packed)
	a.packed = nil
	return err
}
