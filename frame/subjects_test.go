package frame

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// A subject is a codec that the suite is run on, and how to make messages for it.
type subject struct {
	name  string
	codec Codec
	// message makes a valid message of n bytes, or of the nearest length there is.
	message func(r *rand.Rand, n int) []byte
}

func subjects() []subject {
	var all []subject
	add := func(name string, c Codec, message func(r *rand.Rand, n int) []byte) {
		all = append(all, subject{name, c, message})
	}
	for _, width := range []int{1, 2, 3, 4, 8} {
		for _, little := range []bool{false, true} {
			for _, inclusive := range []bool{false, true} {
				c := Length{Bytes: width, LittleEndian: little, Inclusive: inclusive, Max: 200}
				add(c.String(), c, anyBytes)
			}
		}
	}
	for _, c := range []Length{
		{Bytes: 2, Offset: 3, Max: 100},
		{Bytes: 2, Offset: 3, Keep: true, Max: 100},
		{Bytes: 1, Offset: 2, Adjust: -2, Strip: 1, Max: 90},
		{Bytes: 4, Adjust: 5, Max: 90},
		{Bytes: 4, Adjust: 5, Strip: 7, Max: 90},
		{Bytes: 4, Offset: 1, Adjust: -5, Strip: 20, Max: 1000},
		{Bytes: 3, Offset: 70, LittleEndian: true, Inclusive: true, Keep: true, Adjust: 3, Max: 1 << 12},
		{Bytes: 4},
	} {
		add(c.String(), c, func(r *rand.Rand, n int) []byte {
			n = max(n, c.least()-c.strip())
			msg := anyBytes(r, n)
			if c.Keep || c.Strip > 0 && c.Strip < c.head() { // the message has (a part of) the length in it
				frame := append(make([]byte, c.strip()), msg...)
				writeField(frame[c.Offset:c.head()], uint64(len(frame)-c.extra()), c.LittleEndian)
				msg = frame[c.strip():]
			}
			return msg
		})
	}
	add("multiprocessing", Multiprocessing{Max: 300}, anyBytes)
	add("varint", Varint{Max: 300}, anyBytes)
	add("varint small", Varint{Max: 3}, anyBytes)
	add("varint default", Varint{}, anyBytes)
	add("line", Line{Max: 80}, func(r *rand.Rand, n int) []byte {
		b := without(r, n, '\n')
		if n > 0 && b[n-1] == '\r' {
			b[n-1] = 'x'
		}
		return b
	})
	add("crlf", Line{CRLF: true, Max: 80}, func(r *rand.Rand, n int) []byte { return without(r, n, '\n') })
	add("line default", Line{}, func(r *rand.Rand, n int) []byte { return bytes.Repeat([]byte{'x'}, n) })
	add("netstring", Netstring{Max: 120}, anyBytes)
	add("netstring small", Netstring{Max: 1}, anyBytes)
	for _, delim := range []string{"\x00", "\r\n\r\n", "abcabd", string(bytes.Repeat([]byte("0123456789abcdef"), 5))} {
		add(fmt.Sprintf("delim %d", len(delim)), Delimited{Delim: delim, Max: 100}, func(r *rand.Rand, n int) []byte {
			// Any byte of the delimiter but its last, so that it is begun everywhere and never ended.
			b := make([]byte, n)
			for i := range b {
				if b[i] = delim[r.IntN(len(delim))]; b[i] == delim[len(delim)-1] {
					b[i] = '!'
				}
			}
			return b
		})
	}
	add("pair", Pair{In: Length{Bytes: 2, Max: 200}, Out: Length{Bytes: 2, Max: 200}}, anyBytes)
	add("pair of lines", Pair{In: Line{Max: 90}, Out: Line{CRLF: true, Max: 90}}, func(r *rand.Rand, n int) []byte {
		return bytes.Repeat([]byte{'x'}, n)
	})
	add("fixed 1", Fixed{Size: 1}, func(r *rand.Rand, _ int) []byte { return anyBytes(r, 1) })
	add("fixed 16", Fixed{Size: 16}, func(r *rand.Rand, _ int) []byte { return anyBytes(r, 16) })
	return all
}

func anyBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		if b[i] = byte(r.Uint32()); r.IntN(3) == 0 {
			b[i] = "\r\n,:0\x00\xff"[r.IntN(7)] // what means something to one codec or another
		}
	}
	return b
}

func without(r *rand.Rand, n int, not byte) []byte {
	b := anyBytes(r, n)
	for i := range b {
		if b[i] == not {
			b[i] = '.'
		}
	}
	return b
}

// newRand is a source of random numbers whose seed is printed if the test fails.
func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, seed))
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

func mustDecoder(t testing.TB, c Codec) *Decoder {
	t.Helper()
	d, err := NewDecoder(c)
	if err != nil {
		t.Fatalf("NewDecoder(%s): %v", c, err)
	}
	return d
}

func mustAppend(t testing.TB, c Codec, dst, msg []byte) []byte {
	t.Helper()
	out, err := c.Append(dst, msg)
	if err != nil {
		t.Fatalf("%s: Append(%q): %v", c, msg, err)
	}
	return out
}
