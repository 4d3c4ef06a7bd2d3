package websocket

import "strconv"

// Deflate says that messages may be compressed (RFC 7692), and how. Its zero value keeps nothing between messages,
// in either direction: an idle connection costs no more than one without compression.
type Deflate struct {
	Level     int // of package compress/flate: 1 to 9; 0: 1
	Threshold int // bytes of a message, below which it is not compressed; 0: 256

	// SendWindow keeps what was sent for the next message, which is then shorter: a compressor for each connection,
	// which is 1.2 MB at level 1 and 0.8 at others. ReceiveWindow lets the peer do so: 32 KiB for each connection, or
	// 1<<ReceiveBits bytes where the peer can do with less.
	SendWindow, ReceiveWindow bool

	// ReceiveBits, 8 to 15, bounds the window that the peer uses to 1<<ReceiveBits bytes; 0: 15.
	ReceiveBits int
}

// Compression is what two sides have agreed on.
type Compression struct {
	SendWindow, ReceiveWindow bool // what was sent, and received, is kept for the next message
	SendBits, ReceiveBits     int  // how much of it: 1<<bits bytes, 8 to 15
}

const (
	deflateName  = "permessage-deflate"
	serverNoKeep = "server_no_context_takeover"
	clientNoKeep = "client_no_context_takeover"
	serverBits   = "server_max_window_bits"
	clientBits   = "client_max_window_bits"
)

const (
	leastBits = 8
	mostBits  = 15
)

// params are those of permessage-deflate in an offer or an answer; bits are 0 where there are none.
type params struct {
	serverNoKeep, clientNoKeep bool
	serverBits, clientBits     int
	client                     bool // client_max_window_bits is there, with or without a value
}

// read reads them. An unknown parameter, one twice, and a value that is none are refused (RFC 7692, section 7.1):
// in an offer such an offer is declined, in an answer the connection fails. Only in an offer may
// client_max_window_bits be bare.
func (p *params) read(e Extension, offer bool) bool {
	seen := make(map[string]bool, len(e.Params))
	for _, q := range e.Params {
		if seen[q.Name] {
			return false
		}
		seen[q.Name] = true
		switch q.Name {
		case serverNoKeep, clientNoKeep:
			if !q.Bare {
				return false
			}
			p.serverNoKeep = p.serverNoKeep || q.Name == serverNoKeep
			p.clientNoKeep = p.clientNoKeep || q.Name == clientNoKeep
		case serverBits:
			if p.serverBits = windowBits(q); p.serverBits == 0 {
				return false
			}
		case clientBits:
			p.client = true
			if p.clientBits = windowBits(q); p.clientBits == 0 && (!q.Bare || !offer) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// windowBits is the value of a parameter: 8 to 15, without leading zeros; 0 where it is none.
func windowBits(p Param) int {
	n, err := strconv.Atoi(p.Value)
	if p.Bare || err != nil || n < leastBits || n > mostBits || strconv.Itoa(n) != p.Value {
		return 0
	}
	return n
}

func (d *Deflate) receiveBits() int {
	if d.ReceiveBits < leastBits || d.ReceiveBits > mostBits {
		return mostBits
	}
	return d.ReceiveBits
}

// accept chooses the first offer that can be kept, and is the answer to it; nil where there is none (RFC 7692,
// section 5).
func (d *Deflate) accept(offers []Extension) (*Compression, *Extension) {
	for _, e := range offers {
		var p params
		if e.Name != deflateName || !p.read(e, true) {
			continue
		}
		// Who says that it keeps no window of its own is told so: that saves ours, and gorilla/websocket wants it.
		c := &Compression{SendWindow: d.SendWindow && !p.serverNoKeep, ReceiveWindow: d.ReceiveWindow && !p.clientNoKeep,
			SendBits: mostBits, ReceiveBits: mostBits}
		answer := &Extension{Name: deflateName}
		if !c.SendWindow {
			answer.Params = append(answer.Params, Param{Name: serverNoKeep, Bare: true})
		}
		if !c.ReceiveWindow {
			answer.Params = append(answer.Params, Param{Name: clientNoKeep, Bare: true})
		}
		if p.serverBits > 0 {
			c.SendBits = p.serverBits
			answer.Params = append(answer.Params, Param{Name: serverBits, Value: strconv.Itoa(c.SendBits)})
		}
		if p.client {
			c.ReceiveBits = d.receiveBits()
			if p.clientBits > 0 {
				c.ReceiveBits = min(c.ReceiveBits, p.clientBits)
			}
			if c.ReceiveBits < mostBits {
				answer.Params = append(answer.Params, Param{Name: clientBits, Value: strconv.Itoa(c.ReceiveBits)})
			}
		}
		return c, answer
	}
	return nil, nil
}

// offer is what a client asks for.
func (d *Deflate) offer() Extension {
	e := Extension{Name: deflateName, Params: []Param{{Name: clientBits, Bare: true}}}
	if !d.ReceiveWindow {
		e.Params = append(e.Params, Param{Name: serverNoKeep, Bare: true})
	}
	if !d.SendWindow {
		e.Params = append(e.Params, Param{Name: clientNoKeep, Bare: true})
	}
	if n := d.receiveBits(); n < mostBits {
		e.Params = append(e.Params, Param{Name: serverBits, Value: strconv.Itoa(n)})
	}
	return e
}

// check reads a server's answer to offer; ok is false where it is none (RFC 7692, section 7.1).
func (d *Deflate) check(answer Extension) (c *Compression, ok bool) {
	var p params
	if !p.read(answer, false) {
		return nil, false
	}
	if !d.ReceiveWindow && !p.serverNoKeep { // a server that accepts it says so (section 7.1.1.1)
		return nil, false
	}
	c = &Compression{SendWindow: d.SendWindow && !p.clientNoKeep, ReceiveWindow: !p.serverNoKeep, SendBits: mostBits,
		ReceiveBits: mostBits}
	if p.clientBits > 0 {
		c.SendBits = p.clientBits
	}
	if p.serverBits > 0 {
		c.ReceiveBits = p.serverBits
	}
	return c, c.ReceiveBits <= d.receiveBits()
}

// append writes e as an element of Sec-WebSocket-Extensions.
func (e Extension) append(dst []byte) []byte {
	dst = append(dst, e.Name...)
	for _, p := range e.Params {
		dst = append(dst, "; "...)
		dst = append(dst, p.Name...)
		if !p.Bare {
			dst = append(dst, '=')
			dst = append(dst, p.Value...)
		}
	}
	return dst
}
