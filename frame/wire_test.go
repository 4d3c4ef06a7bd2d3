package frame_test

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	. "github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/frame/frametest"
)

// wire is a stream and what comes out of it, byte for byte: the formats as others define them.
type wire struct {
	name     string
	codec    Codec
	stream   string
	messages []string
	err      error // the kind, or nil for a good end
	offset   int64 // of the error
	oneWay   bool  // Append of the messages gives another stream (what is stripped is not zero, or another form)
}

// The seven examples of the documentation of Netty's LengthFieldBasedFrameDecoder. Its "HELLO, WORLD" are 12 bytes.
var nettyWires = []wire{
	{name: "1: 2 bytes of length at offset 0, header kept",
		codec:  Length{Bytes: 2, Keep: true},
		stream: "\x00\x0cHELLO, WORLD", messages: []string{"\x00\x0cHELLO, WORLD"}},
	{name: "2: 2 bytes of length at offset 0, header stripped",
		codec:  Length{Bytes: 2},
		stream: "\x00\x0cHELLO, WORLD", messages: []string{"HELLO, WORLD"}},
	{name: "3: the length is that of the whole frame",
		codec:  Length{Bytes: 2, Adjust: -2, Keep: true},
		stream: "\x00\x0eHELLO, WORLD", messages: []string{"\x00\x0eHELLO, WORLD"}},
	{name: "3 again: written as Inclusive",
		codec:  Length{Bytes: 2, Inclusive: true, Keep: true},
		stream: "\x00\x0eHELLO, WORLD", messages: []string{"\x00\x0eHELLO, WORLD"}},
	{name: "4: 3 bytes of length at the end of a header of 5",
		codec:  Length{Bytes: 3, Offset: 2, Keep: true},
		stream: "\xca\xfe\x00\x00\x0cHELLO, WORLD", messages: []string{"\xca\xfe\x00\x00\x0cHELLO, WORLD"}},
	{name: "5: 3 bytes of length at the beginning of a header of 5",
		codec:  Length{Bytes: 3, Adjust: 2, Keep: true},
		stream: "\x00\x00\x0c\xca\xfeHELLO, WORLD", messages: []string{"\x00\x00\x0c\xca\xfeHELLO, WORLD"}},
	{name: "6: 2 bytes in the middle of a header of 4, the first header and the length stripped",
		codec:  Length{Bytes: 2, Offset: 1, Adjust: 1, Strip: 3},
		stream: "\xca\x00\x0c\xfeHELLO, WORLD", messages: []string{"\xfeHELLO, WORLD"}, oneWay: true},
	{name: "7: as 6, and the length is that of the whole frame",
		codec:  Length{Bytes: 2, Offset: 1, Adjust: -3, Strip: 3},
		stream: "\xca\x00\x10\xfeHELLO, WORLD", messages: []string{"\xfeHELLO, WORLD"}, oneWay: true},
}

var wires = []wire{
	// Twisted's Int8StringReceiver, Int16StringReceiver, Int32StringReceiver: struct formats "!B", "!H", "!I".
	{name: "Int8", codec: Length{Bytes: 1}, stream: "\x05hello\x00\x01x", messages: []string{"hello", "", "x"}},
	{name: "Int16", codec: Length{Bytes: 2}, stream: "\x00\x05hello\x00\x00\x00\x01x",
		messages: []string{"hello", "", "x"}},
	{name: "Int32", codec: Length{Bytes: 4}, stream: "\x00\x00\x00\x05hello\x00\x00\x00\x00",
		messages: []string{"hello", ""}},
	{name: "3 bytes", codec: Length{Bytes: 3}, stream: "\x00\x00\x05hello", messages: []string{"hello"}},
	{name: "8 bytes", codec: Length{Bytes: 8}, stream: "\x00\x00\x00\x00\x00\x00\x00\x05hello",
		messages: []string{"hello"}},
	{name: "2 bytes little", codec: Length{Bytes: 2, LittleEndian: true}, stream: "\x05\x00hello",
		messages: []string{"hello"}},
	{name: "3 bytes little", codec: Length{Bytes: 3, LittleEndian: true}, stream: "\x05\x00\x00hello",
		messages: []string{"hello"}},
	{name: "4 bytes little", codec: Length{Bytes: 4, LittleEndian: true}, stream: "\x05\x00\x00\x00hello",
		messages: []string{"hello"}},
	{name: "8 bytes little", codec: Length{Bytes: 8, LittleEndian: true}, stream: "\x05\x00\x00\x00\x00\x00\x00\x00hello",
		messages: []string{"hello"}},
	{name: "largest of 1 byte", codec: Length{Bytes: 1}, stream: "\xff" + strings.Repeat("x", 255),
		messages: []string{strings.Repeat("x", 255)}},
	{name: "inclusive, empty", codec: Length{Bytes: 4, Inclusive: true}, stream: "\x00\x00\x00\x04",
		messages: []string{""}},
	{name: "inclusive, impossible", codec: Length{Bytes: 4, Inclusive: true}, stream: "\x00\x00\x00\x04\x00\x00\x00\x03",
		messages: []string{""}, err: ErrMalformed, offset: 4},
	{name: "shorter than stripped", codec: Length{Bytes: 1, Strip: 3}, stream: "\x02ab\x01a", messages: []string{""},
		err: ErrMalformed, offset: 3, oneWay: true},
	{name: "length above the maximum", codec: Length{Bytes: 4, Max: 5}, stream: "\x00\x00\x00\x05hello\x00\x00\x00\x06",
		messages: []string{"hello"}, err: ErrTooLong, offset: 9},
	{name: "length of 8 bytes with its top bit set", codec: Length{Bytes: 8}, stream: "\xff\xff\xff\xff\xff\xff\xff\xff",
		err: ErrTooLong},
	{name: "length of 8 bytes, adjusted", codec: Length{Bytes: 8, Adjust: -8}, stream: "\xff\xff\xff\xff\xff\xff\xff\xff",
		err: ErrTooLong},
	{name: "half a header", codec: Length{Bytes: 4}, stream: "\x00\x00\x00", err: io.ErrUnexpectedEOF},
	{name: "maximum with the header kept", codec: Length{Bytes: 2, Keep: true, Max: 7}, stream: "\x00\x05hello\x00\x06",
		messages: []string{"\x00\x05hello"}, err: ErrTooLong, offset: 7},

	{name: "multiprocessing", codec: Multiprocessing{}, stream: "\x00\x00\x00\x05hello\x00\x00\x00\x00",
		messages: []string{"hello", ""}},
	{name: "multiprocessing, 8 bytes", codec: Multiprocessing{},
		stream: "\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x05hello", messages: []string{"hello"}, oneWay: true},
	{name: "multiprocessing, 8 bytes too long", codec: Multiprocessing{},
		stream: "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", err: ErrTooLong},
	{name: "multiprocessing, too long", codec: Multiprocessing{Max: 4}, stream: "\x00\x00\x00\x05", err: ErrTooLong},
	{name: "multiprocessing, -2", codec: Multiprocessing{}, stream: "\x00\x00\x00\x00\xff\xff\xff\xfe",
		messages: []string{""}, err: ErrMalformed, offset: 4},
	{name: "multiprocessing, the most negative", codec: Multiprocessing{}, stream: "\x80\x00\x00\x00", err: ErrMalformed},
	{name: "multiprocessing, half of 8 bytes", codec: Multiprocessing{}, stream: "\xff\xff\xff\xff\x00\x00",
		err: io.ErrUnexpectedEOF},

	{name: "varint", codec: Varint{}, stream: "\x05hello\x00\x80\x01" + strings.Repeat("x", 128),
		messages: []string{"hello", "", strings.Repeat("x", 128)}},
	{name: "varint, overlong zero", codec: Varint{}, stream: "\x80\x00", err: ErrMalformed},
	{name: "varint, overlong", codec: Varint{}, stream: "\x01x\x85\x80\x00hello", messages: []string{"x"},
		err: ErrMalformed, offset: 2},
	{name: "varint, too long", codec: Varint{Max: 127}, stream: "\x80\x01", err: ErrTooLong},
	{name: "varint, 64 bits", codec: Varint{}, stream: "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", err: ErrTooLong},
	{name: "varint, 65 bits", codec: Varint{}, stream: "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", err: ErrMalformed},
	{name: "varint, 11 bytes", codec: Varint{}, stream: "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", err: ErrMalformed},
	{name: "varint, unfinished", codec: Varint{}, stream: "\xff\xff\xff", err: io.ErrUnexpectedEOF},

	{name: "line", codec: Line{}, stream: "a\n\nbc\n", messages: []string{"a", "", "bc"}},
	{name: "line, of either kind", codec: Line{}, stream: "a\r\n\r\nb\n\rc\r\r\n",
		messages: []string{"a", "", "b", "\rc\r"}, oneWay: true},
	{name: "line, longest", codec: Line{Max: 3}, stream: "abc\nabc\r\nabcd\n", messages: []string{"abc", "abc"},
		err: ErrTooLong, offset: 9, oneWay: true},
	{name: "line, longest and a CR", codec: Line{Max: 3}, stream: "abc\rd\n", err: ErrTooLong},
	{name: "line, too long without an end", codec: Line{Max: 3}, stream: "abcd", err: ErrTooLong},
	{name: "line, longest without an end", codec: Line{Max: 3}, stream: "abc\r", err: io.ErrUnexpectedEOF},
	{name: "line, not ended", codec: Line{}, stream: "a\nb", messages: []string{"a"}, err: io.ErrUnexpectedEOF, offset: 2},
	{name: "crlf", codec: Line{CRLF: true}, stream: "a\r\n\r\nb\rc\r\r\n", messages: []string{"a", "", "b\rc\r"}},
	{name: "crlf, LF alone", codec: Line{CRLF: true}, stream: "a\r\nb\nc\r\n", messages: []string{"a"}, err: ErrMalformed,
		offset: 3},
	{name: "crlf, LF first", codec: Line{CRLF: true}, stream: "\n", err: ErrMalformed},
	{name: "crlf, longest", codec: Line{CRLF: true, Max: 3}, stream: "abc\r\nabcd\r\n", messages: []string{"abc"},
		err: ErrTooLong, offset: 5},

	{name: "delimited", codec: Delimited{Delim: "\r\n\r\n"}, stream: "a\r\nb\r\n\r\n\r\n\r\n",
		messages: []string{"a\r\nb", ""}},
	{name: "delimited by one byte", codec: Delimited{Delim: "\x00"}, stream: "a\x00\x00b\x00",
		messages: []string{"a", "", "b"}},
	{name: "delimited, begun and not ended", codec: Delimited{Delim: "aab"}, stream: "aaab", messages: []string{"a"}},
	{name: "delimited by many bytes, begun at an odd place", codec: Delimited{Delim: strings.Repeat("a", 40) + "b"},
		stream: strings.Repeat("a", 41) + "b", messages: []string{"a"}},
	{name: "delimited by many bytes, begun and cut off", codec: Delimited{Delim: strings.Repeat("a", 40) + "b"},
		stream: strings.Repeat("a", 40), err: io.ErrUnexpectedEOF},
	{name: "delimited, the first occurrence", codec: Delimited{Delim: "aa"}, stream: "aaaa", messages: []string{"", ""}},
	{name: "delimited, longest", codec: Delimited{Delim: "||", Max: 3}, stream: "abc||abcd||", messages: []string{"abc"},
		err: ErrTooLong, offset: 5},
	{name: "delimited, unfinished", codec: Delimited{Delim: "||", Max: 3}, stream: "abc|", err: io.ErrUnexpectedEOF},

	{name: "netstring", codec: Netstring{}, stream: "12:hello world!,0:,", messages: []string{"hello world!", ""}},
	{name: "netstring, leading zero", codec: Netstring{}, stream: "0:,05:hello,", messages: []string{""},
		err: ErrMalformed, offset: 3},
	{name: "netstring, no digits", codec: Netstring{}, stream: ":,", err: ErrMalformed},
	{name: "netstring, sign", codec: Netstring{}, stream: "-1:,", err: ErrMalformed},
	{name: "netstring, space", codec: Netstring{}, stream: "1 :a,", err: ErrMalformed},
	{name: "netstring, no comma", codec: Netstring{}, stream: "1:ab", err: ErrMalformed},
	{name: "netstring, too long", codec: Netstring{Max: 19}, stream: "1:a,20", messages: []string{"a"}, err: ErrTooLong,
		offset: 4},
	{name: "netstring, digits without end", codec: Netstring{}, stream: strings.Repeat("9", 100), err: ErrTooLong},
	{name: "netstring, unfinished", codec: Netstring{}, stream: "3:ab", err: io.ErrUnexpectedEOF},

	{name: "fixed", codec: Fixed{Size: 3}, stream: "abcdefg", messages: []string{"abc", "def"}, err: io.ErrUnexpectedEOF,
		offset: 6},
}

func TestNetty(t *testing.T) { testWires(t, nettyWires) }
func TestWire(t *testing.T)  { testWires(t, wires) }

func testWires(t *testing.T, rows []wire) {
	r := frametest.Rand(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if err := row.codec.Check(); err != nil {
				t.Fatal(err)
			}
			subject := subjectOf(row.codec)
			if row.oneWay {
				subject.Rewrites = true
				subject.Refuses = func([]byte, error) bool { return true }
			}
			got := frametest.Check(t, subject, []byte(row.stream), r.Uint64())
			want := frametest.Result{Err: got.Err}
			for _, msg := range row.messages {
				want.Messages = append(want.Messages, []byte(msg))
			}
			if !got.Equal(want) || !errors.Is(got.Err, row.err) || (got.Err == nil) != (row.err == nil) {
				t.Fatalf("stream %q:\ngot  %v\nwant %v, error %v", row.stream, got, want, row.err)
			}
			var e *Error
			if errors.As(got.Err, &e) && e.Offset != row.offset {
				t.Errorf("stream %q: error %v is at %d, want %d", row.stream, e, e.Offset, row.offset)
			}
			if row.oneWay {
				return
			}
			var out []byte
			for _, msg := range row.messages {
				var err error
				if out, err = row.codec.Append(out, []byte(msg)); err != nil {
					t.Fatalf("Append of %q: %v", msg, err)
				}
			}
			end := row.stream
			if e != nil {
				end = end[:row.offset]
			}
			if string(out) != end {
				t.Errorf("Append of %q: got %q, want %q", row.messages, out, end)
			}
		})
	}
}

// TestAppendRefuses: what would arrive as something else is not sent.
func TestAppendRefuses(t *testing.T) {
	for _, row := range []struct {
		name   string
		codec  Codec
		msg    string
		kind   error
		reason string
	}{
		{"line with LF", Line{}, "a\nb", ErrMalformed, "contains an LF, 1 bytes"},
		{"line that ends with CR", Line{}, "a\r", ErrMalformed, "ends with a CR"},
		{"crlf line with LF", Line{CRLF: true}, "ab\n", ErrMalformed, "contains an LF, 2 bytes"},
		{"delimiter inside", Delimited{Delim: "||"}, "a||b", ErrMalformed, "1 bytes into the message"},
		{"delimiter across the end", Delimited{Delim: "aa"}, "ba", ErrMalformed, "1 bytes into the message"},
		{"fixed, shorter", Fixed{Size: 3}, "ab", ErrMalformed, "it must have 3"},
		{"fixed, longer", Fixed{Size: 3}, "abcd", ErrTooLong, "3 are allowed"},
		{"kept header missing", Length{Bytes: 4, Keep: true}, "abc", ErrMalformed,
			"the shortest that can be announced has 4"},
		{"kept header missing, inclusive", Length{Bytes: 4, Inclusive: true, Keep: true}, "abc", ErrMalformed,
			"the shortest that can be announced has 4"},
		{"shorter than the adjustment", Length{Bytes: 4, Adjust: 2}, "a", ErrMalformed,
			"the shortest that can be announced has 2"},
		{"more than the field can say", Length{Bytes: 1}, strings.Repeat("x", 256), ErrTooLong, "255 are allowed"},
		{"more than the inclusive field can say", Length{Bytes: 1, Inclusive: true}, strings.Repeat("x", 255), ErrTooLong,
			"254 are allowed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			out, err := row.codec.Append([]byte("before"), []byte(row.msg))
			if !errors.Is(err, row.kind) || !strings.Contains(err.Error(), row.reason) || string(out) != "before" {
				t.Errorf("%s: Append(%q): got %q, error %v; want %v with %q", row.codec, row.msg, out, err, row.kind, row.reason)
			}
		})
	}
}

// TestCheck: wrong fields are refused by everything that makes something of a codec, with what is wrong.
func TestCheck(t *testing.T) {
	for _, row := range []struct {
		name   string
		codec  Codec
		reason string
	}{
		{"no width", Length{}, "Bytes is 0"},
		{"odd width", Length{Bytes: 5}, "Bytes is 5"},
		{"wide", Length{Bytes: 16}, "Bytes is 16"},
		{"negative width", Length{Bytes: -1}, "Bytes is -1"},
		{"negative offset", Length{Bytes: 4, Offset: -1}, "Offset is -1"},
		{"large offset", Length{Bytes: 4, Offset: 1 << 20}, "Offset is 1048576"},
		{"large adjustment", Length{Bytes: 4, Adjust: 1 << 30}, "Adjust is 1073741824"},
		{"impossible adjustment", Length{Bytes: 1, Adjust: -256}, "no length that 1 bytes can say"},
		{"negative strip", Length{Bytes: 4, Strip: -1}, "Strip is -1"},
		{"large strip", Length{Bytes: 4, Strip: 1 << 20}, "Strip is 1048576"},
		{"keep and strip", Length{Bytes: 4, Keep: true, Strip: 2}, "set one of them"},
		{"negative maximum", Length{Bytes: 4, Max: -1}, "Max is -1"},
		{"maximum not expressible", Length{Bytes: 2, Max: 65536}, "no message is longer than 65535"},
		{"maximum not expressible with an adjustment", Length{Bytes: 1, Adjust: -10, Max: 246},
			"no message is longer than 245"},
		{"maximum below the kept header", Length{Bytes: 4, Keep: true, Max: 3}, "the shortest message has 4"},
		{"maximum below the adjustment", Length{Bytes: 4, Adjust: 10, Max: 9}, "the shortest message has 10"},
		{"enormous maximum", Length{Bytes: 8, Max: math.MaxInt}, "this system allows at most"},
		{"multiprocessing", Multiprocessing{Max: -2}, "Multiprocessing: Max is -2"},
		{"varint", Varint{Max: -2}, "Varint: Max is -2"},
		{"line", Line{Max: -2}, "Line: Max is -2"},
		{"netstring", Netstring{Max: math.MaxInt}, "Netstring: Max is"},
		{"delimited", Delimited{Delim: "x", Max: -2}, "Delimited: Max is -2"},
		{"no delimiter", Delimited{}, "Delim has 0 bytes"},
		{"long delimiter", Delimited{Delim: strings.Repeat("x", 256)}, "Delim has 256 bytes"},
		{"fixed, no size", Fixed{}, "Size is 0"},
		{"fixed, negative", Fixed{Size: -3}, "Size is -3"},
		{"none", nil, "nil"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err1 := NewDecoder(row.codec)
			_, err2 := NewReader(strings.NewReader(""), row.codec)
			_, err3 := NewWriter(io.Discard, row.codec)
			for _, err := range []error{err1, err2, err3} {
				if err == nil || !strings.Contains(err.Error(), row.reason) {
					t.Errorf("%#v: got error %v, want one with %q", row.codec, err, row.reason)
				}
			}
		})
	}
}

// TestLimits: what MaxMessage and MaxFrame say is what can be sent.
func TestLimits(t *testing.T) {
	for _, row := range []struct {
		name           string
		codec          Codec
		message, frame int
	}{
		{"default", Length{Bytes: 4}, 1 << 20, 1<<20 + 4},
		{"set", Length{Bytes: 4, Max: 100}, 100, 104},
		{"by the field", Length{Bytes: 1}, 255, 256},
		{"by the field, inclusive", Length{Bytes: 2, Inclusive: true}, 65533, 65535},
		{"by the field, adjusted", Length{Bytes: 1, Adjust: 10}, 265, 266},
		{"kept", Length{Bytes: 1, Keep: true}, 256, 256},
		{"stripped", Length{Bytes: 1, Offset: 3, Strip: 10}, 249, 259},
		{"line", Line{Max: 80}, 80, 82},
		{"netstring", Netstring{Max: 100}, 100, 105},
		{"delimited", Delimited{Delim: "xyz"}, 1 << 20, 1<<20 + 3},
		{"fixed", Fixed{Size: 7}, 7, 7},
	} {
		if m, f := row.codec.MaxMessage(), row.codec.MaxFrame(); m != row.message || f != row.frame {
			t.Errorf("%s: %#v: got %d and %d, want %d and %d", row.name, row.codec, m, f, row.message, row.frame)
		}
	}
}
