package web_test

import (
	"fmt"
	"strings"
)

// req is a request of /, with fields and a body.
func req(method, fields, body string) string {
	return method + " / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" + body
}

// refused are cases that differ in one piece, and are all answered alike.
func refused(name, want string, make func(string) string, pieces ...string) (all []attack) {
	for _, p := range pieces {
		shown := fmt.Sprintf("%.70q", p)
		all = append(all, attack{name + " " + shown[1:len(shown)-1], make(p), want})
	}
	return all
}

// framings are two ways to say where a body ends.
func framings() []attack {
	const cl, te = "Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"
	chunks := "1\r\nZ\r\n0\r\n\r\n"
	return []attack{
		{"CL.TE", req("POST", "Content-Length: 6\r\n"+te, "0\r\n\r\nG"), "400"},
		{"TE.CL", req("POST", te+cl, "5c\r\n"+smuggled+"0\r\n\r\n"), "400"},
		{"CL.TE with a body of both", req("POST", "Content-Length: 11\r\n"+te, chunks), "400"},
		{"CL of 0 and TE", req("POST", "Content-Length: 0\r\n"+te, chunks), "400"},
		{"CL that is wrong, and TE", req("POST", "Content-Length: x\r\n"+te, chunks), "400"},
		{"TE, and CL that is empty", req("POST", te+"Content-Length: \r\n", chunks), "400"},
		{"TE between two CLs", req("POST", cl+te+cl, chunks), "400"},
		{"TE in a GET with CL", req("GET", cl+te, chunks), "400"},
		{"TE of HTTP/1.0", "POST / HTTP/1.0\r\nHost: x\r\n" + te + "\r\n" + chunks, "400"},
		{"TE and CL of HTTP/1.0", "POST / HTTP/1.0\r\nHost: x\r\n" + te + cl + "\r\n" + chunks, "400"},
		{"TE of HTTP/1.0 with keep-alive",
			"POST / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n" + te + "\r\n" + chunks,
			"400"},
		{"TE that Connection names", req("POST",
			"Connection: Transfer-Encoding\r\n"+te, chunks), `POST / "Z"` + served},
		{"CL that Connection names", req("POST",
			"Connection: Content-Length\r\n"+cl, "abcd"), `POST / "abcd"` + served},
		{"neither", req("POST", "", ""), `POST / ""` + served},
		{"CL.0", req("POST", fmt.Sprintf("Content-Length: %d\r\n", len(smuggled)), smuggled),
			fmt.Sprintf("POST / %q", smuggled) + served},
		{"CL.0 of a GET", req("GET", fmt.Sprintf("Content-Length: %d\r\n", len(smuggled)), smuggled),
			fmt.Sprintf("GET / %q", smuggled) + served},
		{"CL.0 of a DELETE", req("DELETE", fmt.Sprintf("Content-Length: %d\r\n", len(smuggled)), smuggled),
			fmt.Sprintf("DELETE / %q", smuggled) + served},
		{"0.CL", req("GET", "", ""), `GET / ""` + served},
		{"chunks of a GET", req("GET", te, chunks), `GET / "Z"` + served},
		{"chunks with a request inside", req("POST", te, fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)),
			fmt.Sprintf("POST / %q", smuggled) + served},
		{"X-HTTP-Method-Override", req("POST",
			"X-HTTP-Method-Override: GET\r\n"+cl, "abcd"), `POST / "abcd"` + served},
	}
}

// codings are ways to write "Transfer-Encoding: chunked" that another server may read otherwise.
func codings() []attack {
	make := func(field string) string {
		return req("POST", field+"\r\n", "1\r\nZ\r\n0\r\n\r\n")
	}
	all := refused("coding", "400", make,
		"Transfer-Encoding: xchunked", "Transfer-Encoding: chunkedx", "Transfer-Encoding: chunked-x",
		"Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", "Transfer-Encoding:\vchunked",
		"Transfer-Encoding:\fchunked", "Transfer-Encoding:\x00chunked", "Transfer-Encoding: \x01chunked",
		"Transfer-Encoding: chunked\x00", "Transfer-Encoding: chunked\x0b", "Transfer-Encoding: chunked\x7f",
		" Transfer-Encoding: chunked", "\tTransfer-Encoding: chunked", "X: a\r\n Transfer-Encoding: chunked",
		"X: a\nTransfer-Encoding: chunked", "X: a\rTransfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked",
		"Transfer-Encoding:\n chunked", "Transfer-Encoding:\r\n\tchunked",
		"Transfer-Encoding: chunked\r\n , identity",
		"Transfer-Encoding: identity", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: 'chunked'",
		"Transfer-Encoding: chunked, identity", "Transfer-Encoding: chunked, gzip",
		"Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked,", "Transfer-Encoding: ,chunked",
		"Transfer-Encoding: , chunked", "Transfer-Encoding: ,", "Transfer-Encoding: ", "Transfer-Encoding:",
		"Transfer-Encoding: chunked;q=1", "Transfer-Encoding: chunked; foo=bar", "Transfer-Encoding: chunk",
		"Transfer-Encoding: ch\u00fcnked", "Transfer-Encoding: chunked\xa0", "Transfer-Encoding:\xa0chunked",
		"Transfer-Encoding: chun ked", "Transfer-Encoding: chunked identity", "Transfer-Encoding: gzip",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "Transfer-Encoding: chunked\r\nTransfer-Encoding:",
		"Transfer-Encoding:\r\nTransfer-Encoding: chunked", "Transfer-Encoding\x00: chunked",
		"Transfer-Encoding chunked",
		"\"Transfer-Encoding\": chunked", "Transfer-Encoding\r\n: chunked", "Transfer-\r\nEncoding: chunked",
		"Foo\r\nTransfer-Encoding: chunked", ": Transfer-Encoding: chunked", "Transfer-Encoding: null",
		"Transfer-Encoding: cow\r\nContent-Length: 4", "Transfer-Encoding: \xef\xbb\xbfchunked")
	all = append(all, refused("coding", "501", make, "Transfer-Encoding: x, chunked",
		"Transfer-Encoding: gzip, chunked",
		"Transfer-Encoding: identity, chunked", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "Transfer-Encoding: deflate,chunked")...)
	return append(all, refused("coding", `POST / "Z"`+served, make, "Transfer-Encoding: chunked",
		"Transfer-Encoding: Chunked", "transfer-encoding: CHUNKED", "Transfer-Encoding:chunked",
		"Transfer-Encoding:  chunked", "Transfer-Encoding:\tchunked", "Transfer-Encoding: chunked  ",
		"Transfer-Encoding: chunked\t", "Transfer_Encoding: x\r\nTransfer-Encoding: chunked",
		"TE: trailers\r\nTransfer-Encoding: chunked")...)
}

// lengths are ways to write a Content-Length. What another one would take as 4 bytes is sent.
func lengths() []attack {
	make := func(field string) string { return req("POST", field+"\r\n", "abcd") }
	all := refused("length", "400", make,
		"Content-Length: +4", "Content-Length: -4", "Content-Length: -0", "Content-Length: 0x4",
		"Content-Length: 4_0",
		"Content-Length: 4.0", "Content-Length: 4e0", "Content-Length: 4,4", "Content-Length: 4, 4",
		"Content-Length: 4;",
		"Content-Length: 4 4", "Content-Length: 4\x00", "Content-Length: 4\x0b", "Content-Length: \x004",
		"Content-Length:", "Content-Length: ", "Content-Length: four", "Content-Length: \"4\"", "Content-Length: 4 ,",
		"Content-Length: 4\xa0", "Content-Length:\xa04", "Content-Length: \u0664", "Content-Length : 4",
		"Content-Length\t: 4", " Content-Length: 4", "X: a\r\n Content-Length: 4", "Content-Length:\r\n 4",
		"Content-Length: 4\r\nContent-Length: 5", "Content-Length: 5\r\nContent-Length: 4",
		"Content-Length: 4\r\nContent-Length: 04x", "Content-Length: 4\r\nContent-Length:",
		"Content-Length: 4\r\ncontent-length: 0", "Content-Length: 9223372036854775808",
		"Content-Length: 18446744073709551620", "Content-Length: 99999999999999999999",
		"Content-Length: 00000000000000000004", "Content-Length: 4\nX: a", "X: a\rContent-Length: 4",
		"Content-Length: 4\rX: a", "Content\x00-Length: 4", "Content-Length\x0b: 4", "Content-Length\xa0: 4")
	all = append(all, refused("length", `POST / "abcd"`+served, make, "Content-Length: 4", "content-length: 4",
		"CONTENT-LENGTH:4", "Content-Length: \t4\t ", "Content-Length: 04", "Content-Length: 0000000004",
		"Content-Length: 4\r\nContent-Length: 4", "Content_Length: 9\r\nContent-Length: 4",
		"Content-Length: 4\r\nX-Content-Length: 9", "Content-Length2: 9\r\nContent-Length: 4")...)
	return append(all,
		attack{"length that never comes", req("POST", "Content-Length: 9999\r\n", "abcd"), "499"},
		attack{"length of all that there is", req("POST", "Content-Length: 9223372036854775807\r\n", "abcd"), "499"},
		attack{"length too short", req("POST", "Content-Length: 2\r\n", "abcd"), `POST / "ab" | cdGET /next ""`},
		attack{"no length, and a body", req("POST", "", "abcd\r\n"), `POST / "" | 400`})
}

// chunkings are ways to write chunks.
func chunkings() []attack {
	make := func(chunks string) string { return req("POST", "Transfer-Encoding: chunked\r\n", chunks) }
	all := refused("chunk", "499", make,
		"+1\r\nZ\r\n0\r\n\r\n", "-1\r\nZ\r\n0\r\n\r\n", "0x1\r\nZ\r\n0\r\n\r\n", "1_0\r\nZ\r\n0\r\n\r\n",
		" 1\r\nZ\r\n0\r\n\r\n", "\t1\r\nZ\r\n0\r\n\r\n", "1 \r\nZ\r\n0\r\n\r\n", "1\t\r\nZ\r\n0\r\n\r\n",
		"1\nZ\r\n0\r\n\r\n", "1\rZ\r\n0\r\n\r\n", "1\r\nZ\n0\r\n\r\n", "1\r\nZ\r0\r\n\r\n", "1\r\nZ0\r\n\r\n",
		"1\r\nZZ\r\n0\r\n\r\n", "2\r\nZ\r\n0\r\n\r\n", "\r\n1\r\nZ\r\n0\r\n\r\n", "g\r\nZ\r\n0\r\n\r\n", "\r\n",
		";x\r\nZ\r\n0\r\n\r\n",
		"1;a\nb\r\nZ\r\n0\r\n\r\n", "1;\n\r\nZ\r\n0\r\n\r\n", "1;\rb\r\nZ\r\n0\r\n\r\n", "1;a\x00b\r\nZ\r\n0\r\n\r\n",
		"1;a\x7f\r\nZ\r\n0\r\n\r\n", "1;a=\"\n\"\r\nZ\r\n0\r\n\r\n", "1\r\r\nZ\r\n0\r\n\r\n",
		"1\x00\r\nZ\r\n0\r\n\r\n",
		"ffffffffffffffff1\r\nZ\r\n0\r\n\r\n", "ffffffffffffffff\r\nZ\r\n0\r\n\r\n",
		"10000000000000001\r\nZ\r\n0\r\n\r\n",
		"8000000000000000\r\nZ\r\n0\r\n\r\n", "0000000000000001\r\nZ\r\n0\r\n\r\n", "1,\r\nZ\r\n0\r\n\r\n",
		"1.0\r\nZ\r\n0\r\n\r\n",
		"1\r\nZ\r\n0\n\r\n", "1\r\nZ\r\n0\r\n\n", "1\r\nZ\r\n0\r\nX: a\n\r\n", "1\r\nZ\r\n0\r\r\n",
		"\xef\xbc\x91\r\nZ\r\n0\r\n\r\n",
		"1"+strings.Repeat(";a=b", 6000)+"\r\nZ\r\n0\r\n\r\n")
	return append(all, refused("chunk", `POST / "Z"`+served, make, "1\r\nZ\r\n0\r\n\r\n", "01\r\nZ\r\n0\r\n\r\n",
		"000000000000001\r\nZ\r\n000\r\n\r\n", "1;a\r\nZ\r\n0\r\n\r\n", "1;a=b\r\nZ\r\n0;c=\"d\"\r\n\r\n",
		"1; a = b\r\nZ\r\n0\r\n\r\n", "1;;;\r\nZ\r\n0\r\n\r\n", "1\r\nZ\r\n0;"+smuggled[:10]+"\r\n\r\n")...)
}

// trailers are fields behind the last chunk.
func trailers() []attack {
	make := func(fields string) string {
		return req("POST", "Transfer-Encoding: chunked\r\n", "1\r\nZ\r\n0\r\n"+fields+"\r\n")
	}
	all := refused("trailer", "499", make, "Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n", "Host: y\r\n",
		"Authorization: x\r\n", "Cookie: a=b\r\n", "Connection: close\r\n", "Trailer: x\r\n",
		"Expect: 100-continue\r\n",
		" X: a\r\n", "X : a\r\n", "X\r\n", ": a\r\n", "X: a\rb\r\n", "X: a\x00b\r\n", "X: a\r\n b\r\n",
		"X: a\nY: b\r\n", "GET / HTTP/1.1\r\n",
		"X: "+strings.Repeat("a", 5000)+"\r\n", strings.Repeat("X: a\r\n", 101))
	all = append(all, refused("trailer", `POST / "Z"`+served, make, "X: a\r\n", "X: a\r\nY: b\r\n",
		"X-Checksum:\r\n")...)
	return append(all, refused("trailer announced", "400", func(name string) string {
		return req("POST", "Transfer-Encoding: chunked\r\nTrailer: "+name+"\r\n", "0\r\n\r\n")
	}, "Content-Length", "Transfer-Encoding", "Trailer", "X, content-length")...)
}

// lineEnds are lines that end otherwise than they have to, and what comes before the first.
func lineEnds() []attack {
	return []attack{
		{"LF alone", "GET / HTTP/1.1\nHost: x\n\n", "400"},
		{"LF behind the first line", "GET / HTTP/1.1\nHost: x\r\n\r\n", "400"},
		{"LF behind a field", "GET / HTTP/1.1\r\nHost: x\n\r\n", "400"},
		{"LF for the empty line", "GET / HTTP/1.1\r\nHost: x\r\n\n", "400"},
		{"CR alone behind the first line", "GET / HTTP/1.1\rHost: x\r\n\r\n", "400"},
		{"CR alone behind a field", "GET / HTTP/1.1\r\nHost: x\rX: a\r\n\r\n", "400"},
		{"CR CR LF", "GET / HTTP/1.1\r\nHost: x\r\r\n\r\n", "400"},
		{"CR CR LF for the empty line", "GET / HTTP/1.1\r\nHost: x\r\n\r\r\n", "400"},
		{"an empty line before", "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", `GET / ""` + served},
		{"two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"LF before", "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"CR before", "\rGET / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"a space before", " GET / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"a tab before", "\tGET / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"NUL before", "\x00GET / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"a space behind an empty line", "\r\n GET / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"a space before the first field", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", "400"},
		{"a space on a line by itself", "GET / HTTP/1.1\r\nHost: x\r\n \r\n\r\n", "400"},
		{"a fold", "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", "400"},
		{"a fold by a tab", "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n\tb\r\n\r\n", "400"},
		{"an empty line behind a body", req("POST", "Content-Length: 1\r\n", "a\r\n"), `POST / "a"` + served},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"},
		{"SSH", "\x80\x00\r\n", "400"},
	}
}

// fieldNames are names that are none.
func fieldNames() []attack {
	return append(refused("name", "400", func(line string) string { return req("GET", line+"\r\n", "") },
		"X Y: a", "X\tY: a", "X : a", ": a", " : a", "X", "X;Y: a", "X(Y): a", "X@Y: a", "X/Y: a", "X[0]: a",
		"X{}: a", "X=Y: a",
		"X,Y: a", "X\\Y: a", "\"X\": a", "X\x00: a", "X\x7f: a", "X\x80: a", "X\u00e9: a", "X\r: a", "X<Y: a",
		"X?: a"),
		refused("name", `GET / ""`+served, func(line string) string { return req("GET", line+"\r\n", "") },
			"X_Y: a", "X.Y: a", "!#$%&'*+-.^_`|~: a", "X::a", "1: a")...)
}

// fieldValues are values with bytes that are none of a text.
func fieldValues() []attack {
	return append(refused("value", "400", func(v string) string { return req("GET", "X: "+v+"\r\n", "") },
		"a\x00b", "\x00", "a\rb", "a\x01b", "a\x08b", "a\x0bb", "a\x0cb", "a\x1bb", "a\x1fb", "a\x7fb"),
		refused("value", `GET / ""`+served, func(v string) string { return req("GET", "X: "+v+"\r\n", "") },
			"", "a\tb", "a b", "\x80\xff", "\u00e9", "a:b", "\"a\\\"b\"")...)
}
