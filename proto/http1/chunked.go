package http1

import "bytes"

// Chunked takes the chunks of a body apart that comes in pieces (RFC 9112, section 7.1). Its zero value, with its
// Limits filled, is ready for a body; Reset makes it so again.
//
//	size ── CR LF ──> data ── all of it ──> end ── CR LF ──> size
//	  └── 0, CR LF ──> trailers ── an empty line ──> done
type Chunked struct {
	Limits Limits // filled (WithDefaults)

	state    chunkState
	digits   int
	left     int64 // of the chunk's data
	line     int   // bytes of the chunk's overhead so far
	overhead int   // of all chunks, beyond freeOverhead for each
	trailers []Field
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkCR
	chunkLF
	chunkTrailers
	chunkDone
)

const (
	// freeOverhead is what a chunk may have that does not count: a size of 8 digits and two line ends are 12.
	freeOverhead = 16
	// mostDigits keeps a size within an int64.
	mostDigits = 15
)

// Reset makes it ready for another body.
func (c *Chunked) Reset() { *c = Chunked{Limits: c.Limits, trailers: c.trailers[:0]} }

// Done reports whether the body has ended.
func (c *Chunked) Done() bool { return c.state == chunkDone }

// Trailers are the fields behind the last chunk: views into what the last Next was given.
func (c *Chunked) Trailers() []Field { return c.trailers }

// Next takes the next n bytes of b, which is what has come and was not taken yet. data is the body's, a view into b;
// it may be empty though n is not. When n is 0 and the body is not Done, more bytes are needed: the trailers are
// taken all at once, so b must have room for Limits.Trailer. An error is of the bytes behind n, and final.
func (c *Chunked) Next(b []byte) (data []byte, n int, err error) {
	for n < len(b) {
		switch ch := b[n]; c.state {
		case chunkSize:
			if c.digits > 0 && (ch == ';' || ch == '\r') {
				c.state = chunkExtension
				continue
			}
			if chars[ch]&isHex == 0 || c.digits == mostDigits {
				return nil, n, ErrChunkSize
			}
			c.digits++
			c.left = c.left<<4 | int64(hexValue(ch))
		case chunkExtension:
			if ch == '\r' {
				c.state = chunkSizeLF
			} else if chars[ch]&isValue == 0 {
				return nil, n, ErrExtension
			}
		case chunkSizeLF:
			if ch != '\n' {
				return nil, n, ErrChunkSize
			}
			if c.state, c.digits = chunkData, 0; c.left == 0 {
				c.state = chunkTrailers
			}
		case chunkData:
			m := int(min(int64(len(b)-n), c.left))
			if c.left -= int64(m); c.left == 0 {
				c.state = chunkCR
			}
			return b[n : n+m : n+m], n + m, nil
		case chunkCR, chunkLF:
			if c.state == chunkCR && ch != '\r' || c.state == chunkLF && ch != '\n' {
				return nil, n, ErrChunkEnd
			}
			if c.state++; c.state > chunkLF {
				c.state, c.line = chunkSize, 0
			}
		case chunkTrailers:
			m, err := c.takeTrailers(b[n:])
			return nil, n + m, err
		case chunkDone:
			return nil, n, nil
		}
		n++
		if c.line++; c.line > freeOverhead {
			if c.overhead++; c.overhead > c.Limits.Overhead {
				return nil, n, ErrOverhead
			}
		}
	}
	return nil, n, nil
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// takeTrailers takes the lines behind the last chunk, once they are all there.
func (c *Chunked) takeTrailers(b []byte) (int, error) {
	c.trailers = c.trailers[:0]
	for rest := b; ; {
		i := bytes.IndexByte(rest, '\n')
		if used := len(b) - len(rest) + i + 1; used > c.Limits.Trailer || i < 0 && len(b) > c.Limits.Trailer {
			return 0, ErrTrailersLong
		}
		if i < 0 {
			return 0, nil
		}
		if i < 1 || rest[i-1] != '\r' {
			return 0, ErrLineEnd
		}
		line := rest[:i-1]
		rest = rest[i+1:]
		if len(line) == 0 {
			c.state = chunkDone
			return len(b) - len(rest), nil
		}
		f, err := ParseField(line)
		switch {
		case err != nil:
			return 0, err
		case len(c.trailers) >= c.Limits.Fields:
			return 0, ErrTooManyFields
		case !trails(f.Name):
			return 0, ErrTrailer
		}
		c.trailers = append(c.trailers, f)
	}
}

// trails reports whether a field may stand behind the body: not what says where the message ends, where it goes, who
// sends it or how its body is to be read (RFC 9110, section 6.5.1).
func trails(name []byte) bool {
	for _, s := range [...]string{"transfer-encoding", "content-length", "host", "trailer", "te", "connection",
		"upgrade", "expect", "max-forwards", "range", "content-encoding", "content-type", "content-range", "authorization",
		"proxy-authorization", "www-authenticate", "proxy-authenticate", "cookie", "set-cookie", "cache-control", "age",
		"date", "expires", "location", "retry-after", "vary", "warning", "keep-alive", "proxy-connection"} {
		if equal(name, s) {
			return false
		}
	}
	return true
}
