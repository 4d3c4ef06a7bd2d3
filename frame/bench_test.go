package frame

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"
)

// What is decoded in the benchmarks: messages of 64 bytes, in pieces of 64 KiB as they come from a busy socket.
const (
	benchMessage = 64
	benchPiece   = 64 << 10
)

// benchPieces is a stream of whole frames of c in pieces of benchPiece bytes, and how many messages it has.
func benchPieces(b testing.TB, c Codec) (pieces [][]byte, messages int) {
	msg := bytes.Repeat([]byte{'x'}, min(benchMessage, c.MaxMessage()))
	var stream []byte
	for len(stream) < 32*benchPiece {
		stream = mustAppend(b, c, stream, msg)
		messages++
	}
	return cut(stream, func() int { return benchPiece }), messages
}

var benchCodecs = []Codec{
	Length{Bytes: 4}, Length{Bytes: 2, LittleEndian: true, Offset: 2, Keep: true}, Multiprocessing{}, Varint{}, Line{},
	Line{CRLF: true}, Delimited{Delim: "\r\n\r\n"}, Netstring{}, Fixed{Size: benchMessage},
}

// perMessage reports ns for each message where an op is one pass over messages.
func perMessage(b *testing.B, messages int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(messages), "ns/msg")
}

func BenchmarkNext(b *testing.B) {
	for _, c := range benchCodecs {
		b.Run(c.String(), func(b *testing.B) {
			pieces, messages := benchPieces(b, c)
			d := mustDecoder(b, c)
			b.SetBytes(int64(messages * benchMessage))
			b.ReportAllocs()
			for b.Loop() {
				for _, p := range pieces {
					for {
						msg, rest, err := d.Next(p)
						if err != nil {
							b.Fatal(err)
						}
						if msg == nil {
							break
						}
						p = rest
					}
				}
			}
			perMessage(b, messages)
		})
	}
}

func BenchmarkFeed(b *testing.B) {
	for _, c := range benchCodecs {
		b.Run(c.String(), func(b *testing.B) {
			pieces, messages := benchPieces(b, c)
			d := mustDecoder(b, c)
			b.SetBytes(int64(messages * benchMessage))
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, p := range pieces {
					for _, err := range d.Feed(p) {
						if err != nil {
							b.Fatal(err)
						}
						n++
					}
				}
				if n != messages {
					b.Fatalf("%d messages, want %d", n, messages)
				}
			}
			perMessage(b, messages)
		})
	}
}

// BenchmarkFeedBig: messages of 1 MiB, each gathered from 17 pieces.
func BenchmarkFeedBig(b *testing.B) {
	c := Length{Bytes: 4}
	stream := mustAppend(b, c, nil, make([]byte, 1<<20))
	pieces := cut(stream, func() int { return benchPiece })
	d := mustDecoder(b, c)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range pieces {
			for _, err := range d.Feed(p) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}

// The pull benchmarks read the same stream from memory, 64 KiB a Read at most.

func benchPull(b *testing.B, c Codec, pass func(r io.Reader) (messages int, err error)) {
	pieces, messages := benchPieces(b, c)
	b.SetBytes(int64(messages * benchMessage))
	b.ReportAllocs()
	for b.Loop() {
		n, err := pass(&pieceReader{pieces: slices.Clone(pieces)})
		if err != nil || n != messages {
			b.Fatalf("%d messages, want %d; %v", n, messages, err)
		}
	}
	perMessage(b, messages)
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

func benchReader(c Codec) func(r io.Reader) (n int, err error) {
	return func(r io.Reader) (n int, err error) {
		fr, err := NewReader(r, c)
		if err != nil {
			return 0, err
		}
		for _, err := range fr.All() {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
}

func BenchmarkPullLength(b *testing.B) {
	c := Length{Bytes: 4}
	b.Run("Reader", func(b *testing.B) { benchPull(b, c, benchReader(c)) })
	b.Run("ReadFull", func(b *testing.B) {
		benchPull(b, c, func(r io.Reader) (n int, err error) {
			br := bufio.NewReaderSize(r, readSize)
			head, body := make([]byte, 4), make([]byte, benchMessage)
			for {
				if _, err := io.ReadFull(br, head); err == io.EOF {
					return n, nil
				} else if err != nil {
					return n, err
				}
				if _, err := io.ReadFull(br, body[:binary.BigEndian.Uint32(head)]); err != nil {
					return n, err
				}
				n++
			}
		})
	})
}

func BenchmarkPullLine(b *testing.B) {
	b.Run("Reader", func(b *testing.B) { benchPull(b, Line{}, benchReader(Line{})) })
	b.Run("Scanner", func(b *testing.B) {
		benchPull(b, Line{}, func(r io.Reader) (n int, err error) {
			s := bufio.NewScanner(r)
			s.Buffer(make([]byte, readSize), DefaultMax)
			for s.Scan() {
				n++
			}
			return n, s.Err()
		})
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, c := range benchCodecs {
		b.Run(c.String(), func(b *testing.B) {
			msg := bytes.Repeat([]byte{'x'}, benchMessage)
			if l, ok := c.(Length); ok {
				writeField(msg[l.Offset:l.head()], benchMessage-uint64(l.head()), l.LittleEndian)
			}
			dst := make([]byte, 0, benchPiece)
			b.SetBytes(benchMessage)
			b.ReportAllocs()
			for b.Loop() {
				if len(dst)+2*benchMessage > cap(dst) {
					dst = dst[:0]
				}
				var err error
				if dst, err = c.Append(dst, msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
