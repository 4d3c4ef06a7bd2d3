package frame

import (
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, row := range []struct {
		spec   string
		want   Codec
		normal string // what String prints, if it is not spec
	}{
		{"len1", Length{Bytes: 1}, ""},
		{"len2", Length{Bytes: 2}, ""},
		{"len3", Length{Bytes: 3}, ""},
		{"len4", Length{Bytes: 4}, ""},
		{"len8", Length{Bytes: 8}, ""},
		{"len2le", Length{Bytes: 2, LittleEndian: true}, ""},
		{"len2be", Length{Bytes: 2}, "len2"},
		{"len4,max=65536", Length{Bytes: 4, Max: 65536}, ""},
		{"len4,max=64KiB", Length{Bytes: 4, Max: 65536}, "len4,max=65536"},
		{"len4,max=2MiB", Length{Bytes: 4, Max: 2 << 20}, "len4,max=2097152"},
		{"len4,max=1048576", Length{Bytes: 4, Max: 1 << 20}, ""},
		{"len2,offset=1,adjust=-3,strip=3", Length{Bytes: 2, Offset: 1, Adjust: -3, Strip: 3}, ""},
		{"len3,max=100,keep,adjust=2", Length{Bytes: 3, Adjust: 2, Keep: true, Max: 100}, "len3,adjust=2,keep,max=100"},
		{"len4le,inclusive,keep", Length{Bytes: 4, LittleEndian: true, Inclusive: true, Keep: true}, ""},
		{"len4,offset=0", Length{Bytes: 4}, "len4"},
		{"multiprocessing", Multiprocessing{}, ""},
		{"multiprocessing,max=10", Multiprocessing{Max: 10}, ""},
		{"varint", Varint{}, ""},
		{"varint,max=10", Varint{Max: 10}, ""},
		{"line", Line{}, ""},
		{"line,max=80", Line{Max: 80}, ""},
		{"crlf", Line{CRLF: true}, ""},
		{"crlf,max=512", Line{CRLF: true, Max: 512}, ""},
		{"netstring", Netstring{}, ""},
		{"netstring,max=1", Netstring{Max: 1}, ""},
		{"fixed:16", Fixed{Size: 16}, ""},
		{"fixed:4KiB", Fixed{Size: 4096}, "fixed:4096"},
		{`delim:\r\n\r\n`, Delimited{Delim: "\r\n\r\n"}, ""},
		{`delim:||,max=10`, Delimited{Delim: "||", Max: 10}, ""},
		{`delim::`, Delimited{Delim: ":"}, ""},
		{`delim:=`, Delimited{Delim: "="}, ""},
		{`delim:\,,max=9`, Delimited{Delim: ",", Max: 9}, `delim:\x2c,max=9`},
		{`delim:\\`, Delimited{Delim: `\`}, ""},
		{`delim:\\,max=9`, Delimited{Delim: `\`, Max: 9}, ""},
		{`delim:\0\xFF\t`, Delimited{Delim: "\x00\xff\t"}, `delim:\x00\xff\t`},
		{"delim:& #;", Delimited{Delim: "& #;"}, `delim:\x26\x20\x23\x3b`},
		{"delim:end", Delimited{Delim: "end"}, ""},
		{"delim:\r\n", Delimited{Delim: "\r\n"}, `delim:\r\n`},
	} {
		t.Run(row.spec, func(t *testing.T) {
			got, err := Parse(row.spec)
			if err != nil || got != row.want {
				t.Fatalf("got %#v, error %v; want %#v", got, err, row.want)
			}
			normal := row.normal
			if normal == "" {
				normal = row.spec
			}
			if s := got.String(); s != normal {
				t.Fatalf("String: got %s, want %s", s, normal)
			}
			checkSpec(t, got)
		})
	}
}

// checkSpec checks that c's spec is read back as c, as it is and out of a URL's query.
func checkSpec(t *testing.T, c Codec) {
	t.Helper()
	spec := c.String()
	if back, err := Parse(spec); err != nil || back != c {
		t.Fatalf("Parse(%q): got %#v, error %v; want %#v", spec, back, err, c)
	}
	u, err := url.Parse("tcp://127.0.0.1:9000?a=b&frame=" + spec + "&c=d")
	if err != nil {
		t.Fatal(err)
	}
	if q := u.Query(); q.Get("frame") != spec || q.Get("a") != "b" || q.Get("c") != "d" {
		t.Fatalf("in a URL's query %q becomes %v", spec, q)
	}
}

func TestParseErrors(t *testing.T) {
	for _, row := range []struct{ spec, want string }{
		{"", "the name is missing: want len1"},
		{",max=1", "the name is missing"},
		{":x", "the name is missing"},
		{"lines", `no codec has the name "lines": want len1`},
		{"LINE", `no codec has the name "LINE"`},
		{"line ", `no codec has the name "line "`},
		{"len", "1, 2, 3, 4 or 8 bytes wide"},
		{"len5", "1, 2, 3, 4 or 8 bytes wide"},
		{"len04", "1, 2, 3, 4 or 8 bytes wide"},
		{"len4xe", "1, 2, 3, 4 or 8 bytes wide"},
		{"len4lebe", "1, 2, 3, 4 or 8 bytes wide"},
		{"len4,", `unknown option ""`},
		{"len4,size=3", `unknown option "size": this codec has offset, adjust, inclusive, keep, strip, max`},
		{"line,keep", `unknown option "keep": this codec has max`},
		{"len4,Max=3", `unknown option "Max"`},
		{"len4,max", "option max needs a number, as in max=16"},
		{"len4,max=", "option max=: that is no whole number; want bytes, as in 65536 or 64KiB"},
		{"len4,max=64K", "option max=64K: that is no whole number"},
		{"len4,max=1.5MiB", "option max=1.5MiB: that is no whole number"},
		{"len4,max=KiB", "option max=KiB: that is no whole number"},
		{"len4,max=+5", "option max=+5: that is no whole number"},
		{"len4,max=0", "option max=0: a size must be positive"},
		{"len4,max=-1", "option max=-1: a size must be positive"},
		{"len4,max=99999999999999999999", "the number is too large"},
		{"len4,max=9000000000GiB", "is too large"},
		{"len4,max=5,max=5", "option max is there twice"},
		{"len4,keep,keep", "option keep is there twice"},
		{"len4,keep=1", "option keep takes no value"},
		{"len4,offset", "option offset needs a number"},
		{"len4,offset=x", "option offset=x: that is no whole number"},
		{"len4,offset=-1", "Offset is -1"},
		{"len4,strip=0", "to strip nothing write keep"},
		{"len4,keep,strip=2", "set one of them"},
		{"len2,max=65536", "Max is 65536: with 2 bytes of length no message is longer than 65535"},
		{"line:x", `a colon follows "line"`},
		{"len4:", `a colon follows "len4"`},
		{"fixed", "needs the size of a message, as in fixed:16"},
		{"fixed:", "needs the size of a message"},
		{"fixed:0", "fixed:0: a size must be positive"},
		{"fixed:x", "fixed:x: that is no whole number"},
		{"fixed:16,max=16", "fixed takes no max"},
		{"fixed:16,keep", `unknown option "keep": this codec has none`},
		{"delim", "needs the bytes that end a message"},
		{"line~", "the name is missing"},
		{"~line", "the name is missing"},
		{"line~line~line", "two tildes"},
		{"line~len4,max=0", "a size must be positive"},
		{"line~len2,max=65536", "(Out of a Pair)"},
		{"delim:", "needs the bytes that end a message"},
		{"delim:,max=5", "needs the bytes that end a message"},
		{`delim:a\`, "a backslash at the end"},
		{`delim:\q`, `unknown escape \q`},
		{`delim:\x`, "two hexadecimal digits"},
		{`delim:\x1`, "two hexadecimal digits"},
		{`delim:\xg0`, "two hexadecimal digits"},
		{`delim:\x+1`, "two hexadecimal digits"},
		{"delim:" + strings.Repeat("x", 256), "Delim has 256 bytes"},
	} {
		t.Run(row.spec, func(t *testing.T) {
			c, err := Parse(row.spec)
			if c != nil || err == nil || !strings.Contains(err.Error(), row.want) ||
				!strings.HasPrefix(err.Error(), "frame: spec \"") {
				t.Errorf("Parse(%q): got %v, error %v; want an error with %q", row.spec, c, err, row.want)
			}
		})
	}
}

// TestSpecIdentity: any codec that passes Check is printed and read back.
func TestSpecIdentity(t *testing.T) {
	r := newRand(t)
	for n := 0; n < 5000; {
		c := randomCodec(r)
		if c.Check() == nil {
			checkSpec(t, c)
			n++
		}
	}
}

// randomCodec makes codecs with fields of all kinds, valid ones and others.
func randomCodec(r *rand.Rand) Codec {
	num := func(n int) int { return r.IntN(2) * (r.IntN(n+1) - r.IntN(2)) }
	size := num(1 << r.IntN(20))
	switch r.IntN(8) {
	case 7:
		return Pair{In: Varint{Max: size}, Out: Delimited{Delim: string(anyBytes(r, 1+r.IntN(5))), Max: size}}
	case 0:
		return Multiprocessing{Max: size}
	case 1:
		return Varint{Max: size}
	case 2:
		return Line{CRLF: r.IntN(2) == 0, Max: size}
	case 3:
		return Netstring{Max: size}
	case 4:
		return Fixed{Size: size}
	case 5:
		return Delimited{Delim: string(anyBytes(r, r.IntN(40))), Max: size}
	}
	return Length{Bytes: []int{1, 2, 3, 4, 8}[r.IntN(5)], LittleEndian: r.IntN(2) == 0, Inclusive: r.IntN(2) == 0,
		Keep: r.IntN(3) == 0, Offset: num(20), Adjust: r.IntN(2) * (r.IntN(41) - 20), Strip: num(20), Max: size}
}

// FuzzParse: no spec makes Parse panic, and one that is right is printed and read back.
func FuzzParse(f *testing.F) {
	for _, spec := range []string{"len4", "len2le,offset=1,adjust=-3,inclusive,strip=3,max=64KiB", "len8,keep",
		"varint,max=1",
		"multiprocessing", "line", "crlf,max=80", "netstring", "fixed:16", `delim:\r\n\x00\,`, `delim:\`, "len4,max=,max"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		c, err := Parse(spec)
		if (c == nil) != (err != nil) {
			t.Fatalf("Parse(%q): got %v and %v", spec, c, err)
		}
		if err == nil {
			checkSpec(t, c)
		}
	})
}
