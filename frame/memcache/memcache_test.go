package memcache_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/frame/frametest"
	"github.com/plexor-go/plexor/frame/memcache"
)

// noise means something to the protocol.
const noise = "gets VALUEND019-_ \r\n\r\n\r\n"

// store makes a request of n bytes, or of the nearest length there is.
func store(r *rand.Rand, n int) []byte {
	if n < 40 || r.IntN(4) == 0 && n < 80 {
		return append([]byte("get k"), "           k\r\n"[max(0, 13-max(2, n-5)):]...)
	}
	kind := r.IntN(3)
	return fill(n, func(data []byte) ([]byte, error) {
		switch kind {
		case 0:
			return memcache.AppendMetaSet(nil, "key", data, "T0", "q")
		case 1:
			return memcache.AppendStore(nil, "cas", "key", 7, -1, data, "99", "noreply")
		}
		return memcache.AppendStore(nil, "set", "key", 0, 0, data)
	})
}

// reply makes a reply of about n bytes.
func reply(r *rand.Rand, n int) []byte {
	switch {
	case n < 40:
		return []byte([]string{"END\r\n", "STORED\r\n", "17\r\n", "EN\r\n"}[r.IntN(4)])
	case n < 300 && r.IntN(4) == 0:
		return []byte("STAT pid 1\r\nSTAT version 1.6.18\r\nEND\r\n")
	case n < 300 && r.IntN(4) == 0:
		return []byte("VALUE a 0 4\r\n\r\n\r\n\r\nSERVER_ERROR out of memory\r\n")
	}
	meta := r.IntN(2) == 0
	return fill(n, func(data []byte) ([]byte, error) {
		if meta {
			return memcache.AppendMetaValue(nil, data, "kkey", "t-1")
		}
		out, err := memcache.AppendValue(nil, "one", 3, []byte("END"), "12345")
		if err == nil {
			out, err = memcache.AppendValue(out, "key", 0, data)
		}
		return append(out, "END\r\n"...), err
	})
}

// fill makes a message with as much data as fits into n bytes.
func fill(n int, message func(data []byte) ([]byte, error)) []byte {
	for size := n; ; size-- {
		msg, err := message(bytes.Repeat([]byte("\r\nEND"), size/5+1)[:size])
		if err != nil {
			panic(err)
		}
		if len(msg) <= n || size == 0 {
			return msg
		}
		size = min(size, max(1, size-(len(msg)-n)+5)) // the length has fewer digits then
	}
}

func TestSuite(t *testing.T) {
	for _, s := range []struct {
		name    string
		subject frametest.Subject
	}{
		{"requests", frametest.Subject{
			Codec: memcache.Requests{Max: 200}, Wider: memcache.Requests{Max: 400}, Message: store}},
		{"requests of short lines", frametest.Subject{
			Codec: memcache.Requests{Max: 200, MaxLine: 40}, Wider: memcache.Requests{Max: 400}, Message: store}},
		{"requests default", frametest.Subject{
			Codec: memcache.Requests{}, Wider: memcache.Requests{Max: 4 << 20}, Message: store}},
		{"replies", frametest.Subject{
			Codec: memcache.Replies{Max: 300}, Wider: memcache.Replies{Max: 600}, Message: reply}},
		{"replies default", frametest.Subject{
			Codec: memcache.Replies{}, Wider: memcache.Replies{Max: 4 << 20}, Message: reply}},
		{"pair", frametest.Subject{
			Codec:   frame.Pair{In: memcache.Requests{Max: 150}, Out: memcache.Requests{Max: 150}},
			Wider:   frame.Pair{In: memcache.Requests{Max: 300}, Out: memcache.Requests{Max: 300}},
			Message: store}},
	} {
		t.Run(s.name, func(t *testing.T) {
			s.subject.Noise = noise
			frametest.Run(t, s.subject)
		})
	}
}

func FuzzRequests(f *testing.F) {
	f.Add([]byte("set k 0 0 5\r\nhello\r\nget k\r\nms k 2 T0\r\nab\r\nmn\r\n"), 0, 0, uint64(1))
	f.Add([]byte("cas k 0 0 5 7 noreply\r\nhello\r\nset k 0 0 -1\r\n"), 100, 30, uint64(2))
	f.Fuzz(func(t *testing.T, stream []byte, most, line int, seed uint64) {
		c := memcache.Requests{Max: most, MaxLine: line}
		for _, msg := range frametest.Check(t, frametest.Subject{Codec: c}, stream, seed).Messages {
			if _, _, err := memcache.Words(nil, msg); err != nil {
				t.Fatalf("Words(%q), which Requests has found: %v", msg, err)
			}
		}
	})
}

func FuzzReplies(f *testing.F) {
	f.Add([]byte("VALUE k 0 5\r\nhello\r\nVALUE l 0 0 7\r\n\r\nEND\r\nVA 2 t0\r\nab\r\nHD\r\nSTAT a b\r\nEND\r\n"), 0, 0,
		uint64(1))
	f.Add([]byte("STAT a b\r\nSTORED\r\nEND\r\nVALUE k 0 99999999999\r\n"), 100, 30, uint64(2))
	f.Fuzz(func(t *testing.T, stream []byte, most, line int, seed uint64) {
		c := memcache.Replies{Max: most, MaxLine: line}
		for _, msg := range frametest.Check(t, frametest.Subject{Codec: c}, stream, seed).Messages {
			for p := msg; len(p) > 0; {
				var err error
				if _, _, p, err = memcache.Next(nil, p); err != nil {
					t.Fatalf("Next in %q, which Replies has found: %v", msg, err)
				}
			}
		}
	})
}

// TestWire has what others send, and what must not be taken.
func TestWire(t *testing.T) {
	requests, replies := memcache.Requests{Max: 100, MaxLine: 40}, memcache.Replies{Max: 100, MaxLine: 40}
	for _, row := range []struct {
		name   string
		codec  frame.Codec
		stream string
		want   []string
		err    error
	}{
		{"get", requests, "get k\r\ngets  a b \r\n", []string{"get k\r\n", "gets  a b \r\n"}, nil},
		{"set", requests, "set k 0 0 5\r\nhello\r\nget k\r\n", []string{"set k 0 0 5\r\nhello\r\n", "get k\r\n"}, nil},
		{"empty data", requests, "add k 0 0 0\r\n\r\n", []string{"add k 0 0 0\r\n\r\n"}, nil},
		{"data that looks like a request", requests, "set k 0 0 14\r\na\r\nflush_all\r\n\r\n",
			[]string{"set k 0 0 14\r\na\r\nflush_all\r\n\r\n"}, nil},
		{"several blanks", requests, "set  k   0 0  1\r\na\r\n", []string{"set  k   0 0  1\r\na\r\n"}, nil},
		{"cas, noreply", requests, "cas k 0 0 1 77 noreply\r\na\r\n", []string{"cas k 0 0 1 77 noreply\r\na\r\n"}, nil},
		{"meta", requests, "mg k v t\r\nms k 2 T0 q\r\nab\r\nmd k\r\nma k\r\nmn\r\n",
			[]string{"mg k v t\r\n", "ms k 2 T0 q\r\nab\r\n", "md k\r\n", "ma k\r\n", "mn\r\n"}, nil},
		{"unknown name", requests, "frobnicate 0 0 5\r\n", []string{"frobnicate 0 0 5\r\n"}, nil},
		{"key with bytes above ASCII", requests, "get käse\r\n", []string{"get käse\r\n"}, nil},

		{"a length that is too small", requests, "set k 0 0 1\r\na\nflush_all\r\n", nil, frame.ErrMalformed},
		{"a length that is too small by two", requests, "set k 0 0 3\r\nhello\r\n", nil, frame.ErrMalformed},
		{"a length that is too great", requests, "set k 0 0 6\r\nhello\r\nget k\r\n", nil, frame.ErrMalformed},
		{"a length without its data", requests, "set k 0 0 50\r\nhello\r\n", nil, io.ErrUnexpectedEOF},
		{"negative", requests, "set k 0 0 -1\r\nflush_all\r\n", nil, frame.ErrMalformed},
		{"a plus sign", requests, "set k 0 0 +1\r\na\r\n", nil, frame.ErrMalformed},
		{"leading zero", requests, "set k 0 0 01\r\na\r\n", nil, frame.ErrMalformed},
		{"hexadecimal", requests, "set k 0 0 0x1\r\na\r\n", nil, frame.ErrMalformed},
		{"no length", requests, "set k 0 0\r\nflush_all\r\n", nil, frame.ErrMalformed},
		{"no length, blanks behind", requests, "set k 0 0  \r\nflush_all\r\n", nil, frame.ErrMalformed},
		{"meta without a length", requests, "ms k\r\nflush_all\r\n", nil, frame.ErrMalformed},
		{"meta with the length as a flag", requests, "ms k S5\r\nhello\r\n", nil, frame.ErrMalformed},
		{"huge", requests, "set k 0 0 101\r\n", nil, frame.ErrTooLong},
		{"huge, together with the line", requests, "set k 0 0 90\r\n", nil, frame.ErrTooLong},
		{"more than an int holds", requests, "set k 0 0 99999999999999999999\r\n", nil, frame.ErrTooLong},
		{"2^32 and one", requests, "set k 0 0 4294967297\r\na\r\n", nil, frame.ErrTooLong},
		{"a line without end", requests, "get " + strings.Repeat("k", 40), nil, frame.ErrTooLong},
		{"the longest line", requests, "get " + strings.Repeat("k", 36) + "\r\n",
			[]string{"get " + strings.Repeat("k", 36) + "\r\n"}, nil},
		{"a name without end", requests, strings.Repeat("a", 33), nil, frame.ErrMalformed},
		{"bare LF", requests, "get k\n", nil, frame.ErrMalformed},
		{"bare LF behind the length", requests, "set k 0 0 1\na\r\n", nil, frame.ErrMalformed},
		{"bare LF behind the data", requests, "set k 0 0 1\r\na\n", nil, frame.ErrMalformed},
		{"bare CR", requests, "get k\rflush_all\r\n", nil, frame.ErrMalformed},
		{"NUL in a key", requests, "get k\x00\r\n", nil, frame.ErrMalformed},
		{"tab", requests, "get\tk\r\n", nil, frame.ErrMalformed},
		{"empty line", requests, "\r\n", nil, frame.ErrMalformed},
		{"blank in front", requests, " get k\r\n", nil, frame.ErrMalformed},
		{"HTTP", requests, "POST / HTTP/1.1\r\n", nil, frame.ErrMalformed},
		{"upper case", requests, "SET k 0 0 1\r\n", nil, frame.ErrMalformed},
		{"binary protocol", requests, "\x80\x00\x00\x01", nil, frame.ErrMalformed},

		{"lines", replies, "STORED\r\nNOT_FOUND\r\n17\r\nVERSION 1.6\r\nOK\r\nERROR\r\nCLIENT_ERROR bad line\r\n",
			[]string{"STORED\r\n", "NOT_FOUND\r\n", "17\r\n", "VERSION 1.6\r\n", "OK\r\n", "ERROR\r\n",
				"CLIENT_ERROR bad line\r\n"}, nil},
		{"values", replies, "VALUE a 0 3\r\nEND\r\nVALUE b 1 0 77\r\n\r\nEND\r\nEND\r\n",
			[]string{"VALUE a 0 3\r\nEND\r\nVALUE b 1 0 77\r\n\r\nEND\r\n", "END\r\n"}, nil},
		{"meta values", replies, "VA 5 t-1\r\nEND\r\n\r\nHD\r\nEN\r\nMN\r\n",
			[]string{"VA 5 t-1\r\nEND\r\n\r\n", "HD\r\n", "EN\r\n", "MN\r\n"}, nil},
		{"stats", replies, "STAT pid 1\r\nSTAT a b c\r\nEND\r\nRESET\r\n",
			[]string{"STAT pid 1\r\nSTAT a b c\r\nEND\r\n", "RESET\r\n"}, nil},
		{"an error among the values", replies, "VALUE a 0 1\r\nx\r\nSERVER_ERROR out of memory\r\nSTORED\r\n",
			[]string{"VALUE a 0 1\r\nx\r\nSERVER_ERROR out of memory\r\n", "STORED\r\n"}, nil},
		{"something else among the values", replies, "VALUE a 0 1\r\nx\r\nSTORED\r\n", nil, frame.ErrMalformed},
		{"values without END", replies, "VALUE a 0 1\r\nx\r\n", nil, io.ErrUnexpectedEOF},
		{"values without room for END", replies, "VALUE a 0 81\r\n", nil, frame.ErrTooLong},
		{"values with just the room", replies, "VALUE a 0 79\r\n" + strings.Repeat("x", 79) + "\r\nEND\r\n",
			[]string{"VALUE a 0 79\r\n" + strings.Repeat("x", 79) + "\r\nEND\r\n"}, nil},
		{"values without end", replies, strings.Repeat("VALUE a 0 1\r\nx\r\n", 9), nil, frame.ErrTooLong},
		{"value shorter than its data", replies, "VALUE a 0 1\r\nxy\r\nEND\r\n", nil, frame.ErrMalformed},
		{"value of negative length", replies, "VALUE a 0 -1\r\n", nil, frame.ErrMalformed},
		{"value without length", replies, "VALUE a 0\r\n", nil, frame.ErrMalformed},
		{"meta value without length", replies, "VA\r\n", nil, frame.ErrMalformed},
		{"huge value", replies, "VALUE a 0 99999999999999999999\r\n", nil, frame.ErrTooLong},
		{"bare LF in a reply", replies, "STORED\n", nil, frame.ErrMalformed},
		{"blank before a reply", replies, " VALUE a 0 1\r\nx\r\nEND\r\n", nil, frame.ErrMalformed},
		{"empty reply", replies, "\r\n", nil, frame.ErrMalformed},
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
	items := []byte(strings.Repeat("VALUE k 0 1\r\nx\r\n", 1000) + "END\r\n")
	for _, row := range []struct {
		codec  frame.Resumer
		stream []byte
	}{
		{memcache.Requests{}, []byte("get" + strings.Repeat(" key", 5000) + "\r\n")},
		{memcache.Replies{}, items},
	} {
		var at frame.State
		for n := range row.stream {
			s, err := row.codec.Resume(row.stream[:n:n], &at)
			if err != nil || s.Size <= n || s.Size > len(row.stream) {
				t.Fatalf("%s: %d bytes of %d: got %+v, %v", row.codec, n, len(row.stream), s, err)
			}
			if n > 40 && max(at[0], at[1], at[2])+20 < n {
				t.Fatalf("%s: with %d bytes there, the next call begins at byte %d", row.codec, n, max(at[0], at[1]))
			}
		}
	}
}

func TestWords(t *testing.T) {
	for _, row := range []struct{ msg, want, data string }{
		{"get  a b \r\n", `["get" "a" "b"]`, "<nil>"},
		{"set k 1 2 3 noreply\r\na\r\n\r\n", `["set" "k" "1" "2" "3" "noreply"]`, "a\r\n"},
		{"ms k 0\r\n\r\n", `["ms" "k" "0"]`, ""},
	} {
		words, data, err := memcache.Words(nil, []byte(row.msg))
		got := string(data)
		if data == nil {
			got = "<nil>"
		}
		if err != nil || fmt.Sprintf("%q", words) != row.want || got != row.data {
			t.Errorf("Words(%q): got %q, %q, %v; want %s, %q", row.msg, words, got, err, row.want, row.data)
		}
	}
	for _, msg := range []string{"", "get k", "get k\r\nget k\r\n", "set k 0 0 5\r\nhel", "set k 0 0\r\n"} {
		if words, _, err := memcache.Words(nil, []byte(msg)); !errors.Is(err, frame.ErrMalformed) {
			t.Errorf("Words(%q): got %q, %v; want ErrMalformed", msg, words, err)
		}
	}
	for _, p := range []string{"", "END", "END\n", "VALUE k 0 5\r\nhel", "VALUE k 0 1\r\nab\r\n", "VALUE k 0 -1\r\n"} {
		if words, _, _, err := memcache.Next(nil, []byte(p)); !errors.Is(err, frame.ErrMalformed) {
			t.Errorf("Next(%q): got %q, %v; want ErrMalformed", p, words, err)
		}
	}
}

// TestInjection: a key or a text from a user makes no request and no reply of its own.
func TestInjection(t *testing.T) {
	dst := []byte("before")
	for _, key := range []string{"", "a b", "a\r\nflush_all", "a\n", "a\x00", "a\tb", "a\x7f"} {
		for name, appended := range map[string]func() ([]byte, error){
			"AppendLine":             func() ([]byte, error) { return memcache.AppendLine(dst, "get", key) },
			"AppendStore":            func() ([]byte, error) { return memcache.AppendStore(dst, "set", key, 0, 0, nil) },
			"AppendStore, more":      func() ([]byte, error) { return memcache.AppendStore(dst, "set", "k", 0, 0, nil, key) },
			"AppendMetaSet":          func() ([]byte, error) { return memcache.AppendMetaSet(dst, key, nil) },
			"AppendMetaSet, flags":   func() ([]byte, error) { return memcache.AppendMetaSet(dst, "k", nil, key) },
			"AppendValue":            func() ([]byte, error) { return memcache.AppendValue(dst, key, 0, nil) },
			"AppendValue, more":      func() ([]byte, error) { return memcache.AppendValue(dst, "k", 0, nil, key) },
			"AppendMetaValue, flags": func() ([]byte, error) { return memcache.AppendMetaValue(dst, nil, key) },
		} {
			if got, err := appended(); !errors.Is(err, frame.ErrMalformed) || string(got) != "before" {
				t.Errorf("%s with %q: got %q, %v; want ErrMalformed and dst", name, key, got, err)
			}
		}
	}
	if got, err := memcache.AppendStore(dst, "get", "k", 0, 0, nil); !errors.Is(err, frame.ErrMalformed) ||
		string(got) != "before" {
		t.Errorf("AppendStore of a get: got %q, %v; want ErrMalformed and dst", got, err)
	}
	if got, err := memcache.AppendLine[string](dst); !errors.Is(err, frame.ErrMalformed) || string(got) != "before" {
		t.Errorf("AppendLine of no word: got %q, %v; want ErrMalformed and dst", got, err)
	}
	for _, p := range [][]byte{memcache.AppendClientError(nil, "no 'a\r\nSTORED\r\n'"),
		memcache.AppendServerError(nil, "a\nEND")} {
		if got := frametest.Decode(t, memcache.Replies{}, p, len(p)); len(got.Messages) != 1 || got.Err != nil {
			t.Errorf("%q is %v, want one message", p, got)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []frame.Codec{memcache.Requests{Max: -1}, memcache.Requests{Max: 63}, memcache.Requests{MaxLine: -1},
		memcache.Replies{Max: 1<<30 + 1}, memcache.Replies{MaxLine: -1}} {
		if _, err := frame.NewDecoder(c); err == nil || !strings.Contains(err.Error(), "it must be") {
			t.Errorf("%#v: got %v, want an error that says what would be right", c, err)
		}
	}
}

// BenchmarkRequests takes a set with data of 64 bytes out of a piece of 64 KiB, and apart.
func BenchmarkRequests(b *testing.B) {
	one, err := memcache.AppendStore(nil, "set", "key:000000000042", 0, 0, bytes.Repeat([]byte{'x'}, 64))
	if err != nil {
		b.Fatal(err)
	}
	piece := bytes.Repeat(one, (64<<10)/len(one))
	d, err := frame.NewDecoder(memcache.Requests{})
	if err != nil {
		b.Fatal(err)
	}
	var words [][]byte
	b.ReportAllocs()
	for n := 0; n < b.N; {
		for msg, err := range d.Feed(piece) {
			if words, _, err = memcache.Words(words[:0], msg); err != nil || len(words) != 5 {
				b.Fatal(err)
			}
			n++
		}
	}
}

func ExampleRequests() {
	d, err := frame.NewDecoder(memcache.Requests{Max: 1 << 16})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, piece := range []string{"set greeting 0 60 5\r\nhe", "llo\r\nget greeting\r\n"} {
		for msg, err := range d.Feed([]byte(piece)) {
			if err != nil {
				fmt.Println(err)
				return
			}
			words, data, err := memcache.Words(nil, msg)
			fmt.Printf("%q %q %v\n", words, data, err)
		}
	}
	// Output:
	// ["set" "greeting" "0" "60" "5"] "hello" <nil>
	// ["get" "greeting"] "" <nil>
}
