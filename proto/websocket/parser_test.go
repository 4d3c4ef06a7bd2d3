package websocket

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"
)

// limits are those of the tests.
var limits = Limits{}.WithDefaults()

// key is the mask of the tests; RFC 6455, section 5.7 has it.
var key = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// frame is a frame as side has to read it. bits are FIN (0x80), RSV1 (0x40), RSV2 (0x20), RSV3 (0x10) and the opcode.
func frame(side Side, bits byte, payload string) string {
	h := Header{Op: Opcode(bits & 15), Masked: side == Server, Key: key}
	b := AppendFrame(nil, h, []byte(payload))
	b[0] = bits
	return string(b)
}

// tell is what a parser says of in that comes in pieces of a size, a line for each message, control frame and error.
// Pieces of a message are put together.
func tell(p *Parser, in string, piece int) string {
	var out strings.Builder
	var msg []byte
	for len(in) > 0 {
		b := []byte(in[:min(piece, len(in))])
		in = in[len(b):]
		for len(b) > 0 {
			n, e, err := p.Next(b)
			if err != nil {
				fmt.Fprintf(&out, "error %v\n", err)
				return out.String()
			}
			b = b[n:]
			switch e.Kind {
			case Data:
				if e.First {
					msg = msg[:0]
				}
				msg = append(msg, e.Payload...)
				if e.Last {
					fmt.Fprintf(&out, "%d compressed=%v %s\n", e.Op, e.Compressed, brief(msg))
				}
			case Ping:
				fmt.Fprintf(&out, "ping %q\n", e.Payload)
			case Pong:
				fmt.Fprintf(&out, "pong %q\n", e.Payload)
			case Close:
				fmt.Fprintf(&out, "close %d %q\n", e.Code, e.Payload)
			case None:
				if len(b) > 0 {
					return "bytes are left over behind None"
				}
			}
		}
	}
	return out.String()
}

// brief is a message as a line of a transcript.
func brief(b []byte) string {
	if len(b) > 64 {
		return fmt.Sprintf("%d bytes %x", len(b), crc32.ChecksumIEEE(b))
	}
	return fmt.Sprintf("%q", b)
}

// pieces are the sizes of pieces that every case is tried with.
func pieces(n int) []int {
	if n > 20_000 {
		return []int{n, 4096}
	}
	return []int{n, 1, 2, 3, 7, 64}
}

// TestParser runs each case from both sides and over several cuts.
func TestParser(t *testing.T) {
	for _, c := range framingCases() {
		for side, name := range []string{"server", "client"} {
			in := c.in(Side(side))
			if len(in) > 100_000 && Side(side) == Client {
				continue // once is enough
			}
			for _, piece := range pieces(len(in)) {
				p := &Parser{Side: Side(side), Limits: limits}
				if got := tell(p, in, max(piece, 1)); got != c.want {
					t.Fatalf("%s, read by a %s in pieces of %d: got\n%swant\n%s", c.name, name, piece, got, c.want)
				}
			}
		}
	}
}

// TestExamples are those of RFC 6455, section 5.7.
func TestExamples(t *testing.T) {
	long := strings.Repeat("a", 256)
	longer := strings.Repeat("b", 65536)
	for _, c := range []struct {
		name string
		side Side
		in   string
		want string
	}{
		{"a text in one frame", Client, "\x81\x05Hello", "1 compressed=false \"Hello\"\n"},
		{"masked", Server, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "1 compressed=false \"Hello\"\n"},
		{"fragments", Client, "\x01\x03Hel\x80\x02lo", "1 compressed=false \"Hello\"\n"},
		{"ping", Client, "\x89\x05Hello", "ping \"Hello\"\n"},
		{"pong, masked", Server, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "pong \"Hello\"\n"},
		{"256 bytes", Client, "\x82\x7e\x01\x00" + long, "2 compressed=false " + brief([]byte(long)) + "\n"},
		{"64 KiB", Client, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + longer,
			"2 compressed=false " + brief([]byte(longer)) + "\n"},
	} {
		if got := tell(&Parser{Side: c.side, Limits: limits}, c.in, len(c.in)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// TestRefusedEarly holds that what is wrong is seen at its byte, with nothing behind it.
func TestRefusedEarly(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string
		at   int // the byte that is wrong, from 1
		err  error
	}{
		{"an opcode", "\x83", 1, ErrOpcode},
		{"a control opcode", "\x8b", 1, ErrOpcode},
		{"RSV1", "\xc1", 1, ErrReservedBit},
		{"RSV2", "\xa1", 1, ErrReservedBit},
		{"RSV3", "\x91", 1, ErrReservedBit},
		{"RSV1 of a ping", "\xc9", 1, ErrReservedBit},
		{"a fragmented ping", "\x09", 1, ErrControlSplit},
		{"a continuation of nothing", "\x80", 1, ErrNotBegun},
		{"a message within one", "\x01\x00\x81", 3, ErrNotEnded},
		{"a masked frame", "\x81\x80", 2, ErrMasked},
		{"a long ping", "\x89\x7e", 2, ErrControlLong},
		{"a length of 125 in two bytes", "\x82\x7e\x00\x7d", 4, ErrLength},
		{"a length of 65535 in eight", "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", 10, ErrLength},
		{"the highest bit of a length", "\x82\x7f\x80\x00\x00\x00\x00\x01\x00\x00", 10, ErrLength},
		{"a message over the limit", "\x82\x7f\x00\x00\x00\x00\x00\x10\x00\x01", 10, ErrTooBig},
		{"a byte that no text has", "\x81\x7dab\xffcd", 5, ErrText},
		{"a surrogate, at its second byte", "\x81\x7d\xed\xa0", 4, ErrText},
		{"above U+10FFFF, at the second byte", "\x81\x7d\xf4\x90", 4, ErrText},
		{"longer than needed, at the first byte", "\x81\x7d\xc0", 3, ErrText},
		{"a text that ends within a character", "\x81\x01\xc3", 3, ErrText},
		{"a character cut by fragments, and wrong", "\x01\x01\xc3\x80\x05a", 6, ErrText},
		{"a close of one byte", "\x88\x01\x03", 3, ErrCloseShort},
		{"a close code", "\x88\x02\x03\xed", 4, ErrCloseCode},
		{"a reason", "\x88\x03\x03\xe8\xff", 5, ErrCloseReason},
	} {
		p := &Parser{Side: Client, Limits: limits}
		for i := range len(c.in) {
			_, _, err := p.Next([]byte{c.in[i]})
			if at := i + 1; err != c.err && at == c.at || err != nil && at < c.at {
				t.Errorf("%s: after %d bytes: %v, want %v after %d", c.name, at, err, c.err, c.at)
			}
		}
		if n, e, err := p.Next([]byte("\x81\x00")); n != 2 || e.Kind != None || err != c.err {
			t.Errorf("%s: then Next = %d, %v, %v: an error stays", c.name, n, e.Kind, err)
		}
	}
}

// TestBehindClose holds that nothing is taken that follows a close frame.
func TestBehindClose(t *testing.T) {
	in := "\x88\x02\x03\xe8" + "\x81\x02hi" + "\xff\xff\xff"
	if got, want := tell(&Parser{Side: Client, Limits: limits}, in, 1), "close 1000 \"\"\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFrameLimit(t *testing.T) {
	p := &Parser{Side: Client, Limits: Limits{Frames: 3}.WithDefaults()}
	in := "\x01\x00\x00\x00\x00\x00\x80\x00"
	if got, want := tell(p, in, len(in)), "error "+ErrFrames.Error()+"\n"; got != want {
		t.Errorf("four frames: got %s, want %s", got, want)
	}
}

// TestMessageLimit holds that the limit is of a message, not of its frames, and that just as much is taken.
func TestMessageLimit(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"\x01\x02ab\x80\x02cd\x81\x04abcd", "1 compressed=false \"abcd\"\n1 compressed=false \"abcd\"\n"},
		{"\x01\x02ab\x80\x03cde", "error " + ErrTooBig.Error() + "\n"},
		{"\x81\x05abcde", "error " + ErrTooBig.Error() + "\n"},
		{"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", "error " + ErrTooBig.Error() + "\n"},
		{"\x01\x02ab\x80\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", "error " + ErrTooBig.Error() + "\n"},
	} {
		p := &Parser{Side: Client, Limits: Limits{Message: 4}.WithDefaults()}
		if got := tell(p, c.in, 1); got != c.want {
			t.Errorf("%q: got %s, want %s", c.in, got, c.want)
		}
	}
}

// TestLeft holds that payload may be read to where it is wanted, and that an idle parser says so.
func TestLeft(t *testing.T) {
	p := &Parser{Limits: limits}
	in := []byte(frame(Server, 0x82, "0123456789"))
	if n, e, err := p.Next(in[:8]); n != 8 || e.Kind != Data || err != nil || p.Left() != 8 || p.Idle() {
		t.Fatalf("Next = %d, %v, %v, Left = %d, Idle = %v", n, e.Kind, err, p.Left(), p.Idle())
	}
	place := in[8:]
	n, e, err := p.Next(place)
	if n != 8 || err != nil || !e.Last || string(place) != "23456789" || &e.Payload[0] != &place[0] {
		t.Fatalf("Next = %d, %q, %v", n, e.Payload, err)
	}
	if p.Left() != 0 || !p.Idle() {
		t.Errorf("Left = %d, Idle = %v behind the message", p.Left(), p.Idle())
	}
}

// TestControlBetween holds that control frames come through in the midst of a message, at once.
func TestControlBetween(t *testing.T) {
	in := "\x01\x01a\x89\x01b\x00\x01c\x8a\x00\x80\x01d"
	want := "ping \"b\"\npong \"\"\n1 compressed=false \"acd\"\n"
	for piece := 1; piece <= len(in); piece++ {
		if got := tell(&Parser{Side: Client, Limits: limits}, in, piece); got != want {
			t.Errorf("pieces of %d: got %s", piece, got)
		}
	}
}

// TestMask compares with a byte at a time, from every phase and for every alignment.
func TestMask(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		b := make([]byte, n+8)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		for pos := range int64(5) {
			for shift := range 8 {
				got, want := bytes.Clone(b[shift:shift+n]), bytes.Clone(b[shift:shift+n])
				Mask(got, key, pos)
				for i := range want {
					want[i] ^= key[(int64(i)+pos)%4]
				}
				if !bytes.Equal(got, want) {
					t.Fatalf("%d bytes from %d: wrong", n, pos)
				}
			}
		}
	}
}

// TestSmallMessagesAllocateNothing holds it for messages and whole control frames, and for headers that come in
// pieces.
func TestSmallMessagesAllocateNothing(t *testing.T) {
	p := &Parser{Limits: limits}
	in := []byte(frame(Server, 0x81, "hello") + frame(Server, 0x89, "ping") +
		frame(Server, 0x82, strings.Repeat("x", 300)))
	b := make([]byte, len(in))
	out := make([]byte, 0, 1024)
	got := testing.AllocsPerRun(100, func() {
		copy(b, in)
		for rest := b; len(rest) > 0; {
			n, _, err := p.Next(rest[:min(3, len(rest))])
			if p.state == inControl { // a ping that is cut is put together elsewhere, so it gets its rest
				n2, _, err2 := p.Next(rest[n:])
				n, err = n+n2, err2
			}
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		out = AppendFrame(out[:0], Header{Final: true, Op: Text, Masked: true, Key: key}, in)
		out = AppendClose(out, Normal, "bye", &key)
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestAppendClose(t *testing.T) {
	for _, c := range []struct {
		code   Code
		reason string
		want   string
	}{
		{Normal, "bye", "\x88\x05\x03\xe8bye"},
		{NoCode, "bye", "\x88\x00"},
		{Abnormal, "", "\x88\x00"},
		{BadTLS, "", "\x88\x00"},
		{0, "", "\x88\x00"},
		{Normal, strings.Repeat("a", 200), "\x88\x7d\x03\xe8" + strings.Repeat("a", 123)},
		{Normal, strings.Repeat("a", 122) + "é", "\x88\x7c\x03\xe8" + strings.Repeat("a", 122)},
		{Normal, "a\xffb", "\x88\x03\x03\xe8a"},
	} {
		if got := string(AppendClose(nil, c.code, c.reason, nil)); got != c.want {
			t.Errorf("AppendClose(%d, %q) = %q, want %q", c.code, c.reason, got, c.want)
		}
	}
	if got := AppendControl(nil, PingFrame, make([]byte, 200), nil); len(got) != 2+MaxControl {
		t.Errorf("a ping of 200 bytes is a frame of %d", len(got))
	}
}

// TestUnmasked holds that a server refuses frames without a mask, of all kinds, at their second byte.
func TestUnmasked(t *testing.T) {
	for _, first := range []byte{0x81, 0x82, 0x01, 0x88, 0x89, 0x8a} {
		p := &Parser{Side: Server, Limits: limits}
		if got, want := tell(p, string([]byte{first, 0}), 1), refused(ErrUnmasked); got != want {
			t.Errorf("first byte %#x: %s", first, got)
		}
	}
}
