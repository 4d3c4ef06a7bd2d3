package frame

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
)

// A result is what a stream gave: its messages, and the error behind them ("" for a good end).
type result struct {
	messages [][]byte
	err      string
	failure  error
}

func (r result) String() string { return fmt.Sprintf("%q, error %q", r.messages, r.err) }

func (r *result) fail(err error) {
	if err != nil {
		r.failure, r.err = err, err.Error()
	}
}

func same(a, b result) bool {
	return a.err == b.err && slices.EqualFunc(a.messages, b.messages, bytes.Equal)
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

// poisoned is a copy of piece that is overwritten by the function returned: views must not live longer.
func poisoned(piece []byte) (p []byte, spoil func()) {
	p = bytes.Clone(piece)
	return p, func() {
		for i := range p {
			p[i] = 0xA5
		}
	}
}

// The ways to decode a stream: each must give the same result.
var ways = []struct {
	name   string
	decode func(t *testing.T, c Codec, pieces [][]byte) result
}{
	{"Feed", func(t *testing.T, c Codec, pieces [][]byte) (res result) {
		d := mustDecoder(t, c)
		for _, piece := range pieces {
			p, spoil := poisoned(piece)
			for msg, err := range d.Feed(p) {
				if err != nil {
					res.fail(err)
					return res
				}
				res.messages = append(res.messages, bytes.Clone(msg))
				checkBound(t, d, 0)
			}
			spoil()
			checkBound(t, d, 0)
		}
		res.fail(d.End())
		return res
	}},
	{"Next", func(t *testing.T, c Codec, pieces [][]byte) (res result) {
		d := mustDecoder(t, c)
		for _, piece := range pieces {
			p, spoil := poisoned(piece)
			for rest := p; ; {
				var msg []byte
				var err error
				if msg, rest, err = d.Next(rest); err != nil {
					res.fail(err)
					return res
				}
				if msg == nil {
					if len(rest) > 0 {
						t.Fatalf("Next: no message, and %d bytes left over", len(rest))
					}
					break
				}
				res.messages = append(res.messages, bytes.Clone(msg))
			}
			spoil()
		}
		res.fail(d.End())
		return res
	}},
	{"Feed, left after each message", func(t *testing.T, c Codec, pieces [][]byte) (res result) {
		d := mustDecoder(t, c)
		longest := 0
		for _, piece := range pieces {
			longest = max(longest, len(piece))
			p, spoil := poisoned(piece)
			for more := true; more; p = nil {
				more = false
				for msg, err := range d.Feed(p) {
					if err != nil {
						res.fail(err)
						return res
					}
					res.messages = append(res.messages, msg)
					more = true
					break
				}
				if more { // valid behind the loop, until the next call
					last := &res.messages[len(res.messages)-1]
					*last = bytes.Clone(*last)
					checkBound(t, d, longest)
				}
				spoil() // the decoder has its own copy of the rest
			}
		}
		res.fail(d.End())
		return res
	}},
	{"Reader", func(t *testing.T, c Codec, pieces [][]byte) (res result) {
		r, err := NewReader(&pieceReader{pieces: pieces}, c)
		if err != nil {
			t.Fatal(err)
		}
		for msg, err := range r.All() {
			if err != nil {
				res.fail(err)
				break
			}
			res.messages = append(res.messages, bytes.Clone(msg))
		}
		return res
	}},
	{"Reader, data with EOF", func(t *testing.T, c Codec, pieces [][]byte) (res result) {
		r, err := NewReader(iotest.DataErrReader(&pieceReader{pieces: pieces}), c)
		if err != nil {
			t.Fatal(err)
		}
		for {
			msg, err := r.Next()
			if err == io.EOF {
				return res
			}
			if err != nil {
				res.fail(err)
				return res
			}
			res.messages = append(res.messages, bytes.Clone(msg))
		}
	}},
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

func mustDecoder(t testing.TB, c Codec) *Decoder {
	t.Helper()
	d, err := NewDecoder(c)
	if err != nil {
		t.Fatalf("NewDecoder(%s): %v", c, err)
	}
	return d
}

// checkBound checks that d holds no more memory than it may, with kept bytes left by the caller.
func checkBound(t *testing.T, d *Decoder, kept int) {
	t.Helper()
	if d.buf == nil {
		return
	}
	if limit := max(minBuffer, d.codec.MaxFrame()) + 2*kept; cap(d.buf.b) > limit {
		t.Fatalf("%s: the buffer holds %d bytes, more than %d", d.codec, cap(d.buf.b), limit)
	}
}

func mustAppend(t testing.TB, c Codec, dst, msg []byte) []byte {
	t.Helper()
	out, err := c.Append(dst, msg)
	if err != nil {
		t.Fatalf("%s: Append(%q): %v", c, msg, err)
	}
	return out
}

// TestSuite is what holds for every codec.
func TestSuite(t *testing.T) {
	for _, s := range subjects() {
		t.Run(s.name, func(t *testing.T) {
			t.Run("identity", s.testIdentity)
			t.Run("big", s.testBig)
			t.Run("short", s.testCutShort)
			t.Run("maximum", s.testMaximum)
			t.Run("garbage", s.testGarbage)
			t.Run("failed", s.testStaysFailed)
			t.Run("spec", s.testSpec)
		})
	}
}

// testIdentity: encoded, cut in any way, and decoded, messages are the same.
func (s subject) testIdentity(t *testing.T) {
	r := newRand(t)
	messages, stream, _ := s.stream(t, r, 12, 40)
	want := result{messages: messages}
	cuts := map[string][][]byte{
		"all at once":        {stream},
		"one byte at a time": cut(stream, func() int { return 1 }),
		"two at a time":      cut(stream, func() int { return 2 }),
		"at random":          cut(stream, func() int { return r.IntN(30) }),
	}
	for i := 1; i < len(stream); i++ {
		cuts[fmt.Sprintf("at byte %d", i)] = [][]byte{stream[:i], stream[i:]}
		cuts[fmt.Sprintf("before and after byte %d", i)] = [][]byte{stream[:i], stream[i : i+1], nil, stream[i+1:]}
	}
	for name, pieces := range cuts {
		for _, way := range ways {
			if got := way.decode(t, s.codec, slices.Clone(pieces)); !same(got, want) {
				t.Fatalf("%s: stream %q, cut %s:\ngot  %v\nwant %v", way.name, stream, name, got, want)
			}
		}
	}
}

// testBig: messages up to the maximum, cut at random into pieces of all sizes.
func (s subject) testBig(t *testing.T) {
	r := newRand(t)
	top := s.codec.MaxMessage()
	messages := [][]byte{s.message(r, 0), s.message(r, top), s.message(r, top), s.message(r, 0), s.message(r, top/2), s.message(r, min(top, 40_000))}
	var stream []byte
	for _, msg := range messages {
		stream = mustAppend(t, s.codec, stream, msg)
	}
	want := result{messages: messages}
	for _, size := range []int{7, 100, 5000, 64 << 10, 2 << 20} {
		if len(stream)/size > 10_000 {
			continue
		}
		pieces := cut(stream, func() int { return 1 + r.IntN(size) })
		for _, way := range ways {
			if got := way.decode(t, s.codec, slices.Clone(pieces)); !same(got, want) {
				t.Fatalf("%s: pieces of up to %d bytes: got %d messages, error %q; want %d", way.name, size, len(got.messages), got.err, len(messages))
			}
		}
	}
}

// testCutShort: a stream that ends inside a frame says so, and how much is missing at least.
func (s subject) testCutShort(t *testing.T) {
	r := newRand(t)
	_, stream, ends := s.stream(t, r, 4, 20)
	for n := 0; n <= len(stream); n++ {
		begin := 0 // of the frame that is cut
		for _, end := range ends {
			if end <= n {
				begin = end
			}
		}
		for _, way := range ways {
			got := way.decode(t, s.codec, cut(stream[:n], func() int { return 1 + r.IntN(20) }))
			if n == begin {
				if got.err != "" {
					t.Fatalf("%s: %q ends with a frame: got error %v", way.name, stream[:n], got.failure)
				}
				continue
			}
			var e *Error
			if !errors.Is(got.failure, io.ErrUnexpectedEOF) || !errors.As(got.failure, &e) || e.Offset != int64(begin) || e.Codec != s.codec.String() {
				t.Fatalf("%s: %q cut short: got %#v, want io.ErrUnexpectedEOF at %d", way.name, stream[:n], got.failure, begin)
			}
			end := ends[slices.IndexFunc(ends, func(end int) bool { return end > n })]
			if e.Missing < 1 || n+e.Missing > end {
				t.Fatalf("%s: %q cut short %d bytes before the end: got %d missing at least", way.name, stream[:n], end-n, e.Missing)
			}
		}
	}
}

// testMaximum: no longer message is sent, and none is taken, and nothing is kept of one.
func (s subject) testMaximum(t *testing.T) {
	r := newRand(t)
	top := s.codec.MaxMessage()
	dst := []byte("before")
	for _, n := range []int{top + 1, top + 2, 2 * top} {
		out, err := s.codec.Append(dst, make([]byte, n))
		var e *Error
		if !errors.Is(err, ErrTooLong) || !errors.As(err, &e) || e.Offset != -1 || string(out) != "before" {
			t.Errorf("Append of %d bytes: got %q, %v; want ErrTooLong and dst", n, out, err)
		}
	}
	wider := s.codec
	switch c := s.codec.(type) {
	case Length:
		if c.Max = 0; c.MaxMessage() <= top {
			return
		}
		wider = c
	case Multiprocessing:
		wider = Multiprocessing{Max: 2 * top}
	case Varint:
		wider = Varint{Max: 2 * top}
	case Line:
		wider = Line{CRLF: c.CRLF, Max: 2 * top}
	case Delimited:
		wider = Delimited{Delim: c.Delim, Max: 2 * top}
	case Netstring:
		wider = Netstring{Max: 2 * top}
	case Fixed:
		return // all of one size
	}
	good := s.message(r, top)
	bad := subject{codec: wider, message: s.message}.message(r, top+1)
	begin := mustAppend(t, s.codec, nil, good)
	stream := mustAppend(t, wider, slices.Clone(begin), bad)
	for _, size := range []int{1, 2, 10, 1000, 1 << 22} {
		if len(stream)/size > 100_000 {
			continue
		}
		d := mustDecoder(t, s.codec)
		var err error
		for _, piece := range cut(stream, func() int { return size }) {
			for _, err = range d.Feed(piece) {
				checkBound(t, d, 0)
			}
			if err != nil {
				break
			}
		}
		var e *Error
		if !errors.Is(err, ErrTooLong) || !errors.As(err, &e) || e.Offset != int64(len(begin)) {
			t.Errorf("a message of %d bytes in pieces of %d: got %v, want ErrTooLong at %d", len(bad), size, err, len(begin))
		}
		if d.buf != nil {
			t.Errorf("a failed decoder holds a buffer")
		}
	}
}

// testGarbage: no stream makes a decoder panic, loop, or keep more than it may; and how it is cut is all the same.
func (s subject) testGarbage(t *testing.T) {
	r := newRand(t)
	for range 150 {
		var stream []byte
		switch r.IntN(3) {
		case 0: // noise
			stream = anyBytes(r, r.IntN(2000))
		case 1: // noise of few values, so that lengths are small
			stream = make([]byte, r.IntN(400))
			for i := range stream {
				stream[i] = "\x00\x01\x80\xff\r\n1:,a"[r.IntN(10)]
			}
		case 2: // good frames with a few bytes changed
			_, stream, _ = s.stream(t, r, 6, 30)
			for range 1 + r.IntN(3) {
				stream[r.IntN(len(stream))] ^= byte(1 << r.IntN(8))
			}
		}
		checkCuts(t, s.codec, stream, r)
	}
}

// checkCuts checks that a stream gives the same result in each way, however it is cut, and within bounds.
func checkCuts(t *testing.T, c Codec, stream []byte, r *rand.Rand) result {
	t.Helper()
	want := ways[0].decode(t, c, [][]byte{stream})
	if len(want.messages) > len(stream) {
		t.Fatalf("%s: %d messages out of %d bytes", c, len(want.messages), len(stream))
	}
	total := 0
	for _, msg := range want.messages {
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
			if got := way.decode(t, c, pieces); !same(got, want) {
				t.Fatalf("%s: %s: stream %q in pieces of %d:\ngot     %v\nat once %v", c, way.name, stream, size, got, want)
			}
		}
	}
	var e *Error
	if want.failure != nil {
		if !errors.As(want.failure, &e) || e.Offset < 0 || e.Offset > int64(len(stream)) || e.Reason == "" || e.Codec != c.String() {
			t.Fatalf("%s: stream %q: error %#v is not complete", c, stream, want.failure)
		}
		kinds := 0
		for _, kind := range []error{ErrTooLong, ErrMalformed, io.ErrUnexpectedEOF} {
			if errors.Is(want.failure, kind) {
				kinds++
			}
		}
		if kinds != 1 {
			t.Fatalf("%s: stream %q: error %v is of %d kinds", c, stream, want.failure, kinds)
		}
	}
	return want
}

// testStaysFailed: the first error is the last, whatever comes.
func (s subject) testStaysFailed(t *testing.T) {
	r := newRand(t)
	_, good, _ := s.stream(t, r, 2, 20)
	for range 200 {
		d := mustDecoder(t, s.codec)
		var first error
		for _, err := range d.Feed(anyBytes(r, 400)) {
			first = err
		}
		if first == nil {
			continue // Fixed takes anything, others may
		}
		for msg, err := range d.Feed(good) {
			if msg != nil || err != first {
				t.Fatalf("after %v: got message %q, error %v", first, msg, err)
			}
		}
		if msg, rest, err := d.Next(good); msg != nil || rest != nil || err != first {
			t.Fatalf("after %v: Next: got %q, %q, %v", first, msg, rest, err)
		}
		if err := d.End(); err != first {
			t.Fatalf("after %v: End: got %v", first, err)
		}
	}
}

// testSpec: what String prints, Parse makes the codec of.
func (s subject) testSpec(t *testing.T) {
	got, err := Parse(s.codec.String())
	if err != nil || got != s.codec {
		t.Errorf("Parse(%q): got %#v, %v; want %#v", s.codec, got, err, s.codec)
	}
}
