package websocket

import (
	"bytes"
	"compress/flate"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// kept is the compression of a connection that keeps both windows.
var kept = &Compression{SendWindow: true, ReceiveWindow: true, SendBits: mostBits, ReceiveBits: mostBits}

// TestDeflateExamples are those of RFC 7692, section 7.2.3.
func TestDeflateExamples(t *testing.T) {
	hello := "\xf2\x48\xcd\xc9\xc9\x07\x00"
	for _, c := range []struct {
		name string
		in   string // frames
		want []string
	}{
		{"7.2.3.1 one block", "\xc1\x07" + hello, []string{"Hello"}},
		{"7.2.3.1 in fragments", "\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", []string{"Hello"}},
		{"7.2.3.2 without the window", "\xc1\x07" + hello + "\xc1\x07" + hello, []string{"Hello", "Hello"}},
		{"7.2.3.2 with it", "\xc1\x07" + hello + "\xc1\x05\xf2\x00\x11\x00\x00", []string{"Hello", "Hello"}},
		{"7.2.3.3 no compression", "\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", []string{"Hello"}},
		{"7.2.3.4 a last block", "\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00", []string{"Hello"}},
		{"7.2.3.5 two blocks", "\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", []string{"Hello"}},
		{"7.2.3.6 an empty message", "\xc1\x01\x00", []string{""}},
		{"7.2.3.6 and one behind", "\xc1\x01\x00\xc1\x07" + hello, []string{"", "Hello"}},
		{"not compressed", "\x81\x05Hello\xc1\x07" + hello, []string{"Hello", "Hello"}},
		{"a last block, and one that refers to it", "\xc1\x0c\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00",
			[]string{"HelloHello"}},
		{"a last block, and the window", "\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00\xc1\x05\xf2\x00\x11\x00\x00",
			[]string{"Hello", "Hello"}},
	} {
		for piece := 1; piece <= len(c.in); piece++ {
			got, err := whole(NewAssembler(Client, kept, Limits{}), []byte(c.in), piece)
			if err != nil || strings.Join(got, "|") != strings.Join(c.want, "|") {
				t.Errorf("%s, in pieces of %d: %q, %v, want %q", c.name, piece, got, err, c.want)
			}
		}
	}
	d := newDeflater(9, kept)
	var frames []string
	for range 2 {
		frames = append(frames, string(d.append(nil, []byte("Hello"), true)))
	}
	if frames[0] != hello || len(frames[1]) >= len(hello) {
		t.Errorf("two Hellos are %q: the second is shorter with the window of the first", frames)
	}
}

// whole are the messages that a says of in, which comes in pieces.
func whole(a *Assembler, in []byte, piece int) (messages []string, err error) {
	for len(in) > 0 {
		b := bytes.Clone(in[:min(piece, len(in))])
		in = in[len(b):]
		for len(b) > 0 {
			n, e, err := a.Next(b)
			if err != nil {
				return messages, err
			}
			b = b[n:]
			if e.Kind == Data {
				messages = append(messages, string(e.Payload))
			}
		}
	}
	return messages, nil
}

// compressed is a message's frame as a client reads it.
func compressed(payload []byte) []byte {
	return AppendFrame(nil, Header{Final: true, Compressed: true, Op: Text}, payload)
}

// TestInflateRefuses has what may not be taken.
func TestInflateRefuses(t *testing.T) {
	squeeze := func(msg string) []byte { return newDeflater(9, kept).append(nil, []byte(msg), true) }
	for _, c := range []struct {
		name    string
		payload []byte
		err     error
	}{
		{"noise", []byte("\xff\xff\xff\xff"), ErrInflate},
		{"nothing", nil, ErrInflate},
		{"a distance before the beginning", []byte("\xf2\x00\x11\x00\x00"), ErrInflate},
		{"cut", []byte("\xf2\x48\xcd"), ErrInflate},
		{"one byte over the limit", squeeze(strings.Repeat("a", 1001)), ErrInflated},
		{"a bomb", squeeze(strings.Repeat("a", 1<<20)), ErrInflated},
		{"no UTF-8", squeeze("\xff"), ErrText},
		{"a character that is cut", squeeze("a\xc3"), ErrText},
		{"last blocks without end", append(bytes.Repeat([]byte("\x03\x00"), mostFinals+1), 0), ErrInflate},
	} {
		in := compressed(c.payload)
		for _, piece := range []int{1, 3, len(in)} {
			a := NewAssembler(Client, kept, Limits{Inflated: 1000})
			if got, err := whole(a, in, piece); err != c.err {
				t.Errorf("%s, in pieces of %d: %q, %v, want %v", c.name, piece, got, err, c.err)
			}
			if _, e, err := a.Next([]byte("\x81\x00")); err != c.err || e.Kind != None {
				t.Errorf("%s: then %v, %v: an error stays", c.name, e.Kind, err)
			}
		}
	}
	just := strings.Repeat("a", 1000)
	if got, err := whole(NewAssembler(Client, kept, Limits{Inflated: 1000}), compressed(squeeze(just)), 7); err != nil ||
		len(got) != 1 || got[0] != just {
		t.Errorf("just as much as is allowed: %v", err)
	}
	finals := append(bytes.Repeat([]byte("\x03\x00"), mostFinals), 0)
	if got, err := whole(NewAssembler(Client, kept, Limits{}), compressed(finals), 5); err != nil || len(got) != 1 {
		t.Errorf("just as many last blocks: %q, %v", got, err)
	}
}

// TestRSV1 is RFC 7692, section 6.
func TestRSV1(t *testing.T) {
	for _, c := range []struct {
		name, in string
		deflate  bool
		err      error
	}{
		{"nothing agreed on", "\xc1\x07", false, ErrReservedBit},
		{"a ping", "\xc9\x00", true, ErrReservedBit},
		{"a close", "\xc8\x00", true, ErrReservedBit},
		{"a continuation", "\x41\x00\xc0\x00", true, ErrReservedBit},
		{"a continuation of what is not compressed", "\x01\x00\xc0\x00", true, ErrReservedBit},
		{"RSV2 beside it", "\xe1\x00", true, ErrReservedBit},
		{"a message", "\xc1\x01\x00", true, nil},
	} {
		p := &Parser{Side: Client, Deflate: c.deflate, Limits: limits}
		if got, want := tell(p, c.in, 1), ""; c.err != nil {
			if want = refused(c.err); got != want {
				t.Errorf("%s: %q, want %q", c.name, got, want)
			}
		} else if strings.HasPrefix(got, "error") {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// messages are of many kinds: repetitive, JSON-like, random, empty.
func messages(r *rand.Rand, n int) (all [][]byte) {
	words := strings.Fields("the quick brown fox { } : , \"name\" \"value\" 1 22 333 4444 é ü 日本")
	for i := range n {
		var b []byte
		for size := r.IntN(1 << r.IntN(16)); len(b) < size; {
			switch i % 3 {
			case 0:
				b = append(append(b, words[r.IntN(len(words))]...), ' ')
			case 1:
				b = append(b, "0123456789abcdef"...)
			default:
				b = append(b, byte('a'+r.IntN(26)))
			}
		}
		all = append(all, b)
	}
	return all
}

// TestTakeover sends messages over each agreement, whole and in pieces, some of them not compressed: Autobahn's
// categories 12 and 13.
func TestTakeover(t *testing.T) {
	const seed = 7
	for _, keep := range []bool{false, true} {
		for _, bits := range []int{8, 9, 11, 15} {
			for _, level := range []int{1, 9}[:1+bits/mostBits] {
				name := fmt.Sprintf("keep=%v bits=%d level=%d seed=%d", keep, bits, level, seed)
				c := &Compression{SendWindow: keep, ReceiveWindow: keep, SendBits: bits, ReceiveBits: bits}
				d, a := newDeflater(level, c), NewAssembler(Server, c, Limits{})
				r := rand.New(rand.NewPCG(seed, uint64(bits)))
				for i, msg := range messages(r, 30) {
					h := Header{Final: true, Compressed: i%5 != 4, Op: Text, Masked: true, Key: key}
					payload := msg
					if h.Compressed {
						payload = nil
						for rest := msg; ; {
							n := min(len(rest), 1+r.IntN(5000))
							payload = d.append(payload, rest[:n], n == len(rest))
							if rest = rest[n:]; len(rest) == 0 {
								break
							}
						}
					}
					got, err := whole(a, AppendFrame(nil, h, payload), 1+r.IntN(2000))
					if err != nil || len(got) != 1 || got[0] != string(msg) {
						t.Fatalf("%s: message %d of %d bytes: %d messages, %v", name, i, len(msg), len(got), err)
					}
				}
				if w := len(a.z.window); !keep && w > 0 || w > 1<<bits {
					t.Errorf("%s: %d bytes of a window are kept", name, w)
				}
			}
		}
	}
}

// TestWindowBits holds that nothing is referred to that lies further back than was agreed on: what does not repeat
// within the window is not shortened.
func TestWindowBits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for bits := leastBits; bits < mostBits; bits++ {
		block := make([]byte, 1<<bits)
		for i := range block {
			block[i] = byte(r.Uint32())
		}
		d := newDeflater(9, &Compression{SendWindow: true, SendBits: bits})
		for range 2 {
			got := d.append(nil, append(bytes.Clone(block), block...), true)
			if len(got) < 2*len(block) {
				t.Errorf("%d bits: twice %d random bytes became %d", bits, len(block), len(got))
			}
		}
	}
}

// TestCompressorsAreBounded holds it for the pools.
func TestCompressorsAreBounded(t *testing.T) {
	var all []*deflater
	for range idleWriters + 3 {
		d := newDeflater(2, &Compression{SendBits: mostBits})
		d.append(nil, []byte("x"), false)
		all = append(all, d)
	}
	for _, d := range all {
		d.append(nil, nil, true)
		if d.w != nil {
			t.Fatal("a compressor is held between messages")
		}
	}
	if n := len(compressors[2]); n != idleWriters {
		t.Errorf("%d compressors wait, want %d", n, idleWriters)
	}
	for range idleWriters {
		compressors[2].get()
	}
}

// FuzzInflate holds that what flate makes of a message is what an inflater makes of it, over any cut, and the limit.
func FuzzInflate(f *testing.F) {
	f.Add([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), uint8(3))
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), uint8(1))
	f.Add(newDeflater(1, kept).append(nil, bytes.Repeat([]byte("abc"), 3000), true), uint8(100))
	f.Fuzz(func(t *testing.T, payload []byte, piece uint8) {
		const limit = 5000
		in := AppendFrame(nil, Header{Final: true, Compressed: true, Op: Binary}, payload)
		got, err := whole(NewAssembler(Client, kept, Limits{Inflated: limit}), in, int(piece)+1)
		again, err2 := whole(NewAssembler(Client, kept, Limits{Inflated: limit}), in, len(in))
		if err != err2 || strings.Join(got, "") != strings.Join(again, "") {
			t.Fatalf("in pieces: %q, %v; at once: %q, %v", got, err, again, err2)
		}
		var want bytes.Buffer
		r := bytes.NewReader(append(bytes.Clone(payload), inflateTail...))
		if _, e := want.ReadFrom(flate.NewReader(r)); e == nil && r.Len() == 0 && want.Len() <= limit {
			if err != nil || len(got) != 1 || got[0] != want.String() {
				t.Fatalf("%q, %v, want %q", got, err, want.Bytes())
			}
		}
	})
}
