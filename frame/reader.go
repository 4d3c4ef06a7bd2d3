package frame

import (
	"io"
	"iter"
)

// readSize is how much a Reader asks of its stream at once, in bytes. What is missing of a larger message is read
// into its place directly.
const readSize = 16 << 10

// maxEmptyReads is how often in a row a stream may return no byte and no error before a Reader gives up.
const maxEmptyReads = 100

// A Reader reads messages from a stream. It reads ahead, so the stream is its own until it is done (see
// Buffered). It may be used by one goroutine at a time.
type Reader struct {
	r     io.Reader
	d     Decoder
	piece []byte // readSize bytes, made with the first read
	rest  []byte // what of piece was read and not handed out
	err   error  // what r returned along with the last bytes
}

// NewReader returns a Reader of c's frames on r, or the reason why c is no valid codec (see Codec.Check).
func NewReader(r io.Reader, c Codec) (*Reader, error) {
	if r == nil {
		return nil, errNoStream
	}
	rd := &Reader{r: r}
	if err := rd.d.Reset(c); err != nil {
		return nil, err
	}
	return rd, nil
}

// Next returns the next message, which is valid until the next call. The errors are:
//
//   - io.EOF, alone, when the stream ended behind a whole frame;
//   - an *Error for a bad frame, or with io.ErrUnexpectedEOF for a stream that ended inside one: the Reader then
//     stays failed;
//   - what the stream's Read returned, unchanged. Nothing is lost by it: after an expired deadline, say, Next may
//     be called again and goes on where it was.
func (r *Reader) Next() ([]byte, error) {
	for empty := 0; ; {
		msg, rest, err := r.d.Next(r.rest)
		if err == errEnded {
			return nil, io.EOF
		}
		r.rest = rest
		if msg != nil || err != nil {
			return msg, err
		}
		if err := r.err; err != nil {
			r.err = nil
			if err != io.EOF {
				return nil, err
			}
			if err := r.d.End(); err != nil {
				return nil, err
			}
			return nil, io.EOF
		}
		if r.read() > 0 || r.err != nil {
			empty = 0
		} else if empty++; empty == maxEmptyReads {
			return nil, io.ErrNoProgress
		}
	}
}

// read reads once, into the frame in progress if much is missing there, else into the piece; the decoder has
// taken all of the last one.
func (r *Reader) read() (n int) {
	if to := r.d.space(readSize); to != nil {
		n, r.err = r.r.Read(to)
		r.d.filled(n)
		return n
	}
	if r.piece == nil {
		r.piece = make([]byte, readSize)
	}
	n, r.err = r.r.Read(r.piece)
	r.rest = r.piece[:n]
	return n
}

// All is the iteration over all further messages, each valid until the next step. It stops at the end of the
// stream; any other error of Next is the last item, with a nil message. Leaving the iteration loses nothing: All
// or Next go on behind the last message.
func (r *Reader) All() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for {
			msg, err := r.Next()
			if err == io.EOF || !yield(msg, err) || err != nil {
				return
			}
		}
	}
}

// Buffered is what was read from the stream behind the last message, a view that is valid until the next call.
// A protocol that goes over to another format reads on from there.
func (r *Reader) Buffered() []byte {
	if r.d.Buffered() > 0 { // then the decoder has taken all of rest
		return r.d.buf.b[r.d.r:]
	}
	return r.rest
}

// Offset is the number of bytes of the stream that were handed out, with their headers.
func (r *Reader) Offset() int64 { return r.d.Offset() }
