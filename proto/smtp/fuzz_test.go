package smtp

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// FuzzCommand: lines of a client. What is taken says the same when it is written again.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{"EHLO x.example", "MAIL FROM:<a@x.example> SIZE=1 BODY=8BITMIME",
		"RCPT TO:<@a,@b:\"c d\"@[IPv6:::1]>",
		"RCPT TO:<Postmaster> NOTIFY=NEVER ORCPT=rfc822;a+2Bb", "BDAT 12 LAST", "MAIL FROM:<\xc3\xa4@\xc3\xa4> SMTPUTF8",
		"MAIL FROM:<> RET=HDRS ENVID=x AUTH=<>", "GET / HTTP/1.1", "NOOP\t\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c, err := ParseCommand(line)
		if err != nil {
			return
		}
		if strings.ContainsAny(c.Verb+c.Arg, "\r\n\x00") {
			t.Fatalf("%q has a line end: %+v", line, c)
		}
		if from, o, err := ParseMail(c.Arg); err == nil {
			again := string(from.AppendPath([]byte("FROM:"))) + string(o.append(nil))
			from2, o2, err := ParseMail(again)
			o2size := o.Size
			if err == nil {
				o2.Size = o2size // which the client writes by itself
			}
			if err != nil || from2 != from || !sameMail(o, o2) {
				t.Fatalf("%q is %+v %+v, and again %q: %+v %+v, %v", c.Arg, from, o, again, from2, o2, err)
			}
			if !from.valid() {
				t.Fatalf("%q is %+v, which is not valid", c.Arg, from)
			}
		}
		if to, o, err := ParseRcpt(c.Arg, true); err == nil {
			again := string(to.AppendPath([]byte("TO:"))) + string(o.append(nil))
			to2, o2, err := ParseRcpt(again, true)
			if err != nil || to2 != to || *o2 != *o {
				t.Fatalf("%q is %+v %+v, and again %q: %+v %+v, %v", c.Arg, to, o, again, to2, o2, err)
			}
		}
		if n, _, err := ParseBdat(c.Arg); err == nil && n < 0 {
			t.Fatalf("%q is %d bytes", c.Arg, n)
		}
	})
}

// sameMail compares what AUTH points to, too.
func sameMail(a, b *MailOptions) bool {
	x, y := *a, *b
	if (x.Auth == nil) != (y.Auth == nil) || x.Auth != nil && *x.Auth != *y.Auth {
		return false
	}
	x.Auth, y.Auth = nil, nil
	return x == y
}

// FuzzReply: replies of a server, whole and byte by byte.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"250 Ok\r\n", "250-a\r\n250 b\r\n", "550 5.1.1 no\r\n",
		"220\r\n", "334 \r\n", "250 a\n",
		"250-a\r\n251 b\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := ReplyParser{Line: 100, Lines: 3}
		n, done, err := p.Parse(b)
		q := ReplyParser{Line: 100, Lines: 3}
		var rest []byte
		for i, c := range b {
			rest = append(rest, c)
			m, done2, err2 := q.Parse(rest)
			rest = rest[m:]
			if err2 != nil {
				if err == nil {
					t.Fatalf("%q is refused byte by byte: %v", b[:i+1], err2)
				}
				return
			}
			if done2 {
				if !done || n != i+1 {
					t.Fatalf("%q is whole behind %d bytes; at once %v behind %d", b, i+1, done, n)
				}
				r, s := p.Reply(), q.Reply()
				if r.Code != s.Code || r.Text() != s.Text() || r.Enhanced != s.Enhanced {
					t.Fatalf("%q is %+v and %+v", b, r, s)
				}
				if len(r.Lines) > 3 || strings.ContainsAny(r.Text(), "\r\x00") {
					t.Fatalf("%q is %+v", b, r)
				}
				return
			}
		}
		if done {
			t.Fatalf("%q is whole at once alone", b)
		}
	})
}

// FuzzData: what follows DATA, cut once. Wherever it is cut the same is found, and an end is CR LF . CR LF in the
// bytes.
func FuzzData(f *testing.F) {
	for _, row := range dataCases {
		f.Add([]byte(row.in), 3)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		text, rest, end, err := decode(&DataDecoder{TextLine: 0}, string(in))
		if cut < 0 || cut > len(in) {
			cut = len(in) / 2
		}
		text2, rest2, end2, err2 := decode(&DataDecoder{TextLine: 0}, string(in[:cut]), string(in[cut:]))
		if text != text2 || end != end2 || err != err2 || end && rest != rest2 {
			t.Fatalf("%q cut at %d: %q, %q, %v, %v and %q, %q, %v, %v", in, cut, text, rest, end, err, text2, rest2, end2, err2)
		}
		at := strings.Index("\r\n"+string(in), "\r\n.\r\n")
		if end != (at >= 0 && err == nil) || end && at+3 != len(in)-len(rest) {
			t.Fatalf("%q ends at %d: %v, with %d bytes behind", in, at, end, len(rest))
		}
		if !end {
			return
		}
		sent, err := encode(DataEncoder{}, text)
		if err != nil {
			t.Fatalf("%q can't be sent again: %v", text, err)
		}
		if want := string(in[:len(in)-len(rest)]); !strings.Contains(want, "\r\n.") && want[0] != '.' && sent != want {
			t.Fatalf("%q is sent as %q", want, sent)
		}
	})
}

// FuzzEncoder: whatever is sent behind DATA has one end, at its end.
func FuzzEncoder(f *testing.F) {
	f.Add([]byte("a\n.\n"), 2, true)
	f.Add([]byte(".\r\n..\r\n"), 1, false)
	f.Fuzz(func(t *testing.T, in []byte, cut int, convert bool) {
		if cut < 0 || cut > len(in) {
			cut = len(in) / 2
		}
		sent, err := encode(DataEncoder{ConvertLF: convert}, string(in[:cut]), string(in[cut:]))
		whole := "\r\n" + sent
		if at := strings.Index(whole, "\r\n.\r\n"); err == nil && at != len(whole)-5 || err != nil && at >= 0 {
			t.Fatalf("%q is sent as %q, %v", in, sent, err)
		}
		bare := bytes.ReplaceAll([]byte(sent), []byte("\r\n"), nil)
		if bytes.ContainsAny(bare, "\r\n\x00") {
			t.Fatalf("%q is sent as %q", in, sent)
		}
	})
}

// FuzzScan: lines, byte by byte and at once.
func FuzzScan(f *testing.F) {
	f.Add([]byte("NOOP\r\nQUIT\r\n"), 8)
	f.Add([]byte("a\rb\r\n"), 4)
	f.Fuzz(func(t *testing.T, in []byte, limit int) {
		if limit < 2 || limit > 64 {
			limit = 16
		}
		read := func(size int) (lines []string, err error) {
			s := Scanner{Limit: limit}
			var b []byte
			for rest := in; ; {
				n, ended, err := s.Scan(b)
				switch {
				case errors.Is(err, ErrLineEnd):
					return lines, err
				case err != nil:
					if b = b[n:]; ended {
						lines = append(lines, "long")
					}
				case n > 0:
					lines, b = append(lines, string(b[:n])), b[n:]
				case len(rest) == 0:
					return lines, nil
				}
				if n == 0 || err != nil && !ended {
					k := min(size, len(rest))
					if k == 0 {
						return lines, nil
					}
					b, rest = append(b, rest[:k]...), rest[k:]
				}
				if len(b) > limit+size {
					t.Fatalf("%d bytes are held", len(b))
				}
			}
		}
		one, err1 := read(1)
		all, err2 := read(7)
		if (err1 == nil) != (err2 == nil) || err1 == nil && strings.Join(one, "|") != strings.Join(all, "|") {
			t.Fatalf("%q: %q, %v and %q, %v", in, one, err1, all, err2)
		}
	})
}

// FuzzProxy: PROXY headers.
func FuzzProxy(f *testing.F) {
	for _, row := range proxyHeaders {
		f.Add([]byte(row.header))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 0 {
			return
		}
		p, more, err := parseProxy(in)
		if err != nil && (p != nil || more != 0) || more < 0 || p != nil && (p.from == nil || p.to == nil || more != 0) {
			t.Fatalf("%q: %+v, %d, %v", in, p, more, err)
		}
	})
}

// FuzzServer: anything at all to a server, which neither panics nor waits for ever.
func FuzzServer(f *testing.F) {
	f.Add([]byte(envelope + "DATA\r\nx\r\n.\r\nQUIT\r\n"))
	f.Add([]byte(envelope + "BDAT 3\r\nabcBDAT 0 LAST\r\nAUTH PLAIN\r\n*\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		st := &store{names: allMechanisms, auth: plainFor("u", "p")}
		srv := &Server{Backend: st, DSN: true, UTF8: true, Binary: true, PlainAuth: true,
			Limits: Limits{Message: 50, Discard: 100}}
		half := len(in) / 2
		_ = converse(t, srv, string(in[:half]), string(in[half:]), "\r\n.\r\n", strings.Repeat("NOOP\r\n", 300))
		st.mu.Lock()
		defer st.mu.Unlock()
		if len(st.closed) != strings.Count(strings.Join(st.said, ","), "new") {
			t.Fatalf("%q: the calls are %s", in, st.said)
		}
	})
}
