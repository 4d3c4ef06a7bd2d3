package frame_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"slices"
	"testing"

	. "github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/frame/frametest"
)

// fuzzStream checks what frametest checks of a stream.
func fuzzStream(t *testing.T, c Codec, stream []byte, seed uint64) {
	frametest.Check(t, subjectOf(c), stream, seed)
}

func FuzzLength(f *testing.F) {
	f.Add([]byte("\x00\x05hello\x00\x00"), uint8(2), false, false, false, 0, 0, 0, 0, uint64(1))
	f.Add([]byte("\xca\x10\x00\xfeHELLO, WORLD"), uint8(2), true, false, false, 1, -3, 3, 100, uint64(2))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x09a"), uint8(8), false, true, true, 0, 0, 0, 20, uint64(3))
	f.Fuzz(func(t *testing.T, stream []byte, width uint8, little, inclusive, keep bool, offset, adjust, strip, max int,
		seed uint64) {
		c := Length{Bytes: int(width), LittleEndian: little, Inclusive: inclusive, Keep: keep,
			Offset: offset, Adjust: adjust, Strip: strip, Max: max}
		fuzzStream(t, c, stream, seed)
	})
}

func FuzzMultiprocessing(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05hello\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01x"), 0, uint64(1))
	f.Add([]byte("\xff\xff\xff\xfe"), 100, uint64(2))
	f.Fuzz(func(t *testing.T, stream []byte, max int, seed uint64) {
		fuzzStream(t, Multiprocessing{Max: max}, stream, seed)
	})
}

func FuzzVarint(f *testing.F) {
	f.Add([]byte("\x05hello\x00\x80\x01"), 0, uint64(1))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), 300, uint64(2))
	f.Fuzz(func(t *testing.T, stream []byte, max int, seed uint64) {
		fuzzStream(t, Varint{Max: max}, stream, seed)
	})
}

func FuzzLine(f *testing.F) {
	f.Add([]byte("a\r\n\nb\r\r\n"), false, 0, uint64(1))
	f.Add([]byte("abc\r\nabcd\r\n\n"), true, 3, uint64(2))
	f.Fuzz(func(t *testing.T, stream []byte, crlf bool, max int, seed uint64) {
		fuzzStream(t, Line{CRLF: crlf, Max: max}, stream, seed)
	})
}

func FuzzDelimited(f *testing.F) {
	f.Add([]byte("a\r\nb\r\n\r\n\r\n"), "\r\n\r\n", 0, uint64(1))
	f.Add([]byte("aaabaab"), "aab", 3, uint64(2))
	f.Fuzz(func(t *testing.T, stream []byte, delim string, max int, seed uint64) {
		fuzzStream(t, Delimited{Delim: delim, Max: max}, stream, seed)
	})
}

func FuzzNetstring(f *testing.F) {
	f.Add([]byte("5:hello,0:,12:hello world!,"), 0, uint64(1))
	f.Add([]byte("20:"), 19, uint64(2))
	f.Fuzz(func(t *testing.T, stream []byte, max int, seed uint64) {
		fuzzStream(t, Netstring{Max: max}, stream, seed)
	})
}

func FuzzFixed(f *testing.F) {
	f.Add([]byte("abcdefg"), 3, uint64(1))
	f.Fuzz(func(t *testing.T, stream []byte, size int, seed uint64) {
		fuzzStream(t, Fixed{Size: size}, stream, seed)
	})
}

// FuzzVarintAgainstBinary compares with encoding/binary, which accepts overlong forms: those must differ from what
// it writes.
func FuzzVarintAgainstBinary(f *testing.F) {
	f.Add([]byte("\x05hello\x80\x01"), 100)
	f.Add([]byte("\x80\x00"), 100)
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0)
	f.Fuzz(func(t *testing.T, stream []byte, max int) {
		c := Varint{Max: max}
		if c.Check() != nil {
			t.Skip()
		}
		var want frametest.Result
		for rest := stream; len(rest) > 0; {
			v, n := binary.Uvarint(rest)
			var kind error
			switch {
			case n == 0 && len(rest) < binary.MaxVarintLen64:
				kind = io.ErrUnexpectedEOF
			case n <= 0 || // ten bytes that ask for more are too many: Uvarint says so with the eleventh only
				string(binary.AppendUvarint(nil, v)) != string(rest[:n]):
				kind = ErrMalformed
			case v > uint64(c.MaxMessage()):
				kind = ErrTooLong
			case v > uint64(len(rest)-n):
				kind = io.ErrUnexpectedEOF
			}
			if want.Err = kind; kind != nil {
				break
			}
			want.Messages = append(want.Messages, rest[n:n+int(v)])
			rest = rest[n+int(v):]
		}
		compare(t, c, stream, want)
	})
}

// FuzzLengthAgainstReference compares with a decoder that does Netty's sums one by one, with numbers of any size.
func FuzzLengthAgainstReference(f *testing.F) {
	f.Add([]byte("\xca\x00\x10\xfeHELLO, WORLD"), uint8(2), false, false, false, 1, -3, 3, 100)
	f.Add([]byte("\x00\x00\x00\x05hello"), uint8(4), false, false, false, 0, 0, 0, 0)
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"), uint8(8), true, true, false, 0, 9, 0, 0)
	f.Fuzz(func(t *testing.T, stream []byte, width uint8, little, inclusive, keep bool, offset, adjust, strip, max int) {
		c := Length{Bytes: int(width), LittleEndian: little, Inclusive: inclusive, Keep: keep,
			Offset: offset, Adjust: adjust, Strip: strip, Max: max}
		if c.Check() != nil {
			t.Skip()
		}
		compare(t, c, stream, referenceLength(c, stream))
	})
}

func referenceLength(c Length, stream []byte) (res frametest.Result) {
	stripped := c.Strip
	if stripped == 0 && !c.Keep {
		stripped = c.Offset + c.Bytes
	}
	for len(stream) > 0 {
		if len(stream) < c.Offset+c.Bytes {
			res.Err = io.ErrUnexpectedEOF
			return res
		}
		field := append([]byte(nil), stream[c.Offset:c.Offset+c.Bytes]...)
		if c.LittleEndian {
			for i, j := 0, len(field)-1; i < j; i, j = i+1, j-1 {
				field[i], field[j] = field[j], field[i]
			}
		}
		frameLength := new(big.Int).SetBytes(field)
		frameLength.Add(frameLength, big.NewInt(int64(c.Adjust)))
		if c.Inclusive {
			frameLength.Sub(frameLength, big.NewInt(int64(c.Bytes)))
		}
		frameLength.Add(frameLength, big.NewInt(int64(c.Offset+c.Bytes)))
		message := new(big.Int).Sub(frameLength, big.NewInt(int64(stripped)))
		limit := c.Max
		if limit == 0 {
			limit = DefaultMax
		}
		switch {
		case message.Cmp(big.NewInt(int64(limit))) > 0:
			res.Err = ErrTooLong
		case message.Sign() < 0 || frameLength.Cmp(big.NewInt(int64(c.Offset+c.Bytes))) < 0:
			res.Err = ErrMalformed
		case frameLength.Cmp(big.NewInt(int64(len(stream)))) > 0:
			res.Err = io.ErrUnexpectedEOF
		}
		if res.Err != nil {
			return res
		}
		n := int(frameLength.Int64())
		res.Messages = append(res.Messages, stream[stripped:n])
		stream = stream[n:]
	}
	return res
}

// compare checks the decoder's messages and kind of error against what a reference gave.
func compare(t *testing.T, c Codec, stream []byte, want frametest.Result) {
	t.Helper()
	for _, size := range []int{1, len(stream) + 1} {
		got := frametest.Decode(t, c, stream, size)
		if (got.Err == nil) != (want.Err == nil) || !errors.Is(got.Err, want.Err) {
			t.Fatalf("%s: stream %q: got %v, want %v", c, stream, got.Err, want.Err)
		}
		if !slices.EqualFunc(got.Messages, want.Messages, bytes.Equal) {
			t.Fatalf("%s: stream %q: got %v, want %v", c, stream, got, want)
		}
	}
}
