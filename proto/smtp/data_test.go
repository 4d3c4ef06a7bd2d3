package smtp

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// decode decodes in, which comes in pieces, each written over itself.
func decode(d *DataDecoder, pieces ...string) (text, rest string, end bool, err error) {
	var out []byte
	for i, p := range pieces {
		b := []byte(p)
		for len(b) > 0 {
			n, m, e, err := d.Decode(b, b)
			out = append(out, b[:n]...)
			b = b[m:]
			if err != nil || e {
				return string(out), string(b) + strings.Join(pieces[i+1:], ""), e, err
			}
			if m == 0 {
				panic("it takes nothing")
			}
		}
	}
	return string(out), "", false, nil
}

// dataCases are what may follow DATA, and what is found in it. behind is what stands behind each.
var dataCases = []struct {
	name, in, text string
	end            bool
	err            error
}{
	{"a line", "a\r\n.\r\n", "a\r\n", true, nil},
	{"nothing", ".\r\n", "", true, nil},
	{"an empty line", "\r\n.\r\n", "\r\n", true, nil},
	{"dots", "..\r\n...\r\n.x\r\na.\r\n.\r\n", ".\r\n..\r\nx\r\na.\r\n", true, nil},
	{"a dot that is content, with a CR behind", "..\r\nx\r\n.\r\n", ".\r\nx\r\n", true, nil},
	{"LF . LF", "a\n.\nb", "a", false, ErrBareLF},
	{"LF . CR LF", "a\n.\r\nb", "a", false, ErrBareLF},
	{"CR LF . LF", "a\r\n.\nb", "a\r\n", false, ErrBareLF},
	{"CR . CR", "a\r.\rb", "a\r", false, ErrBareCR},
	{"CR . CR LF", "a\r.\r\nb", "a\r", false, ErrBareCR},
	{"CR LF . CR", "a\r\n.\rb", "a\r\n", false, ErrBareCR},
	{"CR . LF", "a\r.\nb", "a\r", false, ErrBareCR},
	{"LF . CR", "a\n.\rb", "a", false, ErrBareLF},
	{"CR CR LF . CR LF", "a\r\r\n.\r\nb", "a\r", false, ErrBareCR},
	{"CR LF . CR CR LF", "a\r\n.\r\r\nb", "a\r\n", false, ErrBareCR},
	{"LF CR . CR LF", "a\n\r.\r\nb", "a", false, ErrBareLF},
	{"CR LF NUL . CR LF", "a\r\n\x00.\r\nb", "a\r\n", false, ErrNUL},
	{"CR LF . NUL CR LF", "a\r\n.\x00\r\nb", "a\r\n", false, ErrNUL},
	{"CR NUL LF . CR LF", "a\r\x00\n.\r\nb", "a\r", false, ErrBareCR},
	{"NUL", "a\x00b\r\n", "a", false, ErrNUL},
	{"LF", "a\nb", "a", false, ErrBareLF},
	{"LF LF", "a\r\n\nb", "a\r\n", false, ErrBareLF},
	{"LF first", "\nb", "", false, ErrBareLF},
	{"CR", "a\rb", "a\r", false, ErrBareCR},
	{"CR LF SP . CR LF", "a\r\n .\r\nb", "a\r\n .\r\nb", false, nil},
	{"CR LF . SP CR LF", "a\r\n. \r\nb", "a\r\n \r\nb", false, nil},
	{"CR LF . CR LF with a line of other ends", "a\x85.\x85\r\n\v.\f\r\n.\r\n", "a\x85.\x85\r\n\v.\f\r\n", true, nil},
	{"the end with eighth bits", "a\x8d\x8a.\x8d\x8a.\r\n", "a\x8d\x8a.\x8d\x8a.\r\n", false, nil},
}

// TestDataEnd: a message ends at CR LF . CR LF and nowhere else, however the bytes are cut: once, twice, and into
// single ones.
func TestDataEnd(t *testing.T) {
	for _, row := range dataCases {
		t.Run(row.name, func(t *testing.T) {
			in := row.in
			if row.end {
				in += "MAIL FROM:<>\r\n"
			}
			check := func(pieces ...string) {
				t.Helper()
				text, rest, end, err := decode(new(DataDecoder), pieces...)
				if text != row.text || end != row.end || err != row.err {
					t.Errorf("%q: %q, %v, %v; want %q, %v, %v", pieces, text, end, err, row.text, row.end, row.err)
				}
				if end && rest != "MAIL FROM:<>\r\n" {
					t.Errorf("%q: the rest is %q", pieces, rest)
				}
			}
			for i := range len(in) {
				for k := i; k < len(in); k++ {
					check(in[:i], in[i:k], in[k:])
				}
			}
			check(strings.Split(in, "")...)
		})
	}
}

// TestDataSmall: what is written never needs more room than there is.
func TestDataSmall(t *testing.T) {
	in := []byte("..a\r\n...\r\nbc\r\n.\r\nQUIT")
	for room := 1; room < 8; room++ {
		var d DataDecoder
		var out []byte
		src, dst := in, make([]byte, room)
		for end := false; !end; {
			var n, m int
			var err error
			if n, m, end, err = d.Decode(dst, src); err != nil {
				t.Fatal(err)
			}
			out, src = append(out, dst[:n]...), src[m:]
		}
		if string(out) != ".a\r\n..\r\nbc\r\n" || string(src) != "QUIT" {
			t.Errorf("with room for %d: %q, and %q is left", room, out, src)
		}
	}
}

// TestTextLine: a line that is too long is told once, and the end is found behind it.
func TestTextLine(t *testing.T) {
	for n, bad := range map[int]bool{7: false, 8: false, 9: true, 30: true} {
		for cut := range n {
			line := strings.Repeat("x", n-2) + "\r\n"
			d := DataDecoder{TextLine: 8}
			told := 0
			var out []byte
			end := false
			for _, p := range []string{line[:cut], line[cut:] + "..345678\r\n.\r\n"} {
				b := []byte(p)
				for len(b) > 0 {
					k, m, e, err := d.Decode(b, b)
					out = append(out, b[:k]...)
					if b, end = b[m:], e; err == ErrTextLine {
						told++
					} else if err != nil {
						t.Fatal(err)
					}
				}
			}
			want := 1 // the line with the dot: 9 bytes without the one that is taken out
			if bad {
				want = 2
			}
			if told != want || !end || string(out) != line+".345678\r\n" {
				t.Errorf("%d bytes, cut at %d: told %d times, end %v, %q", n, cut, told, end, out)
			}
		}
	}
}

// TestPlain: the chunks of BDAT have neither dots nor an end, and their lines are checked likewise.
func TestPlain(t *testing.T) {
	for in, want := range map[string]error{".\r\n.\r\n..\r\n": nil, "a\nb": ErrBareLF, "a\rb": ErrBareCR, "\x00": ErrNUL} {
		text, _, end, err := decode(&DataDecoder{Plain: true}, in)
		if err != want || end || want == nil && text != in {
			t.Errorf("%q: %q, %v, %v", in, text, end, err)
		}
	}
	d := DataDecoder{Plain: true}
	if _, _, _, err := decode(&d, "a\r"); err != nil || d.Cut() != ErrBareCR {
		t.Errorf("a CR at the end: %v, %v", err, d.Cut())
	}
}

// encode encodes a message that comes in pieces.
func encode(e DataEncoder, pieces ...string) (string, error) {
	var b []byte
	var err error
	for _, p := range pieces {
		if b, err = e.Append(b, []byte(p)); err != nil {
			return string(b), err
		}
	}
	b, err = e.End(b)
	return string(b), err
}

// TestEncoder: what is sent has no CR and LF but those of line ends, and no dot alone but the last one, at any cut.
func TestEncoder(t *testing.T) {
	for _, row := range []struct {
		in, out string
		convert bool
		err     error
	}{
		{"", ".\r\n", false, nil},
		{"a", "a\r\n.\r\n", false, nil},
		{"a\r\n", "a\r\n.\r\n", false, nil},
		{".\r\n..a\r\n.b", "..\r\n...a\r\n..b\r\n.\r\n", false, nil},
		{"a\n", "", false, ErrBareLF},
		{"\n.\n", "", false, ErrBareLF},
		{"a\r", "", false, ErrBareCR},
		{"a\r\r\n", "", false, ErrBareCR},
		{"a\rb\r\n", "", false, ErrBareCR},
		{"a\r\n.\rb", "", false, ErrBareCR},
		{"a\x00\r\n", "", false, ErrNUL},
		{"a\n.\nb\r\n.c\n", "a\r\n..\r\nb\r\n..c\r\n.\r\n", true, nil},
		{"\n\n", "\r\n\r\n.\r\n", true, nil},
		{"a\rb", "", true, ErrBareCR},
		{"a\r", "", true, ErrBareCR},
	} {
		for cut := range len(row.in) + 1 {
			out, err := encode(DataEncoder{ConvertLF: row.convert}, row.in[:cut], row.in[cut:])
			if err != row.err || err == nil && out != row.out {
				t.Errorf("%q cut at %d: %q, %v; want %q, %v", row.in, cut, out, err, row.out, row.err)
			}
			if strings.Contains("\r\n"+out, "\r\n.\r\n") && row.err != nil {
				t.Errorf("%q is refused, and ended: %q", row.in, out)
			}
		}
	}
}

// TestThereAndBack: random messages come through, at random cuts; what the encoder refuses, so does the decoder.
func TestThereAndBack(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 20000 {
		in := make([]byte, r.IntN(12))
		for i := range in {
			in[i] = "\r\n.a\x00\r\n..\r\n"[r.IntN(11)]
		}
		cut := r.IntN(len(in) + 1)
		sent, err := encode(DataEncoder{}, string(in[:cut]), string(in[cut:]))
		if err != nil {
			_, _, end, e := decode(new(DataDecoder), strings.ReplaceAll("\r\n"+string(in), "\r\n.", "\r\n..")[2:]+"\r\n.\r\n")
			if e == nil && (end || !errors.Is(err, ErrBareCR)) {
				t.Fatalf("seed %d: %q is refused (%v) and can be read", seed, in, err)
			}
			continue
		}
		if len(in) > 0 && !bytes.HasSuffix(in, []byte("\r\n")) {
			in = append(in, '\r', '\n')
		}
		cut = r.IntN(len(sent) + 1)
		text, rest, end, err := decode(new(DataDecoder), sent[:cut], sent[cut:]+"x")
		if text != string(in) || rest != "x" || !end || err != nil {
			t.Fatalf("seed %d: %q comes as %q, %q, %v, %v", seed, in, text, rest, end, err)
		}
	}
}
