package websocket

import (
	"fmt"
	"strings"
)

// A framingCase is an input and what is to be told of it. They follow Autobahn's test suite, categories 1 to 7, 9
// and 10, and are written from RFC 6455.
type framingCase struct {
	name   string
	frames []part
	want   string
}

// A part is a frame: its first byte and its payload.
type part struct {
	bits    byte
	payload string
}

func (c *framingCase) in(side Side) string {
	var b strings.Builder
	for _, f := range c.frames {
		b.WriteString(frame(side, f.bits, f.payload))
	}
	return b.String()
}

// got is the line for a message.
func got(op Opcode, payload string) string {
	return fmt.Sprintf("%d compressed=false %s\n", op, brief([]byte(payload)))
}

func refused(err error) string { return fmt.Sprintf("error %v\n", err) }

func framingCases() (all []framingCase) {
	for _, cases := range [][]framingCase{sizes(), pings(), reserved(), fragments(), texts(), closes(), bulk()} {
		all = append(all, cases...)
	}
	return all
}

// sizes are category 1: each length at which the header changes.
func sizes() (all []framingCase) {
	for _, n := range []int{0, 1, 125, 126, 127, 128, 65535, 65536, 100_000} {
		payload := strings.Repeat("*", n)
		all = append(all,
			framingCase{fmt.Sprintf("1.1 text of %d", n), []part{{0x81, payload}}, got(Text, payload)},
			framingCase{fmt.Sprintf("1.2 binary of %d", n), []part{{0x82, payload}}, got(Binary, payload)})
	}
	return all
}

// pings are category 2.
func pings() []framingCase {
	long := strings.Repeat("\xfe", 125)
	var ten framingCase
	ten.name = "2.10 ten pings"
	for i := range 10 {
		ten.frames = append(ten.frames, part{0x89, fmt.Sprint("payload", i)})
		ten.want += fmt.Sprintf("ping \"payload%d\"\n", i)
	}
	return []framingCase{
		{"2.1 an empty ping", []part{{0x89, ""}}, "ping \"\"\n"},
		{"2.2 a ping with text", []part{{0x89, "Hello, world!"}}, "ping \"Hello, world!\"\n"},
		{"2.3 a ping with bytes", []part{{0x89, "\x00\xff\xfe\xfd"}}, "ping \"\\x00\\xff\\xfe\\xfd\"\n"},
		{"2.4 a ping of 125", []part{{0x89, long}}, fmt.Sprintf("ping %q\n", long)},
		{"2.5 a ping of 126", []part{{0x89, long + "\xfe"}}, refused(ErrControlLong)},
		{"2.7 a pong unasked", []part{{0x8a, ""}}, "pong \"\"\n"},
		{"2.8 with a payload", []part{{0x8a, "unsolicited"}}, "pong \"unsolicited\"\n"},
		{"2.9 and a ping", []part{{0x8a, "a"}, {0x89, "b"}}, "pong \"a\"\nping \"b\"\n"},
		ten,
	}
}

// reserved are categories 3 and 4.
func reserved() (all []framingCase) {
	hello := part{0x81, "hello"}
	for _, bits := range []byte{0x40, 0x20, 0x10, 0x30, 0x50, 0x60, 0x70} {
		for _, op := range []byte{0x81, 0x82, 0x88, 0x89, 0x8a} {
			all = append(all, framingCase{fmt.Sprintf("3: first byte %#x", bits|op), []part{hello, {bits | op, "x"}, {0x89, ""}},
				got(Text, "hello") + refused(ErrReservedBit)})
		}
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		for _, payload := range []string{"", "x"} {
			all = append(all, framingCase{fmt.Sprintf("4: opcode %d", op), []part{hello, {0x80 | op, payload}, {0x89, ""}},
				got(Text, "hello") + refused(ErrOpcode)})
		}
	}
	return all
}

// fragments are category 5.
func fragments() []framingCase {
	return []framingCase{
		{"5.1 a fragmented ping", []part{{0x09, "a"}, {0x80, "b"}}, refused(ErrControlSplit)},
		{"5.2 a fragmented pong", []part{{0x0a, "a"}, {0x80, "b"}}, refused(ErrControlSplit)},
		{"5.3 two fragments", []part{{0x01, "a"}, {0x80, "b"}}, got(Text, "ab")},
		{"5.6 a ping between", []part{{0x01, "a"}, {0x89, "p"}, {0x80, "b"}}, "ping \"p\"\n" + got(Text, "ab")},
		{"5.9 a continuation of nothing, final", []part{{0x80, "a"}, {0x81, "b"}}, refused(ErrNotBegun)},
		{"5.12 a continuation of nothing", []part{{0x00, "a"}, {0x81, "b"}}, refused(ErrNotBegun)},
		{"5.15 text, and then a continuation", []part{{0x01, "a"}, {0x80, "b"}, {0x00, "c"}},
			got(Text, "ab") + refused(ErrNotBegun)},
		{"5.16 a continuation first", []part{{0x00, "a"}, {0x01, "b"}, {0x80, "c"}}, refused(ErrNotBegun)},
		{"5.18 text within text", []part{{0x01, "a"}, {0x81, "b"}}, refused(ErrNotEnded)},
		{"5.18 binary within text", []part{{0x01, "a"}, {0x82, "b"}}, refused(ErrNotEnded)},
		{"5.19 five fragments, pings between", []part{{0x01, "a"}, {0x00, "b"}, {0x89, "1"}, {0x00, "c"},
			{0x00, "d"}, {0x89, "2"}, {0x80, "e"}}, "ping \"1\"\nping \"2\"\n" + got(Text, "abcde")},
		{"5: empty fragments", []part{{0x01, ""}, {0x00, ""}, {0x80, ""}}, got(Text, "")},
		{"5: binary, empty in the midst", []part{{0x02, "a"}, {0x00, ""}, {0x80, "b"}}, got(Binary, "ab")},
		{"5: a close within a message", []part{{0x01, "a"}, {0x88, "\x03\xe8"}, {0x80, "b"}}, "close 1000 \"\"\n"},
		{"5: a fragmented close", []part{{0x08, ""}}, refused(ErrControlSplit)},
	}
}

// texts are category 6.
func texts() (all []framingCase) {
	good := []string{"", "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\uffff",
		"\U00010000", "\U0010ffff", "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\U0001fffe", "日本語", "a\U0001F600b"}
	bad := []string{"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", "\x80", "\xbf", "\xc0\x80",
		"\xc0\xaf", "\xc1\xbf", "\xc2", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe0\xa0", "\xe1\x80", "\xed\xa0\x80",
		"\xed\xaf\xbf", "\xed\xbf\xbf", "\xef\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf7\xbf\xbf\xbf", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80",
		"\xfe", "\xff", "\xe4\xb8a", "\xf0\x9f\x98\x41", "\xc3\x28", "12345678\xff2345678",
		strings.Repeat("é", 40) + "\xc3"}
	for _, s := range good {
		all = append(all, framingCase{fmt.Sprintf("6: %+q", s), []part{{0x81, s}}, got(Text, s)})
		for i := 1; i < len(s); i++ {
			all = append(all, framingCase{fmt.Sprintf("6: %+q in fragments at %d", s, i),
				[]part{{0x01, s[:i]}, {0x89, ""}, {0x80, s[i:]}}, "ping \"\"\n" + got(Text, s)})
		}
	}
	for _, s := range bad {
		all = append(all, framingCase{fmt.Sprintf("6: %+q", s), []part{{0x81, s}}, refused(ErrText)},
			framingCase{fmt.Sprintf("6: %+q as bytes", s), []part{{0x82, s}}, got(Binary, s)},
			framingCase{fmt.Sprintf("6: %+q, with a fragment behind", s), []part{{0x01, s}, {0x80, ""}}, refused(ErrText)})
		for i := 1; i < len(s); i++ {
			all = append(all, framingCase{fmt.Sprintf("6: %+q in fragments at %d", s, i), []part{{0x01, s[:i]}, {0x80, s[i:]}},
				refused(ErrText)})
		}
	}
	return all
}

// closes are category 7.
func closes() []framingCase {
	code := func(n int) string { return string([]byte{byte(n >> 8), byte(n)}) }
	all := []framingCase{
		{"7.1 nothing behind", []part{{0x81, "a"}, {0x88, code(1000)}, {0x88, code(1000)}, {0x89, ""}, {0x81, "b"}},
			got(Text, "a") + "close 1000 \"\"\n"},
		{"7.3.1 empty", []part{{0x88, ""}}, "close 1005 \"\"\n"},
		{"7.3.2 one byte", []part{{0x88, "a"}}, refused(ErrCloseShort)},
		{"7.3.4 a reason", []part{{0x88, code(1000) + "Hello World!"}}, "close 1000 \"Hello World!\"\n"},
		{"7.3.5 123 bytes", []part{{0x88, code(1000) + strings.Repeat("*", 123)}},
			fmt.Sprintf("close 1000 %q\n", strings.Repeat("*", 123))},
		{"7.3.6 124 bytes", []part{{0x88, code(1000) + strings.Repeat("*", 124)}}, refused(ErrControlLong)},
		{"7.5.1 a reason that is not UTF-8", []part{{0x88, code(1000) + "\xce\xba\xed\xa0\x80"}}, refused(ErrCloseReason)},
		{"7.5 a reason that is cut", []part{{0x88, code(1000) + "\xce"}}, refused(ErrCloseReason)},
	}
	for _, n := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
		4000, 4999} {
		all = append(all, framingCase{fmt.Sprintf("7.7 code %d", n), []part{{0x88, code(n)}},
			fmt.Sprintf("close %d \"\"\n", n)})
	}
	for _, n := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		all = append(all, framingCase{fmt.Sprintf("7.9 code %d", n), []part{{0x88, code(n)}}, refused(ErrCloseCode)})
	}
	return all
}

// bulk are categories 9 and 10, up to the limit of a message.
func bulk() (all []framingCase) {
	for _, n := range []int{1 << 16, 1 << 20} {
		text := strings.Repeat("0123456789abcde\n", n/16)
		all = append(all, framingCase{fmt.Sprintf("9.1 text of %d", n), []part{{0x81, text}}, got(Text, text)})
		for _, piece := range []int{1300, 1 << 14} {
			c := framingCase{name: fmt.Sprintf("9.3 text of %d in fragments of %d", n, piece), want: got(Text, text)}
			for at := 0; at < n; at += piece {
				var bits byte
				if at == 0 {
					bits = 1
				}
				if at+piece >= n {
					bits |= 0x80
				}
				c.frames = append(c.frames, part{bits, text[at:min(at+piece, n)]})
			}
			all = append(all, c)
		}
	}
	over := strings.Repeat("a", 1<<20+1)
	return append(all, framingCase{"9: one byte over the limit", []part{{0x82, over}}, refused(ErrTooBig)})
}
