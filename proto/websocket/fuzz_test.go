package websocket

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// FuzzParser holds that a parser never panics, that no cut changes what it tells, and that what it tells, written
// again, is told again.
func FuzzParser(f *testing.F) {
	for _, c := range framingCases() {
		if in := c.in(Server); len(in) < 2000 {
			f.Add([]byte(in), false, false, uint8(3))
			f.Add([]byte(c.in(Client)), true, true, uint8(5))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, client, deflate bool, piece uint8) {
		side := Server
		if client {
			side = Client
		}
		parser := func() *Parser {
			return &Parser{Side: side, Deflate: deflate, Limits: Limits{Message: 4096, Frames: 50}.WithDefaults()}
		}
		want := tell(parser(), string(in), len(in)+1)
		if got := tell(parser(), string(in), int(piece)+1); got != want {
			t.Fatalf("in pieces of %d:\n%sat once:\n%s", int(piece)+1, got, want)
		}
		again := rewrite(parser(), side, in)
		if got := tell(parser(), string(again), len(again)+1); len(again) > 0 && !bytes.HasPrefix([]byte(want), []byte(got)) {
			t.Fatalf("written again:\n%sat first:\n%s", got, want)
		}
	})
}

// rewrite is what p tells of in, as frames for the same side to read: each message one frame.
func rewrite(p *Parser, side Side, in []byte) (out []byte) {
	var msg []byte
	in = bytes.Clone(in)
	mask := &key
	if side == Client {
		mask = nil
	}
	for len(in) > 0 {
		n, e, err := p.Next(in)
		if err != nil {
			break
		}
		in = in[n:]
		switch e.Kind {
		case Data:
			msg = append(msg, e.Payload...)
			if e.Last {
				h := Header{Final: true, Compressed: e.Compressed, Op: e.Op, Masked: side == Server, Key: key}
				out, msg = AppendFrame(out, h, msg), nil
			}
		case Ping:
			out = AppendControl(out, PingFrame, e.Payload, mask)
		case Pong:
			out = AppendControl(out, PongFrame, e.Payload, mask)
		case Close:
			out = AppendClose(out, e.Code, string(e.Payload), mask)
		}
	}
	return out
}

// FuzzText compares with utf8.Valid, over a cut.
func FuzzText(f *testing.F) {
	for _, c := range texts() {
		f.Add([]byte(c.frames[0].payload), uint8(1), uint8(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, i, j uint8) {
		first := min(int(i), len(b))
		second := min(first+int(j), len(b))
		var r runes
		got := r.check(b[:first]) && r.check(b[first:second]) && r.check(b[second:]) && r.ended()
		if got != utf8.Valid(b) {
			t.Fatalf("%q cut at %d and %d: %v", b, first, second, got)
		}
	})
}
