package web_test

import (
	"crypto/tls"
	"strings"
)

func dialTLS(addr string) (*tls.Conn, error) {
	return tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
}

// hosts are missing, doubled and odd ones.
func hosts() []attack {
	const line = "GET / HTTP/1.1\r\n"
	all := refused("host", "400", func(fields string) string { return line + fields + "\r\n" },
		"", "X: a\r\n", "Host: x\r\nHost: x\r\n", "Host: x\r\nHost: y\r\n", "Host: x\r\nhOST: y\r\n", "Host : x\r\n",
		"Host: x y\r\n", "Host: x/y\r\n", "Host: x?y\r\n", "Host: x#y\r\n", "Host: x@y\r\n", "Host: x\\y\r\n",
		"Host: x\x00\r\n",
		"Host: x\ty\r\n", "Host: \u00e9\r\n", "Host: <x>\r\n", "Host: \"x\"\r\n", "Host: x\r\n Host: y\r\n",
		"Host: x\rHost: y\r\n",
		"Host: x{}\r\n", "Host: x|y\r\n", "Host: x^\r\n")
	all = append(all, refused("host", `GET / ""`+served, func(fields string) string { return line + fields + "\r\n" },
		"Host: x\r\n", "Host:x\r\n", "Host:\r\n", "Host: x:80\r\n", "Host: [::1]:80\r\n",
		"Host: x\r\nX-Forwarded-Host: y\r\n")...)
	return append(all,
		attack{"host of HTTP/1.0, missing", "GET / HTTP/1.0\r\n\r\n", `GET / ""`},
		attack{"host of HTTP/1.0, twice", "GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", "400"},
		attack{"host of HTTP/1.0, kept alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", `GET / ""` + served})
}

// targets are first lines.
func targets() []attack {
	all := refused("target", "400", func(t string) string { return "GET " + t + " HTTP/1.1\r\nHost: x\r\n\r\n" },
		"", " ", "/ /", "/a b", "a", "*", "?a", "#", "/#a", "x:80", "http:", "http:/", "http://", "http:///a",
		"http://?a",
		"//\x00", "/\x00", "/\x7f", "/\x01", "/a\tb", "/\r", "http//x/", "://x/", "1http://x/", "/%zz", "/%",
		"/%0", "http://x:a/",
		"http://[::1/", "\\a")
	all = append(all, refused("target",
		"", func(t string) string { return "GET " + t + " HTTP/1.1\r\nHost: x\r\n\r\n" },
		"/", "/a?b=c&d", "//a", "/%00", "/a;b", "http://y/", "http://y/a?b", "/?a?b", "/a:b", "/\u00e9", "/'\"<>")...)
	for i := range all {
		if a := &all[i]; a.want == "" {
			t := strings.Fields(a.sent)[1]
			a.want = "GET " + t + ` ""` + served
		}
	}
	return append(all,
		attack{"target too long", "GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\nHost: x\r\n\r\n", "414"},
		attack{"target without end", "GET /" + strings.Repeat("a", 20_000), "414"},
		attack{"head too long", req("GET", "X: "+strings.Repeat("a", 17_000)+"\r\n", ""), "431"},
		attack{"too many fields", req("GET", strings.Repeat("X: a\r\n", 101), ""), "431"},
		attack{"an absolute target and another Host", "GET http://y/a HTTP/1.1\r\nHost: x\r\n\r\n", `GET http://y/a ""` + served},
		attack{"an absolute target without Host", "GET http://y/a HTTP/1.1\r\n\r\n", "400"},
		attack{"an absolute target and two Hosts", "GET http://y/a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"})
}

// versions are those that there are, and others.
func versions() []attack {
	all := refused("version", "400", func(v string) string { return "GET /" + v + "\r\nHost: x\r\n\r\n" },
		"", " ", " HTTP", " HTTP/", " HTTP/1", " HTTP/1.", " HTTP/1.1 ", "  HTTP/1.1", "\tHTTP/1.1", " http/1.1",
		" Http/1.1",
		" HTTP/1,1", " HTTP/11", " HTTP/1.1.1", " HTTP/1.10", " HTTP/01.1", " HTTP/+1.1", " HTTP/-1.1",
		" HTTP/a.b", " HTTPS/1.1",
		" HTTP 1.1", " HTTP/1.1\x00", " HTTP/1.1\x0b", " HTTP/1.1 X", " ICY/1.1", " HTTP/1.\xc2\xb9", " HTTP//1.1")
	all = append(all, refused("version", "505", func(v string) string { return "GET /" + v + "\r\nHost: x\r\n\r\n" },
		" HTTP/0.9", " HTTP/2.0", " HTTP/3.0", " HTTP/9.9", " HTTP/0.0")...)
	return append(all,
		attack{"version HTTP/1.2", "GET / HTTP/1.2\r\nHost: x\r\n\r\n", `GET / ""` + served},
		attack{"version HTTP/1.9 with chunks", "POST / HTTP/1.9\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"1\r\nZ\r\n0\r\n\r\n",
			`POST / "Z"` + served},
		attack{"version HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", `GET / ""`},
		attack{"version HTTP/1.0 with a body", "POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\nabcd", `POST / "abcd"`},
		attack{"version HTTP/1.0 with a body of no length", "POST / HTTP/1.0\r\n\r\nabcd", `POST / ""`},
		attack{"version HTTP/1.0, pipelined", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
			`GET / "" | GET /b ""`},
		attack{"version of the preface, later", smuggled + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", `GET /admin "" | 505`})
}

// methods are tokens, and others.
func methods() []attack {
	all := refused("method", "400", func(m string) string { return m + " / HTTP/1.1\r\nHost: x\r\n\r\n" },
		"", "G ET", "GET\t", "GET\x00", "G\x00T", "G:T", "GET/", "(GET)", "\u00e9", "GET,POST", "\"GET\"",
		"G\x7fT", "GET\r", "G\nT")
	all = append(all, refused("method", "", func(m string) string { return m + " / HTTP/1.1\r\nHost: x\r\n\r\n" },
		"get", "GETX", "M-SEARCH", "FOO_BAR", "TRACE")...)
	for i := range all {
		if a := &all[i]; a.want == "" {
			a.want = strings.Fields(a.sent)[0] + ` / ""` + served
		}
	}
	return append(all,
		attack{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", served},
		attack{"CONNECT x:80", "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", `CONNECT x:80 ""` + served},
		attack{"CONNECT x:80 with a body", "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\nContent-Length: 4\r\n\r\nabcd",
			`CONNECT x:80 "abcd"` + served},
		attack{"CONNECT /", "CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		attack{"CONNECT x", "CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		attack{"CONNECT of a URL", "CONNECT http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", "400"})
}

// expectations are of 100-continue, and others.
func expectations() []attack {
	const length = "Content-Length: 4\r\n"
	return []attack{
		{"expect 100", req("POST", "Expect: 100-continue\r\n"+length, "abcd"), `100 | POST / "abcd"` + served},
		{"expect 100 in capitals", req("POST",
			"Expect: 100-CONTINUE\r\n"+length, "abcd"), `100 | POST / "abcd"` + served},
		{"expect 100 with chunks", req("POST", "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n",
			"1\r\nZ\r\n0\r\n\r\n"),
			`100 | POST / "Z"` + served},
		{"expect 100 without a body", req("GET", "Expect: 100-continue\r\n", ""), `GET / ""` + served},
		{"expect nothing", req("POST", "Expect: \r\n"+length, "abcd"), `POST / "abcd"` + served},
		{"expect something else", req("POST", "Expect: x\r\n"+length, "abcd"), "417"},
		{"expect 100 and something else", req("POST", "Expect: 100-continue, x\r\n"+length, "abcd"), "417"},
		{"expect 100 with an obfuscation", req("POST", "Expect: y 100-continue\r\n"+length, "abcd"), "417"},
		{"expect 100 of HTTP/1.0",
			"POST / HTTP/1.0\r\nExpect: 100-continue\r\n" + length + "\r\nabcd", `POST / "abcd"`},
		{"expect 100 with CL and TE", req("POST",
			"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"+length, "abcd"), "400"},
	}
}

// upgrades are asked for by whoever wants to be past a proxy.
func upgrades() []attack {
	return []attack{
		{"upgrade to h2c", req("GET",
			"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", ""),
			`GET / ""` + served},
		{"upgrade to websocket that nobody takes", req("GET", "Connection: Upgrade\r\nUpgrade: websocket\r\n", ""),
			`GET / ""` + served},
		{"upgrade with a body", req("POST", "Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 4\r\n", "abcd"),
			`POST / "abcd"` + served},
	}
}

// followers are several requests at once.
func followers() []attack {
	return []attack{
		{"three", smuggled + smuggled + smuggled, strings.Repeat(`GET /admin "" | `, 3) + served[3:]},
		{"behind a close", req("GET", "Connection: close\r\n", ""), `GET / ""`},
		{"behind a close in a list", req("GET", "Connection: x, Close\r\n", ""), `GET / ""`},
		{"behind a close in a second field", req("GET", "Connection: keep-alive\r\nConnection: close\r\n",
			""), `GET / ""`},
		{"behind what looks like a close", req("GET", "Connection: closed\r\n", ""), `GET / ""` + served},
		{"behind one that is wrong", smuggled + "GET / HTTP/1.1\r\n\r\n" + smuggled, `GET /admin "" | 400`},
		{"behind a body that ends with the connection's", req("POST", "Content-Length: 5\r\n", "abcd"),
			`POST / "abcdG" | ET /next ""`},
	}
}
