package resp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/frame/frametest"
	"github.com/plexor-go/plexor/frame/resp"
)

// noise means something to RESP.
const noise = "*$+-:_#,(!=%|~>01239t\r\n\r\n"

// command makes a command of n bytes, or of the nearest length there is.
func command(r *rand.Rand, n int) []byte {
	msg := resp.AppendArray(nil, 0)
	if n < len(msg)+12 {
		return msg
	}
	args := 1 + r.IntN(3)
	head := resp.AppendArray(nil, args)
	for range args - 1 {
		head = resp.AppendBulk(head, "k")
	}
	return fill(head, n)
}

// fill appends a bulk string, so that there are n bytes if that is possible.
func fill(head []byte, n int) []byte {
	for text := max(0, n-len(head)-len("$0\r\n\r\n")); ; text-- {
		msg := resp.AppendBulk(slices.Clone(head), bytes.Repeat([]byte("\r\n"), text/2+1)[:text])
		if len(msg) <= n || text == 0 {
			return msg
		}
	}
}

// value makes a value of RESP3 of about n bytes.
func value(r *rand.Rand, n int) []byte {
	var p []byte
	switch r.IntN(12) {
	case 0:
		p = resp.AppendInt(nil, r.Int64()-r.Int64())
	case 1:
		p = resp.AppendDouble(nil, r.NormFloat64()*math.Pow(10, float64(r.IntN(40))))
	case 2:
		p = resp.AppendBool(nil, r.IntN(2) == 0)
	case 3:
		p = resp.AppendMap(nil, 1)
		p = fill(resp.AppendInt(p, 5), max(n, 20))
	case 4:
		p = append([]byte("|1\r\n+ttl\r\n:3600\r\n"), resp.AppendSet(nil, 0)...)
	case 5:
		p = resp.AppendPush(resp.AppendArray(resp.AppendArray(nil, 2), 0), 1)
		p = resp.AppendNull(p)
	case 6:
		p = resp.AppendError(nil, "ERR no\r\n+OK")
	case 7:
		p = []byte("=9\r\ntxt:\r\na\r\n\r\n")
	case 8:
		p = []byte("(-12345678901234567890123\r\n")
	}
	if p == nil || len(p) > n || n > 300 {
		p = fill(nil, max(n, 6))
	}
	return p
}

func TestSuite(t *testing.T) {
	for _, s := range []struct {
		name    string
		subject frametest.Subject
	}{
		{"commands", frametest.Subject{Codec: resp.Commands{Max: 200}, Wider: resp.Commands{Max: 400}, Message: command}},
		{"commands inline", frametest.Subject{
			Codec: resp.Commands{Max: 200, Inline: true, MaxLine: 70},
			Wider: resp.Commands{Max: 400, Inline: true, MaxLine: 70},
			Message: func(r *rand.Rand, n int) []byte {
				if r.IntN(2) == 0 || n < 3 || n > 70 {
					return command(r, n)
				}
				return append(bytes.Repeat([]byte("GET x "), 20)[:n-2], "\r\n"...)
			}}},
		{"commands default", frametest.Subject{Codec: resp.Commands{}, Wider: resp.Commands{Max: 4 << 20}, Message: command}},
		{"values", frametest.Subject{Codec: resp.Values{Max: 300}, Wider: resp.Values{Max: 600}, Message: value}},
		{"values default", frametest.Subject{Codec: resp.Values{}, Wider: resp.Values{Max: 4 << 20}, Message: value}},
		{"pair", frametest.Subject{
			Codec:   frame.Pair{In: resp.Commands{Max: 100}, Out: resp.Commands{Max: 100}},
			Wider:   frame.Pair{In: resp.Commands{Max: 200}, Out: resp.Commands{Max: 200}},
			Message: command}},
	} {
		t.Run(s.name, func(t *testing.T) {
			s.subject.Noise = noise
			frametest.Run(t, s.subject)
		})
	}
}

func FuzzCommands(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nGET\r\n$1\r\na\r\n*0\r\nPING\r\n"), 0, 0, true, uint64(1))
	f.Add([]byte("*1\r\n$-1\r\n"), 100, 3, false, uint64(2))
	f.Add([]byte("*1234567"), 6, 0, false, uint64(3))
	f.Add([]byte("*3\r\n$1\r\na\r\n$1\nb\r\n"), 18, 0, false, uint64(4))
	f.Fuzz(func(t *testing.T, stream []byte, most, args int, inline bool, seed uint64) {
		c := resp.Commands{Max: most, MaxArgs: args, Inline: inline}
		for _, msg := range frametest.Check(t, frametest.Subject{Codec: c}, stream, seed).Messages {
			if _, err := resp.Args(nil, msg); err != nil {
				t.Fatalf("Args(%q), which Commands has found: %v", msg, err)
			}
		}
	})
}

func FuzzValues(f *testing.F) {
	f.Add([]byte("*2\r\n%1\r\n+a\r\n:1\r\n|1\r\n+x\r\n#t\r\n,1e5\r\n_\r\n"), 0, 0, uint64(1))
	f.Add([]byte("*1\r\n*1\r\n*1\r\n:1\r\n"), 100, 2, uint64(2))
	f.Add([]byte("%100\r\n0"), 76, 0, uint64(3)) // what can't fit is refused before what comes behind its header
	f.Add([]byte("*2\r\n+abcdefghij\n"), 14, 0, uint64(4))
	f.Fuzz(func(t *testing.T, stream []byte, most, depth int, seed uint64) {
		c := resp.Values{Max: most, MaxDepth: depth}
		for _, msg := range frametest.Check(t, frametest.Subject{Codec: c}, stream, seed).Messages {
			for p := msg; len(p) > 0; {
				var err error
				if _, p, err = resp.Next(p); err != nil {
					t.Fatalf("Next in %q, which Values has found: %v", msg, err)
				}
			}
		}
	})
}

// TestWire has what others send, and what must not be taken.
func TestWire(t *testing.T) {
	commands, inline := resp.Commands{Max: 100, MaxArgs: 5}, resp.Commands{Max: 100, Inline: true, MaxLine: 20}
	values := resp.Values{Max: 100, MaxDepth: 3, MaxElements: 8}
	for _, row := range []struct {
		name   string
		codec  frame.Codec
		stream string
		want   []string
		err    error
	}{
		{"command", commands, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n",
			[]string{"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "*1\r\n$4\r\nPING\r\n"}, nil},
		{"command with CR LF in an argument", commands, "*1\r\n$4\r\n\r\n\r\n\r\n", []string{"*1\r\n$4\r\n\r\n\r\n\r\n"},
			nil},
		{"empty commands", commands, "*0\r\n*-1\r\n", []string{"*0\r\n", "*-1\r\n"}, nil},
		{"inline, not asked for", commands, "PING\r\n", nil, frame.ErrMalformed},
		{"HTTP", commands, "POST / HTTP/1.1\r\n", nil, frame.ErrMalformed},
		{"inline", inline, "PING\r\nGET a\n\r\n", []string{"PING\r\n", "GET a\n", "\r\n"}, nil},
		{"inline, longest", inline, strings.Repeat("x", 20) + "\r\n", []string{strings.Repeat("x", 20) + "\r\n"}, nil},
		{"inline, too long", inline, strings.Repeat("x", 21) + "\n", nil, frame.ErrTooLong},
		{"inline, without end", inline, strings.Repeat("x", 22), nil, frame.ErrTooLong},
		{"too many arguments", commands, "*6\r\n", nil, frame.ErrTooLong},
		{"more arguments than an int holds", commands, "*99999999999999999999\r\n", nil, frame.ErrTooLong},
		{"arguments without end of the number", commands, "*" + strings.Repeat("0", 30), nil, frame.ErrTooLong},
		{"argument too long, announced", commands, "*1\r\n$101\r\n", nil, frame.ErrTooLong},
		{"arguments too long together", commands, "*2\r\n$60\r\n" + strings.Repeat("x", 60) + "\r\n$40\r\n", nil,
			frame.ErrTooLong},
		{"sign", commands, "*1\r\n$+1\r\na\r\n", nil, frame.ErrMalformed},
		{"leading zero", commands, "*01\r\n$1\r\na\r\n", nil, frame.ErrMalformed},
		{"no length", commands, "*\r\n", nil, frame.ErrMalformed},
		{"blank in the length", commands, "*1 \r\n$1\r\na\r\n", nil, frame.ErrMalformed},
		{"bare LF behind the count", commands, "*1\n$1\r\na\r\n", nil, frame.ErrMalformed},
		{"bare LF behind the length", commands, "*1\r\n$1\na\r\n", nil, frame.ErrMalformed},
		{"CR in the length", commands, "*1\r\n$1\r\r\na\r\n", nil, frame.ErrMalformed},
		{"null argument", commands, "*1\r\n$-1\r\n", nil, frame.ErrMalformed},
		{"argument that is no bulk string", commands, "*1\r\n:1\r\n", nil, frame.ErrMalformed},
		{"longer than its length", commands, "*1\r\n$1\r\nab\r\n", nil, frame.ErrMalformed},
		{"cut short", commands, "*1\r\n$5\r\nab", nil, io.ErrUnexpectedEOF},

		{"RESP2", values, "+OK\r\n-ERR x\r\n:-5\r\n$2\r\nab\r\n$-1\r\n*-1\r\n*1\r\n:1\r\n",
			[]string{"+OK\r\n", "-ERR x\r\n", ":-5\r\n", "$2\r\nab\r\n", "$-1\r\n", "*-1\r\n", "*1\r\n:1\r\n"}, nil},
		{"RESP3", values, "_\r\n#t\r\n#f\r\n,1.5e-3\r\n,inf\r\n,-inf\r\n,nan\r\n(123\r\n!5\r\nERR x\r\n=5\r\ntxt:a\r\n~0\r\n",
			[]string{"_\r\n", "#t\r\n", "#f\r\n", ",1.5e-3\r\n", ",inf\r\n", ",-inf\r\n", ",nan\r\n", "(123\r\n",
				"!5\r\nERR x\r\n", "=5\r\ntxt:a\r\n", "~0\r\n"}, nil},
		{"nested", values, "*2\r\n*1\r\n:1\r\n%1\r\n+a\r\n~1\r\n:2\r\n:9\r\n",
			[]string{"*2\r\n*1\r\n:1\r\n%1\r\n+a\r\n~1\r\n:2\r\n", ":9\r\n"}, nil},
		{"attribute", values, "|1\r\n+a\r\n:1\r\n*1\r\n|0\r\n:2\r\n:3\r\n",
			[]string{"|1\r\n+a\r\n:1\r\n*1\r\n|0\r\n:2\r\n", ":3\r\n"}, nil},
		{"attribute of nothing", values, "|1\r\n+a\r\n:1\r\n", nil, io.ErrUnexpectedEOF},
		{"push", values, ">1\r\n+a\r\n", []string{">1\r\n+a\r\n"}, nil},
		{"too deep", values, "*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", nil, frame.ErrTooLong},
		{"as deep as may be", values, "*1\r\n*1\r\n*1\r\n:1\r\n", []string{"*1\r\n*1\r\n*1\r\n:1\r\n"}, nil},
		{"side by side is not deep", values, "*5\r\n*1\r\n_\r\n*0\r\n*1\r\n_\r\n*0\r\n*0\r\n",
			[]string{"*5\r\n*1\r\n_\r\n*0\r\n*1\r\n_\r\n*0\r\n*0\r\n"}, nil},
		{"too many elements, announced", values, "*9\r\n", nil, frame.ErrTooLong},
		{"too many elements of a map", values, "%4\r\n", nil, frame.ErrTooLong},
		{"too many elements together", values, "*4\r\n*4\r\n", nil, frame.ErrTooLong},
		{"unknown type", values, "X1\r\n", nil, frame.ErrMalformed},
		{"streamed string", values, "$?\r\n;1\r\na\r\n;0\r\n", nil, frame.ErrMalformed},
		{"streamed array", values, "*?\r\n:1\r\n.\r\n", nil, frame.ErrMalformed},
		{"null set", values, "~-1\r\n", nil, frame.ErrMalformed},
		{"number with a point", values, ":1.5\r\n", nil, frame.ErrMalformed},
		{"number of 65 bits", values, ":9223372036854775808\r\n", nil, frame.ErrMalformed},
		{"boolean in words", values, "#true\r\n", nil, frame.ErrMalformed},
		{"null with a word", values, "_x\r\n", nil, frame.ErrMalformed},
		{"double in hexadecimal", values, ",0x1p5\r\n", nil, frame.ErrMalformed},
		{"double without digits", values, ",.\r\n", nil, frame.ErrMalformed},
		{"double, exponent without digits", values, ",1e\r\n", nil, frame.ErrMalformed},
		{"big number with two signs", values, "(--1\r\n", nil, frame.ErrMalformed},
		{"verbatim without its format", values, "=2\r\nab\r\n", nil, frame.ErrMalformed},
		{"CR in a simple string", values, "+a\rb\r\n", nil, frame.ErrMalformed},
		{"bare LF", values, "+a\n", nil, frame.ErrMalformed},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := frametest.Check(t, frametest.Subject{Codec: row.codec}, []byte(row.stream), 1)
			var messages []string
			for _, msg := range got.Messages {
				messages = append(messages, string(msg))
			}
			if !slices.Equal(messages, row.want) || !errors.Is(got.Err, row.err) || row.err == nil && got.Err != nil {
				t.Errorf("stream %q:\ngot  %q, %v\nwant %q, %v", row.stream, messages, got.Err, row.want, row.err)
			}
		})
	}
}

// TestGoneThroughOnce: of a frame that comes in pieces, what was there is not looked at again.
func TestGoneThroughOnce(t *testing.T) {
	for _, row := range []struct {
		codec  frame.Resumer
		stream []byte
	}{
		{resp.Commands{}, resp.AppendCommand(nil, slices.Repeat([]string{"a"}, 1000)...)},
		{resp.Values{}, append(resp.AppendArray(nil, 1000), bytes.Repeat([]byte("*1\r\n:1\r\n"), 1000)...)},
	} {
		var at frame.State
		p := slices.Clone(row.stream)
		for n := range p {
			s, err := row.codec.Resume(p[:n:n], &at)
			if err != nil || s.Size <= n || s.Size > len(p) {
				t.Fatalf("%s: %d bytes of %d: got %+v, %v", row.codec, n, len(p), s, err)
			}
			if at[0] > 0 && at[0]+20 < n {
				t.Fatalf("%s: with %d bytes there, the next call begins at byte %d", row.codec, n, at[0])
			}
		}
	}
}

func TestArgs(t *testing.T) {
	for _, row := range []struct{ msg, want string }{
		{"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", `["GET" ""]`},
		{"*0\r\n", `[]`},
		{"  set a  b\r\n", `["set" "a" "b"]`},
		{"\r\n", `[]`},
	} {
		got, err := resp.Args(nil, []byte(row.msg))
		if err != nil || fmt.Sprintf("%q", got) != row.want {
			t.Errorf("Args(%q): got %q, %v; want %s", row.msg, got, err, row.want)
		}
	}
	for _, msg := range []string{"*2\r\n$1\r\na\r\n", "*1\r\n:1\r\n", "*1\r\n$1\r\na\r\nx", "*1\r\n$-1\r\n"} {
		if got, err := resp.Args(nil, []byte(msg)); !errors.Is(err, frame.ErrMalformed) {
			t.Errorf("Args(%q): got %q, %v; want ErrMalformed", msg, got, err)
		}
	}
}

// TestInjection: text from a user makes no reply of its own.
func TestInjection(t *testing.T) {
	for _, p := range [][]byte{resp.AppendError(nil, "ERR unknown command 'a\r\n+OK\r\n'"),
		resp.AppendSimple(nil, "a\n+OK")} {
		v, rest, err := resp.Next(p)
		if err != nil || len(rest) > 0 || bytes.ContainsAny(v.Text, "\r\n") {
			t.Errorf("%q: got %q and %q behind it, %v", p, v.Text, rest, err)
		}
	}
}

// TestBulkHeader: what it begins, with the text and CR LF, is a bulk string.
func TestBulkHeader(t *testing.T) {
	for _, text := range []string{"", "a\r\nb", strings.Repeat("x", 100_000)} {
		got := string(resp.AppendBulkHeader(nil, len(text))) + text + "\r\n"
		if want := string(resp.AppendBulk(nil, text)); got != want {
			t.Errorf("got %.40q, want %.40q", got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, f := range []float64{0, 1.5, -1e300, math.Inf(1), math.Inf(-1), math.SmallestNonzeroFloat64} {
		v, _, err := resp.Next(resp.AppendDouble(nil, f))
		if got, err2 := v.Double(); err != nil || err2 != nil || got != f {
			t.Errorf("%v comes back as %v, %v, %v", f, got, err, err2)
		}
	}
	v, _, err := resp.Next(resp.AppendDouble(nil, math.NaN()))
	if got, err2 := v.Double(); err != nil || err2 != nil || !math.IsNaN(got) {
		t.Errorf("NaN comes back as %v, %v, %v", got, err, err2)
	}
	for _, n := range []int64{0, math.MinInt64, math.MaxInt64} {
		v, _, err := resp.Next(resp.AppendInt(nil, n))
		if got, err2 := v.Int(); err != nil || err2 != nil || got != n {
			t.Errorf("%v comes back as %v, %v, %v", n, got, err, err2)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []frame.Codec{resp.Commands{Max: -1}, resp.Commands{Max: 3}, resp.Commands{MaxArgs: -1},
		resp.Commands{MaxLine: -1},
		resp.Values{Max: 5}, resp.Values{MaxLine: -1}, resp.Values{MaxElements: -1}, resp.Values{MaxDepth: 1 << 20}} {
		if _, err := frame.NewDecoder(c); err == nil || !strings.Contains(err.Error(), "it must be") {
			t.Errorf("%#v: got %v, want an error that says what would be right", c, err)
		}
	}
}

// BenchmarkCommands takes a SET with a value of 64 bytes out of a piece of 64 KiB, and apart.
func BenchmarkCommands(b *testing.B) {
	one := resp.AppendCommand(nil, "SET", "key:000000000042", strings.Repeat("x", 64))
	piece := bytes.Repeat(one, (64<<10)/len(one))
	d, err := frame.NewDecoder(resp.Commands{})
	if err != nil {
		b.Fatal(err)
	}
	var args [][]byte
	b.ReportAllocs()
	for n := 0; n < b.N; {
		for msg, err := range d.Feed(piece) {
			if args, err = resp.Args(args[:0], msg); err != nil || len(args) != 3 {
				b.Fatal(err)
			}
			n++
		}
	}
}

func ExampleCommands() {
	d, err := frame.NewDecoder(resp.Commands{Max: 1 << 16})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, piece := range []string{"*2\r\n$3\r\nGET\r\n$5\r\nhe", "llo\r\n*1\r\n$4\r\nPING\r\n"} {
		for msg, err := range d.Feed([]byte(piece)) {
			if err != nil {
				fmt.Println(err)
				return
			}
			args, err := resp.Args(nil, msg)
			fmt.Printf("%q %v\n", args, err)
		}
	}
	// Output:
	// ["GET" "hello"] <nil>
	// ["PING"] <nil>
}
