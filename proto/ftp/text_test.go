package ftp

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestScanLine(t *testing.T) {
	for _, row := range []struct {
		name, in, text, refusals string
		n                        int
		bad                      bool
		err                      error
	}{
		{"a command", "NOOP\r\nX", "NOOP", "", 6, false, nil},
		{"none yet", "NOO", "", "", 0, false, nil},
		{"half an end", "NOOP\r", "", "", 0, false, nil},
		{"empty", "\r\n", "", "", 2, false, nil},
		{"bare LF", "NOOP\n", "", "", 0, false, ErrBareLF},
		{"LF alone", "\n", "", "", 0, false, ErrBareLF},
		{"LF in a name", "MKD a\nb\r\n", "", "", 0, false, ErrBareLF},
		{"CR in a name", "MKD a\rb\r\n", "MKD a\rb", "", 9, true, nil},
		{"CR CR LF", "NOOP\r\r\n", "NOOP\r", "", 7, true, nil},
		{"NUL", "MKD a\x00\r\n", "MKD a\x00", "", 8, true, nil},
		{"as long as may be", strings.Repeat("a", 18) + "\r\n", strings.Repeat("a", 18), "", 20, false, nil},
		{"too long", strings.Repeat("a", 19) + "\r\n", "", "", 0, false, ErrLineTooLong},
		{"too long, no end", strings.Repeat("a", 21), "", "", 0, false, ErrLineTooLong},
		{"Synch, whole", "\xff\xf4\xff\xf2ABOR\r\n", "ABOR", "", 10, false, nil},
		{"Synch, the mark is gone", "\xff\xf4\xffABOR\r\n", "ABOR", "", 9, false, nil},
		{"Synch, the IAC before it is gone", "\xff\xf4\xf2ABOR\r\n", "ABOR", "", 9, false, nil},
		{"Synch, both are gone", "\xff\xf4ABOR\r\n", "ABOR", "", 8, false, nil},
		{"DO and WILL", "\xff\xfd\x06\xff\xfb\x0aNOOP\r\n", "NOOP", "\xff\xfc\x06\xff\xfe\x0a", 12, false, nil},
		{"DONT and WONT", "\xff\xfe\x06\xff\xfc\x01NOOP\r\n", "NOOP", "", 12, false, nil},
		{"half of DO", "NOOP\xff\xfd", "", "", 0, false, nil},
		{"half of an IAC", "NOOP\xff", "", "", 0, false, nil},
		{"IAC IAC", "MKD \xff\xff\r\n", "MKD \xff", "", 8, false, nil},
		{"UTF-8", "MKD \xf0\x9f\x98\x80\r\n", "MKD \xf0\x9f\x98\x80", "", 10, false, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			l, n, err := ScanLine([]byte(row.in), 20)
			if n != row.n || !errors.Is(err, row.err) || n > 0 &&
				(string(l.Text) != row.text || string(l.Refusals) != row.refusals || l.Bad != row.bad) {
				t.Errorf("ScanLine(%q) = %q, %q, %v, %d, %v, want %q, %q, %v, %d, %v", row.in, l.Text, l.Refusals, l.Bad, n, err,
					row.text, row.refusals, row.bad, row.n, row.err)
			}
			for i := range row.n { // in any two pieces
				if _, n, err := ScanLine([]byte(row.in[:i]), 20); n != 0 || err != nil {
					t.Errorf("ScanLine(%q) = %d, %v", row.in[:i], n, err)
				}
			}
		})
	}
}

func TestParseCommand(t *testing.T) {
	for text, want := range map[string]string{
		"NOOP": "NOOP|", "noop": "NOOP|", "stor   two": "STOR|  two", "STOR a ": "STOR|a ", "CWD": "CWD|",
		"": "", " NOOP": "", "A1": "", "NOOP\tx": "", "VERYLONGNAME": "", "STÖR x": "",
	} {
		c, ok := ParseCommand([]byte(text))
		if got := c.Name + "|" + c.Arg; ok != (want != "") || ok && got != want {
			t.Errorf("ParseCommand(%q) = %q, %v, want %q", text, got, ok, want)
		}
	}
}

func TestReplies(t *testing.T) {
	for _, row := range []struct {
		code  int
		lines []string
		want  string
	}{
		{200, nil, "200 \r\n"},
		{200, []string{"ok"}, "200 ok\r\n"},
		{211, []string{"a", " b", "End"}, "211-a\r\n b\r\n211 End\r\n"},
		{211, []string{"a", "211 not the end", "226 c", "End"}, "211-a\r\n 211 not the end\r\n 226 c\r\n211 End\r\n"},
		{257, []string{"\"a\r\n226 b\x00\""}, "257 \"a??226 b?\"\r\n"},
		{257, []string{"a\xff"}, "257 a\xff\xff\r\n"},
	} {
		got := string(AppendReply(nil, row.code, row.lines...))
		if got != row.want {
			t.Errorf("AppendReply(%d, %q) = %q, want %q", row.code, row.lines, got, row.want)
		}
		var p ReplyParser
		lines := strings.SplitAfter(got, "\r\n")
		for i, l := range lines[:len(lines)-1] {
			r, done, err := p.Line(strings.TrimSuffix(l, "\r\n"))
			if err != nil || done != (i == len(lines)-2) || done && r.Code != row.code {
				t.Errorf("%q, line %d: %v, %v, %v", got, i, r, done, err)
			}
		}
	}
}

// TestReplyLines are replies of other servers.
func TestReplyLines(t *testing.T) {
	for _, row := range []struct {
		name, text string
		want       string // "": an error
	}{
		{"a code alone", "220", "220 "},
		{"of several", "230-Hello\n there\n230-still\n230 End", "230 Hello /  there / 230-still / End"},
		{"another code inside", "230-Hello\n226 Transfer complete\n230 End", "230 Hello / 226 Transfer complete / End"},
		{"a code without a space inside", "230-Hello\n230\n230 End", "230 Hello / "},
		{"no code", "Hello", ""},
		{"two digits", "22 x", ""},
		{"a code of 600", "600 x", ""},
		{"no separator", "220x", ""},
		{"empty", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			var p ReplyParser
			for line := range strings.SplitSeq(row.text, "\n") {
				r, done, err := p.Line(line)
				if err != nil || done {
					if (err != nil) != (row.want == "") || done && r.String() != row.want {
						t.Errorf("%v, %v, want %q", r, err, row.want)
					}
					return
				}
			}
			t.Error("there is no end")
		})
	}
}

func TestAddresses(t *testing.T) {
	four, six := netip.MustParseAddrPort("127.0.0.1:50000"), netip.MustParseAddrPort("[2001:db8::1]:21")
	for s, want := range map[string]netip.AddrPort{
		"127,0,0,1,195,80": four, "0,0,0,0,0,0": netip.MustParseAddrPort("0.0.0.0:0"),
		"127,0,0,1,195": {}, "127,0,0,1,195,256": {}, "127,0,0,1,195,80,1": {}, "a,0,0,1,195,80": {},
		"127,0,0,1,195,+80": {}, " 127,0,0,1,195,80": {}, "": {}, ",,,,,": {}, "127.0.0.1:50000": {},
	} {
		if got, err := ParsePort(s); got != want || (err == nil) != want.IsValid() {
			t.Errorf("ParsePort(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	for s, want := range map[string]netip.AddrPort{
		"|1|127.0.0.1|50000|": four, "!1!127.0.0.1!50000!": four, "|2|2001:db8::1|21|": six, "|2|2001:DB8::1|21|": six,
		"|1|2001:db8::1|21|": {}, "|2|127.0.0.1|50000|": {}, "|2|fe80::1%eth0|21|": {}, "|1|127.0.0.1|50000": {},
		"|1|127.0.0.1|0|": {}, "|1|127.0.0.1|65536|": {}, "|1|127.0.0.1|50000|x": {}, "": {}, "|": {}, "|1|127.1|9|": {},
		"\t1\t127.0.0.1\t50000\t": {}, "|1||50000|": {}, "|1|127.0.0.1||": {},
	} {
		if got, err := ParseEPRT(s); got != want || (err == nil) != want.IsValid() {
			t.Errorf("ParseEPRT(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	if _, err := ParseEPRT("|3|x|1|"); !errors.Is(err, ErrFamily) {
		t.Errorf("family 3: %v", err)
	}
	for s, want := range map[string]uint16{
		"Entering Extended Passive Mode (|||6446|)": 6446, "(!!!1!)": 1, "x (|||65535|) y": 65535,
		"(|||0|)": 0, "(|||65536|)": 0, "(|1||6446|)": 0, "|||6446|": 0, "(|||6446|": 0, "": 0, "(": 0, "(|||x|)": 0,
	} {
		if got, err := ParseEPSV(s); got != want || (err == nil) != (want != 0) {
			t.Errorf("ParseEPSV(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"Entering Passive Mode (127,0,0,1,195,80).", "127,0,0,1,195,80", "=127,0,0,1,195,80",
		"227 ways: 127,0,0,1,195,80 it is"} {
		if got, err := ParsePASV(s); got != four || err != nil {
			t.Errorf("ParsePASV(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "1,2,3", "1,2,3,4,5,600", "x"} {
		if got, err := ParsePASV(s); err == nil {
			t.Errorf("ParsePASV(%q) = %v", s, got)
		}
	}
	for _, a := range []netip.AddrPort{four, six} {
		if got, err := ParseEPRT(string(AppendEPRT(nil, a))); got != a || err != nil {
			t.Errorf("EPRT of %v: %v, %v", a, got, err)
		}
	}
	if got, err := ParsePort(string(AppendPort(nil, four))); got != four || err != nil {
		t.Errorf("PORT of %v: %v, %v", four, got, err)
	}
}

func TestTimes(t *testing.T) {
	at := time.Date(1998, 6, 15, 10, 0, 45, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"19980615100045": at, "19980615100045.014": at.Add(14 * time.Millisecond),
		"19980615100045.": {}, "1998061510004": {}, "19981315100045": {}, "19980615250045": {}, "19980615100045.1x": {},
		"+9980615100045": {}, "": {}, "191000615100045": {},
	} {
		got, err := ParseTime(s)
		if !got.Equal(want) || (err == nil) != !want.IsZero() {
			t.Errorf("ParseTime(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	if got := string(AppendTime(nil, at.In(time.FixedZone("", 3600)))); got != "19980615100045" {
		t.Errorf("AppendTime = %q", got)
	}
}

func TestParseFacts(t *testing.T) {
	at := time.Date(1998, 6, 15, 10, 0, 45, 0, time.UTC)
	for line, want := range map[string]Entry{
		"Type=file;Size=1024990;Perm=r; /tmp/cap60.pl198.tar.gz": {Name: "/tmp/cap60.pl198.tar.gz", Size: 1024990, Perm: "r"},
		"type=dir;modify=19980615100045;UNIQUE=x2A;  two spaces": {Name: " two spaces", Dir: true, Size: -1, Modified: at,
			Unique: "x2A"},
		"type=cdir;unknown=x=y; .":          {Name: ".", Dir: true, Self: true, Size: -1},
		"type=OS.unix=slink:/a/b;size=3; l": {Name: "l", Link: true, Target: "/a/b", Size: 3},
		"unix.mode=0755; x":                 {Name: "x", Size: -1, Mode: 0o755},
		" name alone":                       {Name: "name alone", Size: -1},
		"type=file;":                        {}, "type=file; ": {},
		"size=-1; x": {}, "size=1e3; x": {}, "type; x": {}, "": {},
		"modify=1; x": {}, "type=file;size=1 x": {}, "size=99999999999999999999; x": {}, "type=file; a\rb": {},
	} {
		e, err := ParseFacts(line)
		if (err == nil) != (want.Name != "") || err == nil && e != want {
			t.Errorf("ParseFacts(%q) = %+v, %v, want %+v", line, e, err, want)
		}
	}
}

func TestParseLIST(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	day := func(y int, m time.Month, d, h, min int) time.Time { return time.Date(y, m, d, h, min, 0, 0, time.UTC) }
	for line, want := range map[string]Entry{
		"-rw-r--r--   1 joe  staff   1234 Feb 28 15:41 a file": {Name: "a file", Size: 1234, Mode: 0o644,
			Modified: day(2026, 2, 28, 15, 41)},
		"-rw-r--r--   1 joe  staff   1234 Nov 28 15:41 last": {Name: "last", Size: 1234, Mode: 0o644,
			Modified: day(2025, 11, 28, 15, 41)},
		"drwxr-sr-t   2 joe  staff   4096 Feb 28  2020  led": {Name: " led", Dir: true, Size: 4096, Mode: 0o755,
			Modified: day(2020, 2, 28, 0, 0)},
		"lrwxrwxrwx   1 0 0 3 Jan  2 00:00 l -> a -> b": {Name: "l", Link: true, Target: "a -> b", Size: 3, Mode: 0o777,
			Modified: day(2026, 1, 2, 0, 0)},
		"-rw-r--r--+  1 joe   1234 Feb 28 15:41 acl": {Name: "acl", Size: 1234, Mode: 0o644,
			Modified: day(2026, 2, 28, 15, 41)},
		"-rw-r--r--   1 joe 7 2025-02-28 15:41 iso": {Name: "iso", Size: 7, Mode: 0o644, Modified: day(2025, 2, 28, 15, 41)},
		"-rw-r--r--   1 a b 7 28 Feb 2025 swapped": {Name: "swapped", Size: 7, Mode: 0o644,
			Modified: day(2025, 2, 28, 0, 0)},
		"crw-rw-rw-   1 root root 1, 3 Jan  1  2025 null": {Name: "null", Size: -1, Mode: 0o666,
			Modified: day(2025, 1, 1, 0, 0)},
		"02-28-26  03:41PM       <DIR>          a dir": {Name: "a dir", Dir: true, Size: -1,
			Modified: day(2026, 2, 28, 15, 41)},
		"02-28-2026  03:41AM               1,234 a b": {Name: "a b", Size: 1234, Modified: day(2026, 2, 28, 3, 41)},
		"drwxr-xr-x 2 a b 1 Feb 28 15:41 .": {Name: ".", Dir: true, Self: true, Size: 1, Mode: 0o755,
			Modified: day(2026, 2, 28, 15, 41)},
		"total 12": {}, "": {}, "-rw-r--r--": {}, "-rw-r--r-- 1 a b x Feb 28 15:41 n": {}, "hello world": {},
		"-rw-r--r-- 1 a b 3 Feb 31 15:41 n": {}, "99-99-99 03:41PM 3 x": {}, "-rw-r--r-- 1 a b 3 Feb 28 15:41": {},
	} {
		e, err := ParseLIST(line+"\r\n", now)
		if (err == nil) != (want.Name != "") || err == nil && e != want {
			t.Errorf("ParseLIST(%q) = %+v, %v, want %+v", line, e, err, want)
		}
	}
}

// info is a file of which a listing tells.
type info struct {
	name string
	size int64
	mode fs.FileMode
	at   time.Time
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.at }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }

// TestLISTBack reads what it has written.
func TestLISTBack(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, x := range []info{
		{"a b", 1 << 40, 0o640, now.Add(-time.Hour)},
		{"old", 0, 0o600, time.Date(2001, 2, 3, 0, 0, 0, 0, time.UTC)},
		{"d", 4096, fs.ModeDir | 0o755, now.Add(-24 * time.Hour)},
		{"l", 1, fs.ModeSymlink | 0o777, now.Add(-24 * time.Hour)},
		{"p", 0, fs.ModeNamedPipe | 0o644, now.Add(-24 * time.Hour)},
	} {
		line := string(AppendLIST(nil, x, x.name, now))
		e, err := ParseLIST(line, now)
		if err != nil || e.Name != x.name || e.Size != x.size || e.Dir != x.IsDir() || !e.Modified.Equal(x.at) ||
			e.Mode != x.mode.Perm() {
			t.Errorf("%d: %q is %+v, %v", i, line, e, err)
		}
	}
}

func TestQuoted(t *testing.T) {
	for _, p := range []string{"/", `/a "b" c`, `"`, `""`, "/x y"} {
		if got, ok := unquoted(fmt.Sprintf("%s is it, \"and\" more", quoted(p))); !ok || got != p {
			t.Errorf("%q: %q, %v", p, got, ok)
		}
	}
	for _, s := range []string{"", "no quotes", `"open`} {
		if got, ok := unquoted(s); ok {
			t.Errorf("%q: %q", s, got)
		}
	}
}

// TestASCII converts in any two pieces.
func TestASCII(t *testing.T) {
	for _, row := range [][3]string{ // file, network, and the file again
		{"a\nb\n", "a\r\nb\r\n", "a\nb\n"}, {"a\r\nb", "a\r\nb", "a\nb"}, {"\n\n", "\r\n\r\n", "\n\n"}, {"\r", "\r", "\r"},
		{"a\rb\r\r\n", "a\rb\r\r\n", "a\rb\r\n"}, {"", "", ""},
	} {
		for i := range len(row[0]) + 1 {
			out, last := toNetwork(nil, []byte(row[0][:i]), 0)
			if out, _ = toNetwork(out, []byte(row[0][i:]), last); string(out) != row[1] {
				t.Errorf("to the network: %q, cut at %d, is %q", row[0], i, out)
			}
		}
		for i := range len(row[1]) + 1 {
			out, held := fromNetwork(nil, []byte(row[1][:i]), false)
			if out, held = fromNetwork(out, []byte(row[1][i:]), held); held {
				out = append(out, '\r')
			}
			if string(out) != row[2] {
				t.Errorf("from the network: %q, cut at %d, is %q", row[1], i, out)
			}
			if got := inPlace(row[1], i); got != row[2] {
				t.Errorf("from the network, in place: %q, cut at %d, is %q", row[1], i, got)
			}
		}
	}
}

// inPlace converts s in two pieces, each in its own memory with a byte before it, as an upload does.
func inPlace(s string, cut int) (got string) {
	held := false
	for _, piece := range []string{s[:cut], s[cut:]} {
		b := append([]byte{0}, piece...)
		var out []byte
		out, held = fromNetwork(b[:0], b[1:], held)
		got += string(out)
	}
	if held {
		got += "\r"
	}
	return got
}
