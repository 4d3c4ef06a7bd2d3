// Package tlsrecord guesses from outside at what a tls.Conn reads: whether a record of TLS has come in part, whether
// bytes begin one, and what a peer speaks whose bytes were none. Package crypto/tls does not tell. It imports nothing
// of ours.
package tlsrecord

// A Meter is told what arrives, and knows whether a record of TLS (RFC 8446 section 5.1) has arrived in part: for a
// tls.Conn does not say what it has read and can't use yet.
//
//	type (1 byte)   version (2)   length (2)   as many bytes
type Meter struct {
	seen   uint8  // bytes of a header
	length uint16 // the last two of them
	left   uint16 // bytes of the record that are to come
}

const header = 5 // bytes

// Pass is told of bytes that have arrived, in their order.
func (m *Meter) Pass(p []byte) {
	for len(p) > 0 {
		if m.left > 0 {
			n := min(int(m.left), len(p))
			m.left -= uint16(n)
			p = p[n:]
			continue
		}
		m.length = m.length<<8 | uint16(p[0])
		p = p[1:]
		if m.seen++; m.seen == header {
			m.seen, m.left = 0, m.length
		}
	}
}

// Partial is how many bytes the record takes that has arrived in part, as far as it says so by now; crypto/tls makes
// room for all of it with its first ones.
func (m *Meter) Partial() int {
	if m.left > 0 {
		return header + int(m.length)
	}
	return int(m.seen)
}

// Inside reports whether a record has begun, and not ended.
func (m *Meter) Inside() bool { return m.seen > 0 || m.left > 0 }
