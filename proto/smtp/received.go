package smtp

import (
	"net"
	"net/netip"
	"strings"
	"time"
)

// A Received is a field of that name, which whoever takes a message puts in front of it (RFC 5321, section 4.4).
type Received struct {
	Hello    string   // the client's name for itself
	From     net.Addr // its address; nil: it is left out
	By       string   // the server's name
	Protocol string   // Peer.Protocol
	ID       string   // of the message here; empty: it is left out
	For      Mailbox  // the recipient, if there is one alone; the zero one: it is left out
	Time     time.Time
}

// Received is the field for a message that p has sent, but for its ID and For.
func (p Peer) Received() Received {
	return Received{Hello: p.Hello(), From: p.RemoteAddr(), By: p.c.srv.name(), Protocol: p.Protocol(),
		Time: p.c.srv.now()}
}

// Append adds the field with its line end. Characters that a field can't have become question marks.
func (r Received) Append(b []byte) []byte {
	b = append(b, "Received: from "...)
	b = appendWord(b, r.Hello)
	if literal := addressLiteral(r.From); literal != "" {
		b = append(append(append(b, " ("...), literal...), ')')
	}
	b = append(b, "\r\n\tby "...)
	b = appendWord(b, r.By)
	b = append(b, " with "...)
	b = appendWord(b, r.Protocol)
	if r.ID != "" {
		b = appendWord(append(b, " id "...), r.ID)
	}
	if !r.For.IsNull() && r.For.valid() {
		b = r.For.AppendPath(append(b, "\r\n\tfor "...))
	}
	b = append(b, ";\r\n\t"...)
	b = r.Time.AppendFormat(b, "Mon, 2 Jan 2006 15:04:05 -0700")
	return append(b, '\r', '\n')
}

// appendWord adds a word of a field.
func appendWord(b []byte, s string) []byte {
	if s == "" {
		return append(b, "unknown"...)
	}
	for _, r := range s {
		if r <= ' ' || r == 0x7f || strings.ContainsRune("()<>;\"\\", r) {
			r = '?'
		}
		b = append(b, string(r)...)
	}
	return b
}

// addressLiteral is an address as in a path; "" for one that is none of IP.
func addressLiteral(a net.Addr) string {
	if a == nil {
		return ""
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return ""
	}
	if ip := ap.Addr().Unmap().WithZone(""); ip.Is6() {
		return "[IPv6:" + ip.String() + "]"
	} else {
		return "[" + ip.String() + "]"
	}
}

// A Hops counts the Received fields of a message that is written to it, for whoever relays mail: one that has been
// through very many machines goes round in a circle (RFC 5321, section 6.3). It looks at the header alone.
type Hops struct {
	N int

	line []byte // the beginning of the line, in capitals
	mid  bool   // the rest of the line is not looked at
	body bool
}

// MostHops is when a message goes round in a circle, by RFC 5321.
const MostHops = 100

// Write counts. It returns len(p) and nil.
func (h *Hops) Write(p []byte) (int, error) {
	const field = "RECEIVED:"
	for _, c := range p {
		switch {
		case h.body:
			return len(p), nil
		case c == '\n':
			h.body = !h.mid && len(h.line) == 0
			h.line, h.mid = h.line[:0], false
		case h.mid || c == '\r':
		default:
			if 'a' <= c && c <= 'z' {
				c -= 'a' - 'A'
			}
			h.line = append(h.line, c)
			if string(h.line) == field {
				h.N++
			}
			h.mid = len(h.line) >= len(field)
		}
	}
	return len(p), nil
}
