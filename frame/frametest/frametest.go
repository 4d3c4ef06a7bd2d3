package frametest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/plexor-go/plexor/frame"
)

// A Subject is a codec to be checked, and what the suite can't know of it.
type Subject struct {
	// Codec is what is checked. Let its maximum be small, some hundred bytes, so that the suite reaches it often; run
	// another subject for the default.
	Codec frame.Codec

	// Message makes a valid message of n bytes, or of the nearest length there is, at most MaxMessage of the codec or of
	// Wider. It must be able to make messages longer than Codec.MaxMessage where Wider is set.
	Message func(r *rand.Rand, n int) []byte

	// Wider is the same format with a larger maximum: with it the suite makes frames that Codec has to refuse. nil: there
	// is none (all messages have one size), and this is not checked.
	Wider frame.Codec

	// Parse makes the codec of what String prints, if anything does. nil: not checked.
	Parse func(spec string) (frame.Codec, error)

	// Noise holds bytes that mean something to the codec, for streams of rubbish that get far. "": bytes that mean
	// something to the codecs of package frame.
	Noise string

	// Refuses, if not nil, says whether Append may refuse a message that was decoded, since the format has frames that it
	// never writes.
	Refuses func(msg []byte, err error) bool

	// Rewrites says that Append may write into the message (a length, say), so that what was decoded and sent again need
	// not come back the same.
	Rewrites bool
}

// Run checks the codec. Its subtests have the names of what they check. The random numbers' seed is printed by a test
// that fails.
func Run(t *testing.T, s Subject) {
	t.Helper()
	if err := s.Codec.Check(); err != nil {
		t.Fatalf("Check of the codec %s: %v: the suite is for codecs that pass it", s.Codec, err)
	}
	if s.Message == nil {
		t.Fatalf("Subject.Message of %s is nil: the suite needs messages", s.Codec)
	}
	if s.Noise == "" {
		s.Noise = "\x00\x01\x80\xff\r\n1:,a"
	}
	t.Run("identity", s.identity)
	t.Run("scan", s.scan)
	t.Run("big", s.big)
	t.Run("short", s.cutShort)
	t.Run("maximum", s.maximum)
	t.Run("garbage", s.garbage)
	t.Run("failed", s.staysFailed)
	t.Run("append", s.appends)
	t.Run("spec", s.spec)
}

// Rand is a source of random numbers whose seed is printed if the test fails.
func Rand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, seed))
}

// stream makes n random messages of up to size bytes, and the stream of their frames.
func (s Subject) stream(t testing.TB, r *rand.Rand, n, size int) (messages [][]byte, stream []byte, ends []int) {
	t.Helper()
	for range n {
		msg := s.Message(r, min(r.IntN(size+1), s.Codec.MaxMessage()))
		messages = append(messages, msg)
		stream = encode(t, s.Codec, stream, msg)
		ends = append(ends, len(stream))
	}
	return messages, stream, ends
}

func encode(t testing.TB, c frame.Codec, dst, msg []byte) []byte {
	t.Helper()
	out, err := c.Append(dst, msg)
	if err != nil {
		t.Fatalf("%s: Append(%q): %v", c, msg, err)
	}
	return out
}

// identity: encoded, cut in any way, and decoded, messages are the same.
func (s Subject) identity(t *testing.T) {
	r := Rand(t)
	messages, stream, _ := s.stream(t, r, 12, 40)
	want := Result{Messages: messages}
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
			if got := way.decode(t, s, slices.Clone(pieces)); !got.Equal(want) {
				t.Fatalf("%s: stream %q, cut %s:\ngot  %v\nwant %v", way.name, stream, name, got, want)
			}
		}
	}
}

// scan: what Scan answers about each beginning of a frame, with each number of bytes seen before.
func (s Subject) scan(t *testing.T) {
	r := Rand(t)
	for range 8 {
		msg := s.Message(r, min(r.IntN(60), s.Codec.MaxMessage()))
		whole := encode(t, s.Codec, nil, msg)
		s.behind(t, whole)
		p := append(slices.Clone(whole), noise(r, s.Noise, 20)...)
		for n := 0; n <= len(p); n++ {
			was := slices.Clone(p[:n])
			first, err := s.Codec.Scan(p[:n:n], 0)
			if err != nil {
				t.Fatalf("Scan of the first %d bytes of %q: %v; the frame is good", n, whole, err)
			}
			switch {
			case n < len(whole) && (first.Size <= n || first.Size > len(whole)):
				t.Fatalf("Scan of the first %d bytes of %q: Size %d; want more than %d, and at most the frame's %d",
					n, whole, first.Size, n, len(whole))
			case n >= len(whole) && (first.Size != len(whole) || first.Start < 0 || first.End < first.Start ||
				first.End > first.Size):
				t.Fatalf("Scan of %q with %d bytes behind it: got %+v, the frame has %d bytes",
					whole, n-len(whole), first, len(whole))
			case n >= len(whole) && !bytes.Equal(p[first.Start:first.End], msg):
				t.Fatalf("Scan of %q: the message is %q, want %q", whole, p[first.Start:first.End], msg)
			case first.Size > s.Codec.MaxFrame():
				t.Fatalf("Scan of %q: Size %d, MaxFrame is %d", was, first.Size, s.Codec.MaxFrame())
			case !bytes.Equal(p[:n], was):
				t.Fatalf("Scan changed %q to %q", was, p[:n])
			}
			if r, ok := s.Codec.(frame.Resumer); ok {
				s.resume(t, r, p[:n:n], first)
			}
			for seen := 0; seen <= min(n, len(whole)-1); seen++ {
				again, err := s.Codec.Scan(p[:n:n], seen)
				if err != nil || again.Size != first.Size || n >= len(whole) && again != first {
					t.Fatalf("Scan of %q, of which %d bytes were seen: got %+v, %v; with none seen %+v", was, seen, again, err, first)
				}
			}
		}
	}
}

// behind: what Scan finds does not depend on the byte behind the frame.
func (s Subject) behind(t *testing.T, whole []byte) {
	t.Helper()
	want, err := s.Codec.Scan(whole, 0)
	for b := range 256 {
		p := append(slices.Clone(whole), byte(b))
		if got, err2 := s.Codec.Scan(p, 0); err != nil || err2 != nil || got != want {
			t.Fatalf("Scan of %q with %q behind it: got %+v, %v; without %+v, %v", whole, byte(b), got, err2, want, err)
		}
	}
}

// resume: in one step, in two, and byte by byte, Resume answers as Scan did.
func (s Subject) resume(t *testing.T, c frame.Resumer, p []byte, want frame.Span) {
	t.Helper()
	for from := range len(p) + 1 {
		for _, step := range []int{1, len(p)} {
			var at frame.State
			var got frame.Span
			var err error
			for n := from; ; n = min(n+step, len(p)) {
				got, err = c.Resume(p[:n:n], &at)
				if err != nil || got.Size <= n || n == len(p) {
					break
				}
			}
			if err != nil || got.Size != want.Size || want.Size <= len(p) && got != want {
				t.Fatalf("Resume of %q, from %d bytes on in steps of %d: got %+v, %v; Scan says %+v", p, from, step, got, err, want)
			}
		}
	}
}

// big: messages up to the maximum, cut at random into pieces of all sizes.
func (s Subject) big(t *testing.T) {
	r := Rand(t)
	top := s.Codec.MaxMessage()
	var messages [][]byte
	var stream []byte
	for _, size := range []int{0, top, top, 0, top / 2, min(top, 40_000)} {
		msg := s.Message(r, size)
		messages = append(messages, msg)
		stream = encode(t, s.Codec, stream, msg)
	}
	want := Result{Messages: messages}
	for _, size := range []int{7, 100, 5000, 64 << 10, 2 << 20} {
		if len(stream)/size > 10_000 {
			continue
		}
		pieces := cut(stream, func() int { return 1 + r.IntN(size) })
		for _, way := range ways {
			if got := way.decode(t, s, slices.Clone(pieces)); !got.Equal(want) {
				t.Fatalf("%s: pieces of up to %d bytes: got %d messages, error %v; want %d",
					way.name, size, len(got.Messages), got.Err, len(messages))
			}
		}
	}
}

// cutShort: a stream that ends inside a frame says so, and how much is missing at least.
func (s Subject) cutShort(t *testing.T) {
	r := Rand(t)
	_, stream, ends := s.stream(t, r, 4, 20)
	for n := 0; n <= len(stream); n++ {
		begin := 0 // of the frame that is cut
		for _, end := range ends {
			if end <= n {
				begin = end
			}
		}
		for _, way := range ways {
			got := way.decode(t, s, cut(stream[:n], func() int { return 1 + r.IntN(20) }))
			if n == begin {
				if got.Err != nil {
					t.Fatalf("%s: %q ends with a frame: got error %v", way.name, stream[:n], got.Err)
				}
				continue
			}
			var e *frame.Error
			if !errors.Is(got.Err, io.ErrUnexpectedEOF) || !errors.As(got.Err, &e) || e.Offset != int64(begin) ||
				e.Codec != s.Codec.String() {
				t.Fatalf("%s: %q cut short: got %#v, want io.ErrUnexpectedEOF at %d", way.name, stream[:n], got.Err, begin)
			}
			end := ends[slices.IndexFunc(ends, func(end int) bool { return end > n })]
			if e.Missing < 1 || n+e.Missing > end {
				t.Fatalf("%s: %q cut short %d bytes before the end: got %d missing at least",
					way.name, stream[:n], end-n, e.Missing)
			}
		}
	}
}

// maximum: no longer message is sent, and none is taken, and nothing is kept of one.
func (s Subject) maximum(t *testing.T) {
	r := Rand(t)
	top := s.Codec.MaxMessage()
	if s.Wider == nil {
		return // all of one size, or nothing longer can be said
	}
	bad := s.Message(r, top+1)
	if len(bad) <= top {
		t.Fatalf("Subject.Message(%d) made %d bytes: Wider is set, so it must make more than Codec's maximum, %d",
			top+1, len(bad), top)
	}
	dst := []byte("before")
	out, err := s.Codec.Append(dst, bad)
	if !errors.Is(err, frame.ErrTooLong) || string(out) != "before" {
		t.Errorf("Append of %d bytes: got %q, %v; want ErrTooLong and dst", len(bad), out, err)
	}
	begin := encode(t, s.Codec, nil, s.Message(r, top))
	stream := encode(t, s.Wider, slices.Clone(begin), bad)
	for _, size := range []int{1, 2, 10, 1000, 1 << 22} {
		if len(stream)/size > 100_000 {
			continue
		}
		d := decoder(t, s.Codec)
		var err error
		for _, piece := range cut(stream, func() int { return size }) {
			for _, err = range d.Feed(piece) {
				s.checkHeld(t, d, 0)
			}
			if err != nil {
				break
			}
		}
		var e *frame.Error
		if !errors.Is(err, frame.ErrTooLong) || !errors.As(err, &e) || e.Offset != int64(len(begin)) {
			t.Errorf("a message of %d bytes in pieces of %d: got %v, want ErrTooLong at %d", len(bad), size, err, len(begin))
		}
		if d.Buffered() > 0 {
			t.Errorf("a failed decoder holds %d bytes", d.Buffered())
		}
	}
}

// garbage: no stream makes a decoder panic, loop, or keep more than it may; and how it is cut is all the same.
func (s Subject) garbage(t *testing.T) {
	r := Rand(t)
	longer := s.Codec // makes frames that Codec refuses, if there is such a one
	if s.Wider != nil {
		longer = s.Wider
	}
	for range 60 {
		var stream []byte
		switch r.IntN(4) {
		case 0:
			stream = noise(r, s.Noise, r.IntN(600))
		case 1: // of few values, so that lengths are small
			stream = meaning(r, s.Noise, r.IntN(400))
		case 2: // good frames with a few bits changed
			_, stream, _ = s.stream(t, r, 6, 30)
			for range 1 + r.IntN(3) {
				if len(stream) > 0 {
					stream[r.IntN(len(stream))] ^= byte(1 << r.IntN(8))
				}
			}
		case 3: // the beginning of a frame, which may be too long, and something else behind it
			size := r.IntN(100)
			if top := s.Codec.MaxMessage(); top < 1000 && r.IntN(2) == 0 { // longer ones take their time
				size = top + r.IntN(8)
			}
			frame := encode(t, longer, nil, s.Message(r, min(size, longer.MaxMessage())))
			stream = append(frame[:r.IntN(min(len(frame), 100)+1)], meaning(r, s.Noise, r.IntN(100))...)
		}
		s.checkCuts(t, stream, r)
	}
}

// staysFailed: the first error is the last, whatever comes.
func (s Subject) staysFailed(t *testing.T) {
	r := Rand(t)
	_, good, _ := s.stream(t, r, 2, 20)
	for range 200 {
		d := decoder(t, s.Codec)
		var first error
		for _, err := range d.Feed(noise(r, s.Noise, 400)) {
			first = err
		}
		if first == nil {
			continue // some codecs take anything
		}
		for msg, err := range d.Feed(good) {
			if msg != nil || err != first {
				t.Fatalf("after %v: got message %q, error %v", first, msg, err)
			}
		}
		if err := d.End(); err != first {
			t.Fatalf("after %v: End: got %v", first, err)
		}
	}
}

// appends: dst stays what it was, with room behind it or without, and the frame is the same.
func (s Subject) appends(t *testing.T) {
	r := Rand(t)
	for range 20 {
		msg := s.Message(r, min(r.IntN(60), s.Codec.MaxMessage()))
		was := slices.Clone(msg)
		want := encode(t, s.Codec, nil, msg)
		for _, room := range []int{0, 1, 1000} {
			dst := append(make([]byte, 0, 6+room), "before"...)
			if got := encode(t, s.Codec, dst, msg); !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Fatalf("Append(%q) to %q with %d bytes of room: got %q, want the frame %q behind it", msg, dst, room, got, want)
			}
		}
		if !bytes.Equal(msg, was) {
			t.Fatalf("Append changed its message %q to %q", was, msg)
		}
		if len(want) > s.Codec.MaxFrame() {
			t.Fatalf("Append(%q): a frame of %d bytes, MaxFrame is %d", msg, len(want), s.Codec.MaxFrame())
		}
	}
}

// spec: what String prints, Parse makes the codec of.
func (s Subject) spec(t *testing.T) {
	if s.Codec.String() == "" {
		t.Error("String is empty: errors name the codec by it")
	}
	if s.Parse == nil {
		return
	}
	if got, err := s.Parse(s.Codec.String()); err != nil || got != s.Codec {
		t.Errorf("Parse(%q): got %#v, %v; want %#v", s.Codec, got, err, s.Codec)
	}
}
