package load

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"github.com/plexor-go/plexor/frame"
)

// period is after how many bytes the pattern begins again. It is a prime, so that no message size divides it: bytes
// that went missing, came twice or changed places show, unless they are a multiple of it.
const period = 65521

// marker is what the service upper puts behind what it answers.
const marker = "_SB"

// A payload is what messages are cut from: a pattern of pseudo-random bytes, and what the server makes of it. Both
// repeat with the period, and go on for more than a message behind it, so that any message lies there in one piece.
type payload struct {
	size  int
	sent  []byte
	back  []byte // sent, or sent in upper case
	upper bool
}

// lead is how much the pattern goes on behind the period at least, in bytes: whole pieces are compared at once.
const lead = 64 << 10

func newPayload(o *Options) *payload {
	p := &payload{size: o.Size, upper: o.Expect == ExpectUpper}
	alphabet := alphabetFor(o)
	r := rand.New(rand.NewPCG(0x506c6578, 0x6f72)) // the same load each time
	p.sent = make([]byte, period+max(o.Size, lead))
	for i := range p.sent[:period] {
		p.sent[i] = alphabet[r.IntN(len(alphabet))]
	}
	for i := period; i < len(p.sent); i++ {
		p.sent[i] = p.sent[i-period]
	}
	p.back = p.sent
	if p.upper {
		p.back = upperASCII(p.sent)
	}
	return p
}

// alphabetFor is which bytes messages are made of: all 256, but for the codec's own and the marker's first.
func alphabetFor(o *Options) []byte {
	var out []byte
	if o.WebSocket != nil {
		if out = o.WebSocket.alphabet(); out != nil {
			return out
		}
	}
	taken := ""
	if o.Expect == ExpectUpper {
		taken = marker[:1]
	}
	for _, codec := range []frame.Codec{frame.Incoming(o.Codec), frame.Outgoing(o.Codec)} { // nil: there is none
		switch c := codec.(type) {
		case frame.Line:
			taken += "\r\n"
		case frame.Delimited:
			taken += c.Delim + string(bytes.ToLower([]byte(c.Delim)))
		}
	}
	for b := range 256 {
		if bytes.IndexByte([]byte(taken), byte(b)) < 0 {
			out = append(out, byte(b))
		}
	}
	return out
}

func upperASCII(p []byte) []byte {
	q := bytes.Clone(p)
	for i, b := range q {
		if 'a' <= b && b <= 'z' {
			q[i] = b - ('a' - 'A')
		}
	}
	return q
}

// at is where a message begins in the pattern.
func (p *payload) at(base int, number int64) int {
	return int((int64(base) + number%period*int64(p.size)) % period)
}

// base is where a connection begins, so that no two say the same at the same time.
func base(conn int) int { return conn * 7919 % period }

// checkCodec finds out before a run whether messages come through the codec as they are.
func (p *payload) checkCodec(c frame.Codec) error {
	if err := c.Check(); err != nil {
		return wrong("frame: %v", err)
	}
	msg := p.sent[:p.size]
	if err := comesThrough(frame.Outgoing(c), msg); err != nil {
		return err
	}
	in := frame.Incoming(c)
	if p.upper && p.size+len(marker) > in.MaxMessage() {
		return wrong("size: the answer to a message of %d bytes is longer than the %d that the codec %s allows", p.size,
			in.MaxMessage(), in)
	}
	return comesThrough(in, msg)
}

// comesThrough reports what keeps a message from coming out of the codec as it went in.
func comesThrough(c frame.Codec, msg []byte) error {
	framed, err := c.Append(nil, msg)
	if err != nil {
		return wrong("size: the codec %s takes no message of %d bytes: %v", c, len(msg), err)
	}
	s, err := c.Scan(framed, 0)
	if err == nil && (s.Size != len(framed) || !bytes.Equal(framed[s.Start:s.End], msg)) {
		err = fmt.Errorf("a message comes out otherwise than it went in")
	}
	if err != nil {
		return wrong("frame: the codec %s is of no use to send and compare: %v", c, err)
	}
	return nil
}

// answers reports whether a message's answer is right.
func (p *payload) answers(reply []byte, at int) bool {
	if p.upper {
		n := len(reply) - len(marker)
		return n == p.size && string(reply[n:]) == marker && bytes.Equal(reply[:n], p.back[at:at+n])
	}
	return bytes.Equal(reply, p.back[at:at+p.size])
}

// Numbers of datagrams: letters from A to P, four bits each, which no service changes.
const mostDigits = 8

func digits(size int) int { return min(size, mostDigits) }

// mostIDs is how many numbers a message of this size can have.
func mostIDs(size int) int { return 1 << (4 * min(digits(size), 7)) }

func putID(p []byte, id uint32) {
	for i := range p {
		p[i] = 'A' + byte(id&15)
		id >>= 4
	}
}

func getID(p []byte) (id uint32, ok bool) {
	for i := len(p) - 1; i >= 0; i-- {
		d := p[i] - 'A'
		if d > 15 {
			return 0, false
		}
		id = id<<4 | uint32(d)
	}
	return id, true
}
