package frame

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

func TestDecoderIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Decoder{}); n > 80 {
		t.Errorf("a Decoder has %d bytes, want at most 80", n)
	}
}

// within says whether view lies in p's memory.
func within(view, p []byte) bool {
	if len(view) == 0 || len(p) == 0 {
		return false
	}
	at, from := uintptr(unsafe.Pointer(&view[0])), uintptr(unsafe.Pointer(&p[0]))
	return at >= from && at < from+uintptr(len(p))
}

// TestViews: a message that lies whole in a piece is not copied, and no message can be appended to in place.
func TestViews(t *testing.T) {
	c := Length{Bytes: 1}
	d := mustDecoder(t, c)
	for _, piece := range [][]byte{[]byte("\x02ab\x03cde\x04f"), []byte("ghi\x01j\x01"), []byte("k\x02lm")} {
		first := d.Buffered() > 0
		for msg, err := range d.Feed(piece) {
			if err != nil {
				t.Fatal(err)
			}
			if whole := !first; within(msg, piece) != whole {
				t.Errorf("piece %q, message %q: view into the piece is %t, want %t", piece, msg, !whole, whole)
			}
			if cap(msg) != len(msg) {
				t.Errorf("message %q has a capacity of %d", msg, cap(msg))
			}
			first = false
		}
	}
}

// TestIdleHoldsNothing: once what was gathered is handed out, the buffer is back.
func TestIdleHoldsNothing(t *testing.T) {
	d := mustDecoder(t, Length{Bytes: 4})
	for _, piece := range []string{"\x00\x00\x00\x05he", "llo", "\x00\x00", "\x00\x00"} {
		for _, err := range d.Feed([]byte(piece)) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if held := d.buf != nil; held != (d.Buffered() > 0) {
			t.Errorf("after %q: a buffer is held: %t, with %d bytes in it", piece, held, d.Buffered())
		}
		if held, n := d.buf != nil, d.Held(); held != (n > 0) || held && n != cap(d.buf.b) {
			t.Errorf("after %q: Held is %d; a buffer is held: %t", piece, n, held)
		}
	}
	if msg, rest, err := d.Next([]byte("\x00\x00\x00\x01")); msg != nil || rest != nil || err != nil || d.Buffered() != 4 {
		t.Fatalf("half a message: got %q, %q, %v", msg, rest, err)
	}
	if msg, _, err := d.Next([]byte("x")); string(msg) != "x" || err != nil || d.Buffered() != 0 {
		t.Fatalf("the other half: got %q, %v, and %d bytes are left", msg, err, d.Buffered())
	}
	if msg, _, err := d.Next(nil); msg != nil || err != nil || d.buf != nil {
		t.Errorf("after the last message: got %q, %v; a buffer is held: %t", msg, err, d.buf != nil)
	}
}

// TestAnnouncedIsNotAllocated: the buffer grows with what arrives.
func TestAnnouncedIsNotAllocated(t *testing.T) {
	d := mustDecoder(t, Length{Bytes: 4, Max: 1 << 20})
	sent := 0
	for _, piece := range cut(append([]byte("\x00\x10\x00\x00"), make([]byte, 1<<20-1)...), func() int { return 1000 }) {
		if _, _, err := d.Next(piece); err != nil {
			t.Fatal(err)
		}
		sent += len(piece)
		if n, limit := cap(d.buf.b), min(max(2*4*sent, minBuffer), 1<<20+4); n > limit {
			t.Fatalf("%d bytes of a message of 1 MiB arrived: the buffer has %d, more than %d", sent, n, limit)
		}
	}
	if d.Buffered() != 1<<20+3 || cap(d.buf.b) != 1<<20+4 {
		t.Errorf("all but a byte arrived: %d are there, the buffer has %d", d.Buffered(), cap(d.buf.b))
	}
}

// TestLeaveAndGoOn: a caller that stops at a message finds the next one later, with Feed and with Next.
func TestLeaveAndGoOn(t *testing.T) {
	c := Netstring{}
	d := mustDecoder(t, c)
	take := func(p string) string { // one message
		piece := []byte(p)
		for msg, err := range d.Feed(piece) {
			if err != nil {
				t.Fatal(err)
			}
			defer func() { clear(piece) }()
			return string(msg)
		}
		return "none"
	}
	for i, step := range []struct {
		feed, want string
		buffered   int
	}{
		{"3:one,3:two,0:,3:fo", "one", 13},
		{"", "two", 7},
		{"u,4:five,1:s", "", 16}, // more is fed while something is left
		{"", "fou", 10},
		{"", "five", 3},
		{"", "none", 3},
		{",", "s", 0},
		{"", "none", 0},
	} {
		if got := take(step.feed); got != step.want || d.Buffered() != step.buffered {
			t.Fatalf("step %d, Feed(%q): got %q and %d bytes are left, want %q and %d", i, step.feed, got, d.Buffered(),
				step.want, step.buffered)
		}
	}
	if d.buf != nil {
		t.Error("nothing is left, and a buffer is held")
	}
	if err := d.End(); err != nil {
		t.Error(err)
	}
	if want := int64(len("3:one,3:two,0:,3:fou,4:five,1:s,")); d.Offset() != want {
		t.Errorf("offset: got %d, want %d", d.Offset(), want)
	}
}

// TestNextAfterLeave: what a Feed that was left has kept comes before what Next is given.
func TestNextAfterLeave(t *testing.T) {
	d := mustDecoder(t, Line{})
	for range d.Feed([]byte("a\nb\nc")) {
		break
	}
	rest := []byte("d\ne\n")
	for _, want := range []string{"b", "cd", "e"} {
		var msg []byte
		var err error
		if msg, rest, err = d.Next(rest); string(msg) != want || err != nil {
			t.Fatalf("got %q, %v; want %q", msg, err, want)
		}
	}
}

// TestMessageSurvivesLeaving: the message of a Feed that was left is valid although the rest was kept behind it.
func TestMessageSurvivesLeaving(t *testing.T) {
	c := Length{Bytes: 2}
	long := bytes.Repeat([]byte("long"), 100) // in a buffer of 512 bytes, so that keeping needs another one
	stream := mustAppend(t, c, nil, long)
	tail := mustAppend(t, c, nil, make([]byte, 5000))
	d := mustDecoder(t, c)
	for range d.Feed(stream[:10]) {
		t.Fatal("too early")
	}
	var got []byte
	for msg, err := range d.Feed(append(slices.Clone(stream[10:]), tail...)) {
		if err != nil {
			t.Fatal(err)
		}
		got = msg
		break
	}
	other := getBuffer(512, 512) // were the buffer back in the pool, this might be it
	other.b = append(other.b, make([]byte, 512)...)
	if !bytes.Equal(got, long) {
		t.Errorf("the message was overwritten: %q", got)
	}
	putBuffer(other)
	for msg := range d.Feed(nil) {
		got = msg
	}
	if len(got) != 5000 {
		t.Errorf("the message behind has %d bytes", len(got))
	}
}

func TestEnd(t *testing.T) {
	d := mustDecoder(t, Length{Bytes: 4})
	for range d.Feed([]byte("\x00\x00\x00\x03abc\x00\x00\x00\x0ahello")) {
	}
	err := d.End()
	var e *Error
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &e) || e.Offset != 7 || e.Missing != 5 {
		t.Errorf("got %#v, want io.ErrUnexpectedEOF at 7 and 5 missing", err)
	}
	if want := "frame: len4: unexpected EOF at byte 7: the stream ended 9 bytes into a frame, at least 5 more were to " +
		"come"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %v", err, want)
	}
	if d.buf != nil {
		t.Error("a decoder that ended holds a buffer")
	}
	if again := d.End(); again != err {
		t.Errorf("End again: got %v", again)
	}
	if _, _, again := d.Next([]byte("x")); again != err {
		t.Errorf("Next after End: got %v", again)
	}

	// A good end, after which nothing may come.
	if err := d.Reset(Line{}); err != nil {
		t.Fatal(err)
	}
	for range d.Feed([]byte("a\n")) {
	}
	if err := d.End(); err != nil {
		t.Errorf("a good end: got %v", err)
	}
	if err := d.End(); err != nil {
		t.Errorf("a good end, again: got %v", err)
	}
	for msg, err := range d.Feed([]byte("b\n")) {
		if msg != nil || err == nil || !strings.Contains(err.Error(), "ended") {
			t.Errorf("Feed after End: got %q, %v", msg, err)
		}
	}

	// Messages that were not taken.
	if err := d.Reset(Line{}); err != nil {
		t.Fatal(err)
	}
	for range d.Feed([]byte("a\nb\n")) {
		break
	}
	if err := d.End(); err == nil || errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "Feed(nil)") {
		t.Errorf("End with a message left: got %v", err)
	}
	if msg, _, err := d.Next(nil); string(msg) != "b" || err != nil {
		t.Errorf("Next after the End that was refused: got %q, %v", msg, err)
	}
	if err := d.End(); err != nil {
		t.Error(err)
	}
}

// TestResetRefused: a wrong codec leaves the decoder as it was.
func TestResetRefused(t *testing.T) {
	d := mustDecoder(t, Line{})
	for range d.Feed([]byte("ab")) {
	}
	if err := d.Reset(Length{}); err == nil {
		t.Fatal("a Length of no bytes was taken")
	}
	if msg, _, err := d.Next([]byte("c\n")); string(msg) != "abc" || err != nil {
		t.Errorf("got %q, %v", msg, err)
	}
}

// broken is a codec whose Scan answers what it is told.
type broken struct {
	Fixed
	span  Span
	first int // length from which on it answers span; before that it asks for one more byte
}

func (c broken) Scan(p []byte, _ int) (Span, error) {
	if len(p) < c.first {
		return Span{Size: len(p) + 1}, nil
	}
	return c.span, nil
}

// TestBrokenCodec: a codec that contradicts itself ends in a panic that names it, not in a loop or lost bytes.
func TestBrokenCodec(t *testing.T) {
	for _, row := range []struct {
		name   string
		codec  broken
		pieces []string
	}{
		{"frame of no bytes", broken{span: Span{}}, []string{"abc"}},
		{"frame of no bytes, gathered", broken{span: Span{}, first: 2}, []string{"a", "b"}},
		{"needs more than the longest frame", broken{span: Span{Size: 100}}, []string{"abc"}},
		{"needs more, gathered", broken{span: Span{Size: 100}, first: 2}, []string{"a", "b"}},
		{"shorter than what was incomplete", broken{span: Span{Size: 1, End: 1}, first: 4}, []string{"aaa", "b"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.codec.Size = 10
			defer func() {
				if r := recover(); r == nil || !strings.Contains(r.(string), "fixed:10") {
					t.Errorf("got %v, want a panic that names the codec", r)
				}
			}()
			d := mustDecoder(t, row.codec)
			for _, piece := range row.pieces {
				for range d.Feed([]byte(piece)) {
				}
			}
		})
	}
}

// foreign returns the same error each time, as a codec from elsewhere may.
type foreign struct{ Fixed }

var errForeign = &Error{Err: ErrMalformed, Reason: "foreign"}

func (c foreign) Scan(p []byte, _ int) (Span, error) {
	if len(p) > 0 && p[0] == '!' {
		return Span{}, errForeign
	}
	return c.Fixed.Scan(p, 0)
}

// TestErrorIsOurs: the offset goes into an Error of the decoder's, not into the codec's.
func TestErrorIsOurs(t *testing.T) {
	d := mustDecoder(t, foreign{Fixed{Size: 2}})
	var e *Error
	for _, err := range d.Feed([]byte("ab!")) {
		if err != nil && (!errors.As(err, &e) || e.Offset != 2 || e.Codec != "fixed:2" || e.Reason != "foreign") {
			t.Errorf("got %#v", err)
		}
	}
	if e == nil || errForeign.Offset != 0 || errForeign.Codec != "" {
		t.Errorf("the codec's error is now %#v", errForeign)
	}
}

// counted counts the calls of Scan.
type counted struct {
	Length
	calls *int
}

func (c counted) Scan(p []byte, seen int) (Span, error) {
	*c.calls++
	return c.Length.Scan(p, seen)
}

// TestScanIsAskedWhenItCanSayMore: a frame that comes byte by byte costs no Scan a byte.
func TestScanIsAskedWhenItCanSayMore(t *testing.T) {
	calls := 0
	c := counted{Length{Bytes: 4}, &calls}
	d := mustDecoder(t, c)
	messages := 0
	for _, piece := range cut(mustAppend(t, c, nil, make([]byte, 10_000)), func() int { return 1 }) {
		for range d.Feed(piece) {
			messages++
		}
	}
	// The first byte, the header, and the whole.
	if messages != 1 || calls > 4 {
		t.Errorf("%d messages by %d calls of Scan, want 1 by at most 4", messages, calls)
	}
}

// threefold is a codec whose frames are three words with a blank behind each. It counts the bytes that it looks at.
type threefold struct{ looked *int }

func (c threefold) Check() error                           { return nil }
func (c threefold) MaxMessage() int                        { return 1 << 20 }
func (c threefold) MaxFrame() int                          { return 1 << 20 }
func (c threefold) String() string                         { return "threefold" }
func (c threefold) Append(dst, msg []byte) ([]byte, error) { return append(dst, msg...), nil }

func (c threefold) Scan(p []byte, _ int) (Span, error) {
	var at State
	return c.Resume(p, &at)
}

func (c threefold) Resume(p []byte, at *State) (Span, error) {
	for ; at[0] < len(p) && at[1] < 3; at[0]++ {
		if *c.looked++; p[at[0]] == ' ' {
			at[1]++
		}
	}
	if at[1] < 3 {
		return Span{Size: len(p) + 1}, nil
	}
	return Span{End: at[0], Size: at[0]}, nil
}

// TestResumer: a frame that comes byte by byte is looked through once, also when its buffer grows and when it is kept
// behind another one; and each frame begins with a state that is zero.
func TestResumer(t *testing.T) {
	word := strings.Repeat("x", 3000) + " "
	frame := word + word + word
	stream := []byte(frame + frame + "a b c ")
	for _, way := range []string{"fed", "left"} {
		looked := 0
		d := mustDecoder(t, threefold{&looked})
		var got []string
		for i, piece := range cut(stream, func() int { return 1 }) {
			if way == "left" && i == 0 { // a whole frame, and more than a byte of the next
				piece = stream[:len(frame)+4000]
			} else if way == "left" && i < len(frame)+4000 {
				continue
			}
			for more := true; more; piece = nil {
				more = false
				for msg, err := range d.Feed(piece) {
					if err != nil {
						t.Fatal(err)
					}
					got, more = append(got, string(msg)), true
					break
				}
			}
		}
		if !slices.Equal(got, []string{frame, frame, "a b c "}) {
			t.Errorf("%s: got %d messages that differ from the three sent", way, len(got))
		}
		// The fast way scans by itself first, so what comes in one piece is looked at twice.
		if looked > 2*len(stream) {
			t.Errorf("%s: %d bytes were looked at, the stream has %d", way, looked, len(stream))
		}
	}
}

// TestNoAllocation: nothing is allocated in the steady state, with messages whole, split, large, and left.
func TestNoAllocation(t *testing.T) {
	if poolDrops() {
		t.Skip("the race detector drops pooled buffers at random")
	}
	count := func(name string, pass func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, pass); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	codecs := append(slices.Clone(benchCodecs), Delimited{Delim: strings.Repeat("0123456789", 7)},
		Length{Bytes: 4, Max: 100_000})
	for _, c := range codecs {
		stream := []byte(nil)
		for range 1000 {
			stream = mustAppend(t, c, stream, bytes.Repeat([]byte{'x'}, min(64, c.MaxMessage())))
		}
		d := mustDecoder(t, c)
		for _, size := range []int{len(stream), 1 << 12, 100, 7} {
			pieces := cut(stream, func() int { return size })
			count(c.String()+": Feed", func() {
				for _, p := range pieces {
					for _, err := range d.Feed(p) {
						if err != nil {
							t.Fatal(err)
						}
					}
				}
			})
			if size < 100 {
				continue
			}
			count(c.String()+": Feed, left", func() {
				for _, p := range pieces {
					for range d.Feed(p) {
						break
					}
					for range d.Feed(nil) {
					}
				}
			})
		}
		out := make([]byte, 0, 1000)
		msg := bytes.Repeat([]byte{'x'}, min(64, c.MaxMessage()))
		count(c.String()+": Append", func() {
			var err error
			if out, err = c.Append(out[:0], msg); err != nil {
				t.Fatal(err)
			}
		})
	}
	for _, c := range []Codec{Length{Bytes: 4, Max: 300_000}, Line{Max: 300_000}} {
		pieces := cut(mustAppend(t, c, nil, bytes.Repeat([]byte{'x'}, 300_000)), func() int { return 10_000 })
		d := mustDecoder(t, c)
		count(c.String()+": a large message", func() {
			for _, p := range pieces {
				for range d.Feed(p) {
				}
			}
		})
	}
}

// poolDrops tells whether sync.Pool drops what it is given, as it does at random under the race detector:
// allocations then mean nothing.
func poolDrops() bool {
	var p sync.Pool
	for range 100 {
		p.Put(new(int))
		if p.Get() == nil {
			return true
		}
	}
	return false
}
