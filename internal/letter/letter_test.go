package letter

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func read(s string) *Letter { return Read([]byte(strings.ReplaceAll(s, "\n", "\r\n")), Limits{}) }

const alternative = `From: "J=?utf-8?q?=C3=B6?=rg" <joerg@example.com>
To: a@example.com, "B, b" <b@example.com>
Subject: =?iso-8859-1?q?Gr=FC=DFe?= =?gb2312?b?xOO6ww==?=
 and more
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="out:er"

preamble
--out:er
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=iso-8859-15
Content-Transfer-Encoding: quoted-printable

5 =A4 =
for you
--inner  
Content-Type: text/html; charset=gbk
Content-Transfer-Encoding: base64

PGI+xOO6wzwvYj4=
--inner--
--out:er
Content-Type: application/pdf; name="x.pdf"
Content-Disposition: attachment; filename*=utf-8''%e2%82%ac.pdf
Content-Transfer-Encoding: base64
Content-ID: <c1@x>

JVBE
Rg==
--out:er--
epilogue
`

func TestRead(t *testing.T) {
	t.Parallel()
	m := read(alternative)
	if got := Words(m.Header.Get("subject")); got != "Grüße你好 and more" && got != "Grüße你好  and more" {
		t.Errorf("the subject is %q", got)
	}
	if got := m.Text(); got != "5 € for you" {
		t.Errorf("the text is %q", got)
	}
	if got := m.HTML(); got != "<b>你好</b>" {
		t.Errorf("the HTML is %q", got)
	}
	if len(m.Parts) != 3 || m.Attached(0) || m.Attached(1) || !m.Attached(2) || len(m.Cut) != 0 {
		t.Fatalf("there are %d parts, cut %q: %+v", len(m.Parts), m.Cut, m.Parts)
	}
	p := &m.Parts[2]
	if b, err := io.ReadAll(p.Reader()); string(b) != "%PDF" || err != nil || p.Name != "€.pdf" || p.ID != "c1@x" {
		t.Errorf("the attachment %q has %q, %v; its ID is %q", p.Name, b, err, p.ID)
	}
	to := Addresses(m.Header.Get("To"))
	if want := []Address{{"", "a@example.com"}, {"B, b", "b@example.com"}}; !slices.Equal(to, want) {
		t.Errorf("To is %v, want %v", to, want)
	}
}

// TestLenient: what is wrong is shown all the same.
func TestLenient(t *testing.T) {
	t.Parallel()
	const multi = "Content-Type: multipart/mixed; boundary=b\n\n"
	for _, row := range []struct{ name, mail, text, html string }{
		{"nothing", "", "", ""},
		{"no header", "hello there\nyou", "hello there\nyou", ""},
		{"an empty header", "\nhello", "hello", ""},
		{"no body", "Subject: x", "", ""},
		{"of an mbox", "From a@b Mon\nSubject: x\n\nhello", "hello", ""},
		{"a header that is broken off", "Subject: x\nhello: there\nthis is none\nhello", "this is none\nhello", ""},
		{"begins with a folded line", " x: y\n\nhello", " x: y\n\nhello", ""},
		{"a boundary that is nowhere", multi + "hello", "hello", ""},
		{"no end", multi + "--b\n\nhello", "hello", ""},
		{"an end at once", multi + "--b--\nhello", "--b--\nhello", ""},
		{"a longer boundary", multi + "--b\n\none\n--bb\ntwo\n--b--", "one\n--bb\ntwo", ""},
		{"a boundary within a line", multi + "--b\n\none --b\ntwo\n--b--", "one --b\ntwo", ""},
		{"an empty part", multi + "--b\n--b\n\nx\n--b--", "x", ""},
		{"no boundary", "Content-Type: multipart/mixed\n\nhello", "", ""},
		{"a type that is none", "Content-Type: ;;;=\n\nhello", "hello", ""},
		{"a broken parameter", "Content-Type: text/html; charset=utf-8; x=\"\n\n<p>", "", "<p>"},
		{"an unquoted boundary", "Content-Type: multipart/mixed; boundary=a:b\n\n--a:b\n\nhello\n--a:b--", "hello", ""},
		{"a charset that is not known", "Content-Type: text/plain; charset=klingon\n\nna\xefve", "na\ufffdve", ""},
		{"UTF-16", "Content-Type: text/plain; charset=utf-16le\n\nh\x00i\x00", "hi", ""},
		{"the charset of the HTML", "Content-Type: text/html\n\n<meta charset=latin1>\xe4", "", "<meta charset=latin1>ä"},
		{"base64 with rubbish", "Content-Transfer-Encoding: base64\n\naGVs*bG8=\n", "hello", ""},
		{"base64, joined", "Content-Transfer-Encoding: BASE64 \n\naGVs bG8=d29ybGQ=", "helloworld", ""},
		{"base64 without its end", "Content-Transfer-Encoding: base64\n\naGVsbG8", "hello", ""},
		{"quoted with rubbish", "Content-Transfer-Encoding: quoted-printable\n\n=zz=3d= \n=", "=zz=", ""},
		{"an encoding that is not known", "Content-Transfer-Encoding: x-uuencode\n\nhello", "hello", ""},
		{"two texts", multi + "--b\n\none\n--b\n\ntwo\n--b--", "one\ntwo", ""},
		{"a text that is a file", multi + "--b\nContent-Disposition: attachment\n\none\n--b\n\ntwo\n--b--", "two", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := read(row.mail)
			if text, html := m.Text(), m.HTML(); text != row.text || html != row.html {
				t.Errorf("%q has the text %q and the HTML %q, want %q and %q", row.mail, text, html, row.text, row.html)
			}
		})
	}
}

// TestAttacks: what is made to cost much costs little, and says what was cut.
func TestAttacks(t *testing.T) {
	t.Parallel()
	nested := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		return b.String() + "\nhello"
	}
	for _, row := range []struct{ name, mail, cut string }{
		{"10,000 nested multiparts", nested(10_000), "Depth"},
		{"10,000 nested multiparts of one boundary", strings.Repeat(
			"Content-Type: multipart/mixed; boundary=b\n\n--b\n", 10_000), ""},
		{"100,000 parts", "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 100_000), "Parts"},
		{"a field of 8 MiB", "Subject: " + strings.Repeat("x", 8<<20) + "\n\nhello", "HeaderBytes"},
		{"a folded field of 8 MiB", "Subject: x" + strings.Repeat("\n x", 2<<20) + "\n\nhello", "HeaderBytes"},
		{"a million fields", strings.Repeat("X: y\n", 1_000_000) + "\nhello", "Fields"},
		{"20 MB of base64", "Content-Transfer-Encoding: base64\n\n" +
			base64.StdEncoding.EncodeToString(make([]byte, 20<<20)), "TextBytes"},
		{"much of a charset that swells", "Content-Type: text/plain; charset=gbk\n\n" + strings.Repeat("\xc4\xe3", 4<<20),
			"TextBytes"},
		{"a million encoded words", "Subject: " + strings.Repeat("=?utf-8?b?eA==?= ", 1_000_000) + "\n\nhello",
			"HeaderBytes"},
		{"a million comments in an address", "To: " + strings.Repeat("(", 1_000_000) + "\n\nhello", "HeaderBytes"},
		{"a boundary nearly everywhere", "Content-Type: multipart/mixed; boundary=" + strings.Repeat("a", 30) + "\n\n" +
			strings.Repeat("--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 200_000), "TextBytes"},
		{"a million tags", "Content-Type: text/html\n\n" + strings.Repeat("<style><!--<", 1_000_000), "TextBytes"},
		{"a million soft breaks that are none", "Content-Transfer-Encoding: quoted-printable\n\n" +
			strings.Repeat("= ", 1_000_000), "TextBytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			m := read(row.mail)
			text, html, said := m.Text(), m.HTML(), Line(m.Said(64<<10), 200)
			Words(m.Header.Get("Subject"))
			Addresses(m.Header.Get("To"))
			most := Limits{}.WithDefaults()
			if len(m.Parts) > most.Parts || len(text) > 2*most.TextBytes || len(html) > 2*most.TextBytes || len(said) > 200 {
				t.Errorf("%d parts, a text of %d, HTML of %d", len(m.Parts), len(text), len(html))
			}
			if row.cut != "" && !slices.Contains(m.Cut, row.cut) || row.cut == "" && m.Cut != nil {
				t.Errorf("cut by %q, want %q", m.Cut, row.cut)
			}
			if took := time.Since(began); took > 20*time.Second { // some 50 ms each, on a machine with nothing else to do
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestNames: the name of a file is one, and has nothing that a browser, a shell or a reader falls for.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ disposition, want string }{
		{`attachment; filename="a.txt"`, "a.txt"},
		{`attachment; filename="../../etc/passwd"`, "passwd"},
		{`attachment; filename="C:\\x\\y.exe"`, "y.exe"},
		{`attachment; filename="a` + "\t" + `b"`, "a b"},
		{`attachment; filename="=?utf-8?q?a=0D=0ASet-Cookie:_x?="`, "a  Set-Cookie: x"},
		{`attachment; filename="=?utf-8?q?..=2F..=2Fx?="`, "x"},
		{`attachment; filename*=utf-8''exe%E2%80%AEtxt`, "exetxt"},
		{`attachment; filename*=utf-8''a%00b`, "a b"},
		{`attachment; filename="..."`, ""},
		{`attachment; filename=` + strings.Repeat("x", 3000), strings.Repeat("x", 200)},
		{`attachment`, ""},
	} {
		m := read("Content-Type: application/x\nContent-Disposition: " + row.disposition + "\n\nx")
		if got := m.Parts[0].Name; got != row.want {
			t.Errorf("%s: the name is %q, want %q", row.disposition, got, row.want)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		value string
		want  []Address
	}{
		{"", nil},
		{" ", nil},
		{"a@b", []Address{{"", "a@b"}}},
		{"undisclosed recipients:;", nil},
		{"x <a@b>, nobody, <", []Address{{"x", "a@b"}, {"", "nobody"}}},
		{"=?utf-8?q?=E2=82=AC?= <a@b>", []Address{{"€", "a@b"}}},
		{`"=?utf-8?q?=E2=82=AC?=" <a..@b>`, []Address{{"€", "a..@b"}}},
	} {
		if got := Addresses(row.value); !slices.Equal(got, row.want) {
			t.Errorf("%q: %v, want %v", row.value, got, row.want)
		}
	}
	if got := Addresses(strings.Repeat("a@b,", 10_000)); len(got) > mostAddresses {
		t.Errorf("%d addresses", len(got))
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	m := read("Content-Type: text/html\n\n<html><head><title>no</title></head><STYLE>no</STYLE>\n" +
		"<p>one&amp;<b>two</b><!-- no --> " +
		"three\u202e</p><script>no</script")
	if got := Line(m.Said(1000), 13); got != "one& two t…" {
		t.Errorf("Line is %q", got)
	}
	if got := Line(" x\x00 y ", 10); got != "x y" {
		t.Errorf("Line is %q", got)
	}
}

// TestReaders: the decoders read the same in whatever pieces.
func TestReaders(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789\xff="), 2000)
	for _, cut := range []int{0, 1, 2} {
		b := data[:len(data)-cut]
		p := Part{encoding: "base64", body: []byte(base64.StdEncoding.EncodeToString(b))}
		if err := iotest.TestReader(p.Reader(), b); err != nil {
			t.Errorf("base64: %v", err)
		}
	}
	p := Part{encoding: "quoted-printable", body: bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("="), []byte("=3D")),
		[]byte("5"), []byte("5= \r\n"))}
	if err := iotest.TestReader(p.Reader(), data); err != nil {
		t.Errorf("quoted-printable: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(alternative))
	f.Add([]byte("Content-Type: text/html; charset=utf-16\n\n<style><!--&#x41;"))
	f.Add([]byte("To: (((a@b, =?gbk?b?xOO6ww==?= <x\nContent-Transfer-Encoding: base64\n\n===a=b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := Limits{HeaderBytes: 200, Fields: 5, Depth: 3, Parts: 4, TextBytes: 100}
		m := Read(b, l)
		if len(m.Parts) > l.Parts || len(m.Header) > l.Fields {
			t.Fatalf("%d parts, %d fields", len(m.Parts), len(m.Header))
		}
		for i := range m.Parts {
			p := &m.Parts[i]
			out, err := io.ReadAll(p.Reader())
			if err != nil || len(out) > len(b) {
				t.Fatalf("%d bytes of %d, %v", len(out), len(b), err)
			}
			if strings.ContainsAny(p.Name, "/\\\r\n\x00") {
				t.Fatalf("the name is %q", p.Name)
			}
			m.Attached(i)
		}
		for _, field := range m.Header {
			if strings.ContainsAny(Words(field.Value), "\r\n\x00") {
				t.Fatalf("%q", field)
			}
			Addresses(field.Value)
		}
		if n := len(m.Text()); n > 4*l.TextBytes {
			t.Fatalf("a text of %d", n)
		}
		m.HTML()
		if s := Line(m.Said(100), 50); len(s) > 50 || strings.ContainsAny(s, "\r\n") {
			t.Fatalf("a line %q", s)
		}
	})
}
