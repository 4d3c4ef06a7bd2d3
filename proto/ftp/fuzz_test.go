package ftp

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func FuzzScanLine(f *testing.F) {
	for _, s := range []string{"NOOP\r\n", "\xff\xf4\xff\xf2ABOR\r\n", "MKD a\nb\r\n", "MKD a\rb\x00\r\n",
		"\xff\xfd\x0aX\r\n",
		"\xff\xff\r\n", "STOR   x\r\n", "ABOR\r"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 64
		l, n, err := ScanLine(b, most)
		switch {
		case n < 0 || n > len(b) || n > most || err != nil && n != 0:
			t.Fatalf("%q: %d, %v", b, n, err)
		case n > 0 && (!bytes.HasSuffix(b[:n], []byte("\r\n")) || bytes.IndexByte(l.Text, '\n') >= 0 ||
			!l.Bad && bytes.ContainsAny(l.Text, "\r\x00")):
			t.Fatalf("%q: %q of %d bytes", b, l.Text, n)
		case n == 0 && err == nil && len(b) > most:
			t.Fatalf("%q is longer than may be, and that goes unnoticed", b)
		}
		for i := range n { // what is a line as a whole is none, and no error, in part
			if _, m, err := ScanLine(b[:i], most); m != 0 || err != nil {
				t.Fatalf("%q: %d, %v", b[:i], m, err)
			}
		}
		c, ok := ParseCommand(l.Text)
		if n == 0 || !ok || l.Bad {
			return
		}
		again, err := AppendCommand(nil, c.Name, c.Arg)
		if err != nil {
			t.Fatalf("%q: %v", c, err)
		}
		l, n, err = ScanLine(again, 2*most)
		if d, _ := ParseCommand(l.Text); err != nil || n != len(again) || d != c {
			t.Fatalf("%q became %q: %q, %v", c, again, d, err)
		}
	})
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{"220 ready", "211-a\n b\n211 End", "230-a\n226 b\n230 c", "220", "x", "999 x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var p ReplyParser
		for line := range strings.SplitSeq(s, "\n") {
			r, done, err := p.Line(strings.TrimSuffix(line, "\r"))
			if err != nil {
				return
			}
			if !done {
				continue
			}
			if r.Code < 100 || r.Code > 599 || len(r.Lines) == 0 {
				t.Fatalf("%q: %+v", s, r)
			}
			b := AppendReply(nil, r.Code, r.Lines...) // it is one reply again, and ends where it should
			var q ReplyParser
			lines := strings.Split(strings.TrimSuffix(string(b), "\r\n"), "\r\n")
			for i, line := range lines {
				again, done, err := q.Line(line)
				if err != nil || done != (i == len(lines)-1) || done && again.Code != r.Code {
					t.Fatalf("%q, line %d of %q: %+v, %v, %v", s, i, b, again, done, err)
				}
			}
		}
	})
}

func FuzzFacts(f *testing.F) {
	for _, s := range []string{"type=file;size=1;modify=19980615100045.1; a b", "type=OS.unix=slink:/x; l", " x",
		";;; x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseFacts(s)
		if err == nil && (e.Name == "" || strings.ContainsAny(e.Name, "\r\n\x00") || e.Size < -1 ||
			!strings.HasSuffix(s, " "+e.Name)) {
			t.Fatalf("%q: %+v", s, e)
		}
	})
}

func FuzzLIST(f *testing.F) {
	for _, s := range []string{"-rw-r--r--   1 joe  staff   1234 Feb 28 15:41 a file",
		"lrwxrwxrwx 1 0 0 3 Jan  2 2020 l -> a",
		"02-28-26  03:41PM       <DIR>          a dir", "02-28-2026  03:41AM 1,234 a b", "total 12",
		"-rw-r--r-- 1 a b 7 28 Feb 2025 x", "-rw-r--r-- 1 joe 7 2025-02-28 15:41 iso"} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseLIST(s, now)
		if err != nil {
			return
		}
		if e.Name == "" || strings.ContainsAny(e.Name, "\r\n\x00") || e.Size < -1 || !strings.Contains(s, e.Name) {
			t.Fatalf("%q: %+v", s, e)
		}
		if !utf8.ValidString(e.Name) || e.Size < 0 || e.Modified.Year() < 1 || e.Modified.Year() > 9999 || e.Link {
			return
		}
		line := string(AppendLIST(nil, info{e.Name, e.Size, e.Mode, e.Modified}, e.Name, now)) // what was read can be written
		again, err := ParseLIST(line, now)
		if err != nil || again.Name != e.Name || again.Size != e.Size || again.Mode != e.Mode {
			t.Fatalf("%q: %+v, then %q: %+v, %v", s, e, line, again, err)
		}
	})
}

func FuzzAddresses(f *testing.F) {
	for _, s := range []string{"127,0,0,1,195,80", "|1|127.0.0.1|50000|", "|2|::1|1|", "Entering (|||5|)",
		"(127,0,0,1,4,5)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParsePort(s); err == nil {
			if b, err := ParsePort(string(AppendPort(nil, a))); b != a || err != nil {
				t.Fatalf("PORT %q: %v, %v, %v", s, a, b, err)
			}
		}
		if a, err := ParseEPRT(s); err == nil {
			b, err := ParseEPRT(string(AppendEPRT(nil, a)))
			if b.Port() != a.Port() || b.Addr().Unmap() != a.Addr().Unmap() || err != nil {
				t.Fatalf("EPRT %q: %v, %v, %v", s, a, b, err)
			}
		}
		if _, err := ParsePASV(s); err != nil {
			_, _ = ParseEPSV(s) // none of them may panic
		}
	})
}
