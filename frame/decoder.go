package frame

import (
	"errors"
	"fmt"
	"io"
	"iter"
)

// firstChunk is how much of a new piece, in bytes, is first added to an incomplete frame whose end is not
// known yet. Each further chunk is twice as large, so that finding the end copies at most about twice the frame,
// and not the whole piece.
const firstChunk = 64

// A Decoder turns the pieces of one stream into messages. It is made by NewDecoder, or, when it lives inside
// another struct, by Reset, which must come before anything else. It must not be copied once it is in use, and may be
// used by one goroutine at a time.
//
// The bytes of a frame that is not complete yet are the decoder's:
//
//	buf  | delivered | begin of a frame ... |  free  |
//	     0           r                    len      cap
//	                 |<- seen by Scan ->|
//
// With nothing to keep, buf is nil. Left of r lies at most the message that was handed out last (and what Feed
// kept in front of it); it is overwritten at the earliest by the next call.
type Decoder struct {
	codec Codec
	limit int     // codec.MaxFrame()
	buf   *buffer // nil, or from getBuffer
	r     int     // where in buf the frame begins
	seen  int     // how much of buf[r:] Scan has seen
	want  int     // what Scan last asked for, for the frame in buf
	off   int64   // where in the stream the frame begins
	err   error   // the decoder failed or ended
}

// errEnded is the error of a decoder whose stream came to a good end.
var errEnded = errors.New("frame: the decoder's stream has ended")

// NewDecoder returns a decoder for a stream of c's frames, or the reason why c is none (see Codec.Check).
func NewDecoder(c Codec) (*Decoder, error) {
	d := new(Decoder)
	if err := d.Reset(c); err != nil {
		return nil, err
	}
	return d, nil
}

// Reset makes d a decoder for a new stream of c's frames, whatever it was before; its buffer goes back, and the
// message handed out last is no longer valid. If c is no valid codec, Reset says why and leaves d unchanged.
func (d *Decoder) Reset(c Codec) error {
	if err := check(c); err != nil {
		return err
	}
	if l, ok := c.(Length); ok {
		c = sharedScanner(l)
	}
	d.release()
	*d = Decoder{codec: c, limit: c.MaxFrame()}
	return nil
}

// check is c.Check, and refuses a nil codec.
func check(c Codec) error {
	if c == nil {
		return errNoCodec
	}
	return c.Check()
}

var (
	errNoCodec  = errors.New("frame: the codec is nil")
	errNoStream = errors.New("frame: the stream is nil")
)

// Feed takes the next piece of the stream and returns an iteration over the messages that are complete with it.
// Nothing is read before the iteration runs, and it can run once.
//
// A message is a view, into p or into the decoder's buffer, never to be written to beyond its length: it is
// valid until the next call of a method of d, or until the owner of p reuses it. An empty message is an empty
// slice that is not nil. A bad frame is the last item, with a nil message and an *Error; the decoder has then
// failed, and every later Feed gives that same error.
//
// Leaving the iteration loses nothing: what was not looked at yet is copied (p may be reused), and comes first
// in the next Feed. Feed(nil) goes on with it. What is kept in this way is bounded by what the caller feeds
// before it goes on: feed no new piece while the last one was left. A caller that can hold on to the piece
// itself should use Next, which copies nothing.
func (d *Decoder) Feed(p []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) { d.feed(p, yield) }
}

func (d *Decoder) feed(p []byte, yield func([]byte, error) bool) {
	for {
		msg, rest, err := d.Next(p)
		if err != nil {
			yield(nil, err)
			return
		}
		if msg == nil {
			return
		}
		if !yield(msg, nil) {
			d.keep(rest)
			return
		}
		p = rest
	}
}

// Next is one step of Feed: it takes bytes from the front of p up to the end of the first message and returns
// that message, and the rest of p. The caller passes the rest, before any later piece, to the next call, now or
// whenever it is ready for another message.
//
// With a nil message all of p was taken and no message is complete; an empty message is not nil. The message is
// valid until the next call of a method of d, or until the owner of p reuses it. On a bad frame the error is an
// *Error, and so it is for every later call.
//
// A message split over pieces lies in the decoder's buffer, which goes back to the pool with the call after it.
// So call Next until it returns no message (Next(nil) will do) before leaving a decoder idle.
func (d *Decoder) Next(p []byte) (msg, rest []byte, err error) {
	if d.buf != nil || d.err != nil {
		return d.next(p)
	}
	s, err := d.codec.Scan(p, 0)
	if err != nil {
		return nil, nil, d.fail(err)
	}
	if s.Size > len(p) {
		d.begin(p, s.Size)
		return nil, nil, nil
	}
	if s.Size < 1 {
		panic("frame: codec " + d.codec.String() + " found a frame of no bytes")
	}
	d.off += int64(s.Size)
	return p[s.Start:s.End:s.End], p[s.Size:], nil
}

// next is Next for the cases that are not fast: failed, or with something in the buffer.
func (d *Decoder) next(p []byte) (msg, rest []byte, err error) {
	if d.err != nil {
		return nil, nil, d.err
	}
	if d.r == len(d.buf.b) {
		d.release()
		return d.Next(p)
	}
	if d.buf.prev != nil { // nobody may look at it any more
		putBuffer(d.buf.prev)
		d.buf.prev = nil
	}
	taken := 0 // bytes of p that are in buf by now
	for chunk := firstChunk; ; chunk *= 2 {
		have := d.buf.b[d.r:]
		if len(have) >= d.want { // before that Scan can say no more
			s, err := d.scan(have)
			if err != nil {
				return nil, nil, d.fail(err)
			}
			if s.Size <= len(have) {
				// Before something was taken the frame was incomplete, so what is too much now is from p.
				over := 0
				if taken > 0 {
					over = len(have) - s.Size
				}
				d.assert(s.Size >= 1 && over <= taken, s, len(have))
				d.buf.b = d.buf.b[:len(d.buf.b)-over]
				d.r += s.Size
				d.seen, d.want, d.buf.state = 0, 0, State{}
				d.off += int64(s.Size)
				return have[s.Start:s.End:s.End], p[taken-over:], nil
			}
			d.assert(s.Size <= d.limit, s, len(have))
			d.seen, d.want = len(have), s.Size
		}
		if taken == len(p) {
			return nil, nil, nil
		}
		n := min(max(d.want-len(have), chunk), d.limit-len(have), len(p)-taken)
		d.grow(n)
		d.buf.b = append(d.buf.b, p[taken:taken+n]...)
		taken += n
	}
}

// assert panics if ok is false: a codec's Scan contradicted itself, and going on would lose bytes or never end.
func (d *Decoder) assert(ok bool, s Span, have int) {
	if !ok {
		panic(fmt.Sprintf("frame: codec %s: Scan of %d bytes answered %+v (longest frame %d)", d.codec, have, s, d.limit))
	}
}

// begin keeps p, the first bytes of a frame that needs want bytes, in a new buffer.
func (d *Decoder) begin(p []byte, want int) {
	if len(p) == 0 {
		return
	}
	d.assert(want <= d.limit, Span{Size: want}, len(p))
	d.buf = getBuffer(ahead(len(p), want), d.limit)
	d.buf.b = append(d.buf.b, p...)
	d.r, d.seen, d.want = 0, len(p), want
}

// ahead is the room to make when have bytes of a frame are there and want are needed. Less growing means less
// copying, but a peer that announces much and sends little must not cost much: so four times what it sent (and
// getBuffer rounds up, to less than twice that).
func ahead(have, want int) int {
	if have >= want/4 {
		return max(have, want)
	}
	return have * 4
}

// grow makes room for n bytes behind buf, which holds the beginning of a frame. Views of buf become invalid.
func (d *Decoder) grow(n int) {
	b := d.buf.b
	if cap(b)-len(b) >= n {
		return
	}
	have := len(b) - d.r
	if cap(b)-have >= n {
		d.buf.b = b[:copy(b, b[d.r:])]
	} else {
		old := d.buf
		d.buf = getBuffer(ahead(have+n, d.want), d.limit)
		d.buf.b, d.buf.state = append(d.buf.b, b[d.r:]...), old.state
		putBuffer(old)
	}
	d.r = 0
}

// keep adds rest, the untouched end of a piece, to what the decoder holds. The message handed out last stays valid
// until the next call: so a buffer that it may lie in is not compacted, and if another one is needed, it goes back
// only then.
func (d *Decoder) keep(rest []byte) {
	if len(rest) == 0 {
		return
	}
	old := d.buf
	if old == nil || cap(old.b)-len(old.b) < len(rest) {
		n := d.Buffered() + len(rest)
		d.buf = getBuffer(n, 2*n) // a power of two, so that the next one finds it in the pool
		if old != nil {
			d.buf.b, d.buf.state = append(d.buf.b, old.b[d.r:]...), old.state
			d.buf.prev = old
		}
		d.r = 0
	}
	d.buf.b = append(d.buf.b, rest...)
}

// space is room behind the frame in progress into which its next bytes may be read directly, or nil if less
// than least bytes are known to be missing. Follow it with filled.
func (d *Decoder) space(least int) []byte {
	if d.buf == nil || d.want-(len(d.buf.b)-d.r) < least {
		return nil
	}
	d.grow(least)
	b := d.buf.b
	return b[len(b):min(cap(b), d.r+d.want)]
}

// filled says that n bytes of the stream were read into what space returned.
func (d *Decoder) filled(n int) { d.buf.b = d.buf.b[:len(d.buf.b)+n] }

// End says that the stream has ended, at the place up to which it was fed. It returns nil if that is the end of
// a frame, and otherwise an *Error that wraps io.ErrUnexpectedEOF and says how much is missing. If the decoder
// had failed before, End returns that error. The buffer goes back in any case.
//
// Take all messages first: with a whole one still inside (after a Feed that was left) End returns an error that
// says so, and nothing has changed.
func (d *Decoder) End() error {
	if d.err == nil && d.buf != nil && d.r < len(d.buf.b) {
		have := d.buf.b[d.r:]
		s, err := d.scan(have)
		if err == nil && s.Size <= len(have) {
			return errors.New("frame: Decoder.End: messages are left, go on with Feed(nil) first")
		}
		if err != nil {
			d.fail(err)
		} else {
			d.err = &Error{Codec: d.codec.String(), Offset: d.off, Missing: s.Size - len(have), Err: io.ErrUnexpectedEOF,
				Reason: fmt.Sprintf("the stream ended %d bytes into a frame, at least %d more were to come", len(have),
					s.Size-len(have))}
		}
	}
	d.release()
	if d.err == nil {
		d.err = errEnded
	}
	if d.err == errEnded {
		return nil
	}
	return d.err
}

// Buffered is the number of bytes of the stream that the decoder holds: of an incomplete frame, and what a Feed
// that was left has kept.
func (d *Decoder) Buffered() int {
	if d.buf == nil {
		return 0
	}
	return len(d.buf.b) - d.r
}

// Held is how many bytes of memory the decoder's buffer takes while there is something in it: more than Buffered, since
// room is made ahead.
func (d *Decoder) Held() int {
	if d.Buffered() == 0 {
		return 0
	}
	return cap(d.buf.b)
}

// Offset is the number of bytes of the stream that were handed out, with their headers: the next frame begins
// there.
func (d *Decoder) Offset() int64 { return d.off }

// fail makes err, from Scan, the decoder's end. The buffer goes back: what it holds will never be read.
func (d *Decoder) fail(err error) error {
	d.err = locate(d.codec, d.off, err)
	d.release()
	return d.err
}

// release gives the buffer back, with whatever is in it.
func (d *Decoder) release() {
	if d.buf != nil {
		putBuffer(d.buf)
	}
	d.buf, d.r, d.seen, d.want = nil, 0, 0, 0
}
