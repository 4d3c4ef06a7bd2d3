package websocket

import (
	"compress/flate"
	"io"
	"slices"
)

// decompressors are flate's readers, which are all alike.
var decompressors = make(pool[decompressor], idleReaders)

// windows are for connections that keep none between messages.
var windows = make(pool[[]byte], idleReaders)

type decompressor interface {
	io.Reader
	flate.Resetter
}

// inflateTail follows a message: the bytes that its sender left out (RFC 7692, section 7.2.2), and an empty last
// block, at which flate's reader ends.
const inflateTail = syncTail + "\x01\x00\x00\xff\xff"

// mostFinals is how many blocks of a message may be marked as the last: a sender may do so (RFC 7692, section
// 7.2.3.4), and none does it twice. Each begins a decompressor anew, for two bytes of the peer's.
const mostFinals = 16

// A source is the compressed bytes of a message, with inflateTail behind.
type source struct {
	b    []byte
	next func() ([]byte, error) // the next piece; nil: b is all. io.EOF: there is none
	tail int                    // bytes of inflateTail that were read
	err  error                  // of next
}

// fill reports whether there are bytes in b, or else of the tail.
func (s *source) fill() bool {
	for len(s.b) == 0 && s.next != nil && s.err == nil {
		var err error
		if s.b, err = s.next(); err == io.EOF {
			s.next = nil
		} else if err != nil {
			s.err = err
		}
	}
	return len(s.b) > 0
}

func (s *source) ReadByte() (byte, error) {
	if s.fill() {
		c := s.b[0]
		s.b = s.b[1:]
		return c, nil
	}
	if s.err != nil || s.tail == len(inflateTail) {
		return 0, s.end()
	}
	s.tail++
	return inflateTail[s.tail-1], nil
}

func (s *source) Read(p []byte) (n int, err error) {
	if s.fill() {
		n = copy(p, s.b)
		s.b = s.b[n:]
		return n, nil
	}
	if s.err != nil || s.tail == len(inflateTail) {
		return 0, s.end()
	}
	n = copy(p, inflateTail[s.tail:])
	s.tail += n
	return n, nil
}

func (s *source) end() error {
	if s.err != nil {
		return s.err
	}
	return io.EOF
}

// nothing is what a decompressor has that waits in the pool, so that it holds no connection.
var nothing source

// An inflater decompresses the messages of one direction. Between two of them it holds nothing but the window, if
// that is kept.
type inflater struct {
	bits  int
	keep  bool
	limit int64 // bytes of a message

	window []byte // what was inflated last, at most 1<<15 bytes of it
	f      decompressor
	src    source
	size   int64
	finals int
	text   runes
	isText bool
}

func newInflater(c *Compression, l Limits) *inflater {
	return &inflater{bits: c.ReceiveBits, keep: c.ReceiveWindow, limit: l.Inflated}
}

// begin takes a message: b, and what next gives, if it is not nil.
func (z *inflater) begin(op Opcode, b []byte, next func() ([]byte, error)) {
	z.src = source{b: b, next: next}
	z.size, z.finals, z.text, z.isText = 0, 0, runes{}, op == Text
	if z.window == nil && !z.keep {
		z.window, _ = windows.get()
	}
	if f, ok := decompressors.get(); ok {
		f.Reset(&z.src, z.window) // never fails
		z.f = f
		return
	}
	z.f = flate.NewReaderDict(&z.src, z.window).(decompressor)
}

// end gives back what was needed for a message. What is left of the window is what the next message may refer to.
func (z *inflater) end() {
	z.src = source{}
	if z.f != nil {
		z.f.Reset(&nothing, nil)
		decompressors.put(z.f)
		z.f = nil
	}
	if !z.keep {
		if z.window != nil {
			windows.put(z.window[:0])
			z.window = nil
		}
	} else if most := 1 << z.bits; len(z.window) > most {
		z.window = slices.Clone(z.window[len(z.window)-most:])
	}
}

// read inflates to p. At the message's end it returns io.EOF.
func (z *inflater) read(p []byte) (n int, err error) {
	for {
		n, err = z.f.Read(p)
		z.size += int64(n)
		z.remember(p[:n])
		switch {
		case z.size > z.limit:
			return n, ErrInflated
		case z.isText && !z.text.check(p[:n]):
			return n, ErrText
		case err == nil && n == 0:
			continue
		case err == nil:
			return n, nil
		case err != io.EOF && z.src.err != nil:
			return n, z.src.err
		case err != io.EOF:
			return n, ErrInflate
		case z.src.tail == len(inflateTail):
			if z.isText && !z.text.ended() {
				return n, ErrText
			}
			return n, io.EOF
		}
		if z.finals++; z.finals > mostFinals {
			return n, ErrInflate
		}
		z.f.Reset(&z.src, z.window)
		if n > 0 {
			return n, nil
		}
	}
}

// remember adds to the window, of which it keeps what flate can refer to.
func (z *inflater) remember(b []byte) {
	const most = 1 << mostBits
	if len(b) >= most {
		z.window = append(z.window[:0], b[len(b)-most:]...)
		return
	}
	if drop := len(z.window) + len(b) - most; drop > 0 {
		z.window = z.window[:copy(z.window, z.window[drop:])]
	}
	z.window = append(z.window, b...)
}

// append inflates the message b whole, and writes it behind dst. On an error dst is what it was.
func (z *inflater) append(dst []byte, op Opcode, b []byte) ([]byte, error) {
	z.begin(op, b, nil)
	defer z.end()
	n := len(dst)
	for {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, max(leastBuffer, min(2*len(b), mostPooled)))
		}
		m, err := z.read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+m]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst[:n], err
		}
	}
}
