package frametest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/plexor-go/plexor/frame"
)

// A Result is what a stream gave: its messages, and the error behind them, nil for a good end.
type Result struct {
	Messages [][]byte
	Err      error
}

// String prints both, for a test that fails.
func (r Result) String() string { return fmt.Sprintf("%q, error %v", r.Messages, r.Err) }

// Equal reports whether both gave the same messages and errors of the same text.
func (r Result) Equal(o Result) bool {
	return text(r.Err) == text(o.Err) && slices.EqualFunc(r.Messages, o.Messages, bytes.Equal)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Decode decodes a stream that comes in pieces of size bytes.
func Decode(t testing.TB, c frame.Codec, stream []byte, size int) Result {
	t.Helper()
	return feed(t, Subject{Codec: c}, cut(stream, func() int { return size }))
}

// Check is the property of every codec, for fuzz targets: a stream gives the same result however it is cut and in each
// way of decoding, within the bounds that the codec names; and what came out, if it can be sent, comes out again. The
// seed decides about the cuts. A codec that does not pass its own Check is skipped.
func Check(t *testing.T, s Subject, stream []byte, seed uint64) Result {
	t.Helper()
	if s.Codec.Check() != nil {
		t.Skip()
	}
	got := s.checkCuts(t, stream, rand.New(rand.NewPCG(seed, 1)))
	var again []byte
	for _, msg := range got.Messages {
		out, err := s.Codec.Append(again, msg)
		if err != nil && s.Refuses != nil && s.Refuses(msg, err) {
			return got
		}
		if err != nil {
			t.Fatalf("%s: Append of %q, which was decoded: %v", s.Codec, msg, err)
		}
		again = out
	}
	back := Decode(t, s.Codec, again, len(again)+1)
	if want := (Result{Messages: got.Messages}); !s.Rewrites && !back.Equal(want) {
		t.Fatalf("%s: messages %q, encoded %q, come back as %v", s.Codec, got.Messages, again, back)
	}
	return got
}

// checkCuts checks that a stream gives the same result in each way, however it is cut, and within bounds.
func (s Subject) checkCuts(t *testing.T, stream []byte, r *rand.Rand) Result {
	t.Helper()
	c := s.Codec
	want := ways[0].decode(t, s, [][]byte{stream})
	if len(want.Messages) > len(stream) {
		t.Fatalf("%s: %d messages out of %d bytes", c, len(want.Messages), len(stream))
	}
	total := 0
	for _, msg := range want.Messages {
		if len(msg) > c.MaxMessage() {
			t.Fatalf("%s: a message of %d bytes, the maximum is %d", c, len(msg), c.MaxMessage())
		}
		total += len(msg)
	}
	if total > len(stream) {
		t.Fatalf("%s: messages of %d bytes out of a stream of %d", c, total, len(stream))
	}
	for _, way := range ways {
		for _, size := range []int{1, 2, 3 + r.IntN(100), 1 << 20} {
			pieces := cut(stream, func() int { return max(1, size-r.IntN(2)) })
			if got := way.decode(t, s, pieces); !got.Equal(want) {
				t.Fatalf("%s: %s: stream %q in pieces of %d:\ngot     %v\nat once %v", c, way.name, stream, size, got, want)
			}
		}
	}
	checkError(t, c, stream, want.Err)
	return want
}

// checkError checks that an error tells where, in which codec, and which of the three kinds it is.
func checkError(t *testing.T, c frame.Codec, stream []byte, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var e *frame.Error
	if !errors.As(err, &e) || e.Offset < 0 || e.Offset > int64(len(stream)) || e.Codec != c.String() {
		t.Fatalf("%s: stream %q: error %#v is not complete", c, stream, err)
	}
	kinds := 0
	for _, kind := range []error{frame.ErrTooLong, frame.ErrMalformed, io.ErrUnexpectedEOF} {
		if errors.Is(err, kind) {
			kinds++
		}
	}
	if kinds != 1 {
		t.Fatalf("%s: stream %q: error %v is of %d kinds; it should wrap ErrTooLong or ErrMalformed", c, stream, err, kinds)
	}
}

// The ways to decode a stream: each must give the same result.
var ways = []struct {
	name   string
	decode func(t testing.TB, s Subject, pieces [][]byte) Result
}{
	{"Feed", feed},
	{"Next", next},
	{"Feed, left after each message", feedAndLeave},
	{"Reader", pull},
	{"Reader, data with EOF", pullToEOF},
}

func decoder(t testing.TB, c frame.Codec) *frame.Decoder {
	t.Helper()
	d, err := frame.NewDecoder(c)
	if err != nil {
		t.Fatalf("NewDecoder(%s): %v", c, err)
	}
	return d
}

func feed(t testing.TB, s Subject, pieces [][]byte) (res Result) {
	d := decoder(t, s.Codec)
	for _, piece := range pieces {
		p, spoil := poisoned(piece)
		for msg, err := range d.Feed(p) {
			if err != nil {
				res.Err = err
				return res
			}
			res.Messages = append(res.Messages, bytes.Clone(msg))
			s.checkHeld(t, d, 0)
		}
		spoil()
		s.checkHeld(t, d, 0)
	}
	res.Err = d.End()
	return res
}

func next(t testing.TB, s Subject, pieces [][]byte) (res Result) {
	d := decoder(t, s.Codec)
	for _, piece := range pieces {
		p, spoil := poisoned(piece)
		for rest := p; ; {
			var msg []byte
			var err error
			if msg, rest, err = d.Next(rest); err != nil {
				res.Err = err
				return res
			}
			if msg == nil {
				if len(rest) > 0 {
					t.Fatalf("Next: no message, and %d bytes left over", len(rest))
				}
				break
			}
			res.Messages = append(res.Messages, bytes.Clone(msg))
		}
		spoil()
	}
	res.Err = d.End()
	return res
}

func feedAndLeave(t testing.TB, s Subject, pieces [][]byte) (res Result) {
	d := decoder(t, s.Codec)
	longest := 0
	for _, piece := range pieces {
		longest = max(longest, len(piece))
		p, spoil := poisoned(piece)
		for more := true; more; p = nil {
			more = false
			for msg, err := range d.Feed(p) {
				if err != nil {
					res.Err = err
					return res
				}
				res.Messages = append(res.Messages, msg)
				more = true
				break
			}
			if more { // valid behind the loop, until the next call
				last := &res.Messages[len(res.Messages)-1]
				*last = bytes.Clone(*last)
				s.checkHeld(t, d, longest)
			}
			spoil() // the decoder has its own copy of the rest
		}
	}
	res.Err = d.End()
	return res
}

func pull(t testing.TB, s Subject, pieces [][]byte) (res Result) {
	r, err := frame.NewReader(&pieceReader{pieces: pieces}, s.Codec)
	if err != nil {
		t.Fatal(err)
	}
	for msg, err := range r.All() {
		if err != nil {
			res.Err = err
			break
		}
		res.Messages = append(res.Messages, bytes.Clone(msg))
	}
	return res
}

func pullToEOF(t testing.TB, s Subject, pieces [][]byte) (res Result) {
	r, err := frame.NewReader(iotest.DataErrReader(&pieceReader{pieces: pieces}), s.Codec)
	if err != nil {
		t.Fatal(err)
	}
	for {
		msg, err := r.Next()
		if err == io.EOF {
			return res
		}
		if err != nil {
			res.Err = err
			return res
		}
		res.Messages = append(res.Messages, bytes.Clone(msg))
	}
}

// leastHeld is what a decoder may hold for the smallest frame, in bytes.
const leastHeld = 512

// checkHeld checks that d holds no more memory than it may, with kept bytes left by the caller.
func (s Subject) checkHeld(t testing.TB, d *frame.Decoder, kept int) {
	if limit := max(leastHeld, s.Codec.MaxFrame()) + 2*kept; d.Held() > limit {
		t.Fatalf("%s: the decoder holds %d bytes, more than %d", s.Codec, d.Held(), limit)
	}
}

// A pieceReader returns one piece with each Read, or less if there is no room.
type pieceReader struct{ pieces [][]byte }

func (r *pieceReader) Read(p []byte) (int, error) {
	if len(r.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.pieces[0])
	if r.pieces[0] = r.pieces[0][n:]; len(r.pieces[0]) == 0 {
		r.pieces = r.pieces[1:]
	}
	return n, nil
}

// cut cuts stream into pieces of the lengths that next returns (at least 0).
func cut(stream []byte, next func() int) (pieces [][]byte) {
	for len(stream) > 0 {
		n := min(next(), len(stream))
		pieces = append(pieces, stream[:n])
		stream = stream[n:]
	}
	return pieces
}

// poison is what memory is overwritten with, in blocks.
var poison = bytes.Repeat([]byte{0xA5}, 4<<10)

// poisoned is a copy of piece that is overwritten by the function returned: views must not live longer.
func poisoned(piece []byte) (p []byte, spoil func()) {
	p = bytes.Clone(piece)
	return p, func() {
		for rest := p; len(rest) > 0; {
			rest = rest[copy(rest, poison):]
		}
	}
}

// noise is n random bytes, a third of which mean something to the codec.
func noise(r *rand.Rand, means string, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		if b[i] = byte(r.Uint32()); r.IntN(3) == 0 {
			b[i] = means[r.IntN(len(means))]
		}
	}
	return b
}

// meaning is n bytes, each of which means something to the codec.
func meaning(r *rand.Rand, means string, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = means[r.IntN(len(means))]
	}
	return b
}
