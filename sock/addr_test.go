package sock

import (
	"context"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

func TestParseAddr(t *testing.T) {
	long := "/" + strings.Repeat("x", maxUnixPath-1)
	for _, row := range []struct {
		name, in string
		want     Addr
		text     string // what String gives; in itself when empty
	}{
		{"IPv4", "tcp://127.0.0.1:9000", Addr{Scheme: "tcp", Host: "127.0.0.1", Port: 9000}, ""},
		{"IPv6", "tcp://[::1]:9000", Addr{Scheme: "tcp", Host: "::1", Port: 9000}, ""},
		{"IPv6 not canonical", "tcp://[0:0:0:0:0:0:0:1]:09000", Addr{Scheme: "tcp", Host: "::1", Port: 9000},
			"tcp://[::1]:9000"},
		{"IPv6 in capitals", "udp://[FE80::A]:1", Addr{Scheme: "udp", Host: "fe80::a", Port: 1}, "udp://[fe80::a]:1"},
		{"IPv4 mapped", "tcp://[::ffff:1.2.3.4]:5", Addr{Scheme: "tcp", Host: "::ffff:1.2.3.4", Port: 5}, ""},
		{"zone", "tcp://[fe80::1%25eth0]:9000", Addr{Scheme: "tcp", Host: "fe80::1%eth0", Port: 9000}, ""},
		{"zone after a bare %", "tcp://[fe80::1%eth0]:9000", Addr{Scheme: "tcp", Host: "fe80::1%eth0", Port: 9000},
			"tcp://[fe80::1%25eth0]:9000"},
		{"zone that is 25", "tcp://[fe80::1%2525]:9000", Addr{Scheme: "tcp", Host: "fe80::1%25", Port: 9000}, ""},
		{"zone with odd characters", "tcp://[fe80::1%25a%3Ab%5D]:1", Addr{Scheme: "tcp", Host: "fe80::1%a:b]", Port: 1}, ""},
		{"all", "udp://:9000", Addr{Scheme: "udp", Port: 9000}, ""},
		{"all IPv6", "tcp://[::]:9000", Addr{Scheme: "tcp", Host: "::", Port: 9000}, ""},
		{"free port", "tcp://127.0.0.1:0", Addr{Scheme: "tcp", Host: "127.0.0.1"}, ""},
		{"last port", "tcp://:65535", Addr{Scheme: "tcp", Port: 65535}, ""},
		{"name", "tcp://localhost:80", Addr{Scheme: "tcp", Host: "localhost", Port: 80}, ""},
		{"name with a dot at its end", "tcp://a.example.:80", Addr{Scheme: "tcp", Host: "a.example.", Port: 80}, ""},
		{"name with underscore", "tcp://my_db-1.local:80", Addr{Scheme: "tcp", Host: "my_db-1.local", Port: 80}, ""},
		{"scheme in capitals", "TCP://:1", Addr{Scheme: "tcp", Port: 1}, "tcp://:1"},
		{"unix", "unix:///run/x.sock", Addr{Scheme: "unix", Path: "/run/x.sock"}, ""},
		{"unix with bytes encoded", "unix:///a%20b%23%3F%25%FF", Addr{Scheme: "unix", Path: "/a b#?%\xff"}, ""},
		{"unix with a space", "unix:///a b", Addr{Scheme: "unix", Path: "/a b"}, "unix:///a%20b"},
		{"unix as long as can be", "unix://" + long, Addr{Scheme: "unix", Path: long}, ""},
		{"query", "tcp://:1?backlog=5&nodelay=no",
			Addr{Scheme: "tcp", Port: 1, Query: url.Values{"backlog": {"5"}, "nodelay": {"no"}}}, ""},
		{"query on unix", "unix:///x?mode=0600", Addr{Scheme: "unix", Path: "/x", Query: url.Values{"mode": {"0600"}}}, ""},
		{"key without value", "tcp://:1?reuseport", Addr{Scheme: "tcp", Port: 1, Query: url.Values{"reuseport": {""}}},
			"tcp://:1?reuseport="},
		{"empty query", "tcp://:1?", Addr{Scheme: "tcp", Port: 1}, "tcp://:1"},
		{"query with a URL in it", "tcp://:1?to=tcp://[::1]:2",
			Addr{Scheme: "tcp", Port: 1, Query: url.Values{"to": {"tcp://[::1]:2"}}},
			"tcp://:1?to=tcp%3A%2F%2F%5B%3A%3A1%5D%3A2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ParseAddr(row.in)
			if err != nil || !reflect.DeepEqual(got, row.want) {
				t.Fatalf("ParseAddr(%q)\n got %#v, %v\nwant %#v", row.in, got, err, row.want)
			}
			text := row.text
			if text == "" {
				text = row.in
			}
			if got.String() != text {
				t.Errorf("String of %q: got %q, want %q", row.in, got, text)
			}
			again, err := ParseAddr(got.String())
			if err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("ParseAddr(%q): got %#v, %v, want %#v again", got, again, err, got)
			}
			if got.Network() != got.Scheme {
				t.Errorf("Network: got %q, want %q", got.Network(), got.Scheme)
			}
		})
	}
}

func TestParseAddrErrors(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{"empty", "", "it is empty: write tcp://host:port"},
		{"NUL", "tcp://a\x00b:1", "a NUL byte at position 7"},
		{"control character", "tcp://a\nb:1", "a control character (0x0a) at position 7"},
		{"DEL", "tcp://a\x7fb:1", "a control character (0x7f)"},
		{"space before", " tcp://:1", "a space before or after it"},
		{"space after", "tcp://:1 ", "a space before or after it"},
		{"fragment", "tcp://:1#x", "an address has no fragment"},
		{"fragment on unix", "unix:///a#b", "written %23"},

		{"no scheme", "127.0.0.1:80", "the scheme is missing; did you mean tcp://127.0.0.1:80?"},
		{"no scheme, name", "localhost:80", "the scheme is missing; did you mean tcp://localhost:80?"},
		{"no scheme, port", ":8080", "the scheme is missing; did you mean tcp://:8080?"},
		{"no scheme, IPv6", "[::1]:80", "did you mean tcp://[::1]:80?"},
		{"no scheme, path", "/run/x.sock", "did you mean unix:///run/x.sock?"},
		{"no scheme, two slashes", "//127.0.0.1:80", "did you mean tcp://127.0.0.1:80?"},
		{"no scheme, anything", "what", "the scheme is missing: write tcp://host:port"},
		{"no scheme before ://", "://:80", "the scheme is missing before ://; did you mean tcp://:80?"},
		{"no slashes", "tcp:127.0.0.1:80", "did you mean tcp://127.0.0.1:80?"},
		{"one slash", "udp:/127.0.0.1:80", "did you mean udp://127.0.0.1:80?"},
		{"unix with one slash", "unix:/run/x", "did you mean unix:///run/x?"},
		{"a scheme in the query only", "x?a=tcp://b", "the scheme is missing"},
		{"unknown scheme", "http://localhost:80", `unknown scheme "http": it is tcp, udp or unix`},
		{"tcp4", "tcp4://:80", `unknown scheme "tcp4": write tcp, the host decides`},
		{"udp6", "udp6://:80", `write udp, the host decides`},

		{"no port", "tcp://127.0.0.1", "the port is missing: write tcp://host:port"},
		{"no port after the colon", "tcp://127.0.0.1:", "the port is missing"},
		{"nothing at all", "udp://", "the port is missing: write udp://host:port"},
		{"no port after brackets", "tcp://[::1]", "the port is missing"},
		{"port by name", "tcp://localhost:http", `the port "http" is not a number`},
		{"port with a sign", "tcp://localhost:+80", `the port "+80" is not a number`},
		{"port below zero", "tcp://localhost:-1", `the port "-1" is not a number`},
		{"port too high", "tcp://localhost:65536", "the port 65536 is out of range: it is 0 to 65535"},
		{"port far too high", "tcp://localhost:99999999999999999999", "is out of range"},

		{"bracket not closed", "tcp://[::1:80", "the ] after the IPv6 address is missing"},
		{"bracket not opened", "tcp://::1]:80", "brackets go around the whole"},
		{"bracket in the middle", "tcp://a[::1]:80", "brackets go around the whole"},
		{"brackets empty", "tcp://[]:80", "the brackets are empty"},
		{"junk after brackets", "tcp://[::1]x:80", `"x:80" follows the ], where :port should`},
		{"IPv4 in brackets", "tcp://[127.0.0.1]:80", "brackets are for IPv6 addresses: write 127.0.0.1 without"},
		{"name in brackets", "tcp://[localhost]:80", `"localhost" in brackets is no IPv6 address`},
		{"IPv6 without brackets", "tcp://::1:80", "an IPv6 address is written in brackets; did you mean tcp://[::1]:80?"},
		{"IPv6 without brackets or port", "tcp://fe80::1:2:3:4:5:6", "an IPv6 address is written in brackets"},
		{"IPv6 without brackets and port", "tcp://1:2:3:4:5:6:7:8", "with the port behind: tcp://[1:2:3:4:5:6:7:8]:port"},
		{"too many colons", "tcp://a:b:c", `"a:b:c" has more than one colon`},
		{"zone on IPv4", "tcp://127.0.0.1%eth0:80", "an IPv4 address has no zone: leave %eth0 out"},
		{"zone on IPv4 in brackets", "tcp://[127.0.0.1%25lo]:80", "an IPv4 address has no zone"},
		{"zone on mapped IPv4", "tcp://[::ffff:1.2.3.4%25lo]:80", "an IPv4 address has no zone"},
		{"zone empty", "tcp://[fe80::1%25]:80", "the zone after % is empty"},
		{"zone empty, bare", "tcp://[fe80::1%]:80", "the zone after % is empty"},
		{"zone badly encoded", "tcp://[fe80::1%25a%zz]:80", "the zone \"25a%zz\" cannot be read"},
		{"zone with a slash in it", "tcp://[fe80::1%25a%2Fb]:80", "which no interface's name has"},

		{"user", "tcp://me@localhost:80", "a tcp address has no user"},
		{"user and password", "tcp://me:pw@localhost:80", "a tcp address has no user"},
		{"path", "tcp://localhost:80/x", `a tcp address has no path: leave "/x" out`},
		{"slash", "udp://localhost:80/", `a udp address has no path: leave "/" out`},
		{"star", "tcp://*:80", "write all addresses as no host at all"},
		{"bad IPv4", "tcp://127.0.0.256:80", `the host "127.0.0.256" is no IPv4 address`},
		{"short IPv4", "tcp://10.1:80", "is no IPv4 address"},
		{"leading zeros", "tcp://127.0.0.01:80", "is no IPv4 address"},
		{"space in host", "tcp://a b:80", `the host "a b" has ' ' in it`},
		{"encoded host", "tcp://a%20b:80", `the host "a%20b" has a % in it`},
		{"international host", "tcp://bücher.example:80", "write an international name as xn--"},
		{"two dots", "tcp://a..b:80", "has an empty part between its dots"},
		{"only a dot", "tcp://.:80", "has an empty part"},
		{"hyphen first", "tcp://-a:80", "begins or ends with a hyphen"},
		{"hyphen last", "tcp://a-.b:80", "begins or ends with a hyphen"},
		{"long part", "tcp://" + strings.Repeat("a", 64) + ":80", "has 64 characters, and at most 63"},
		{"long name", "tcp://" + strings.Repeat("a.", 127) + ":80",
			"the host has 254 characters, and a name has at most 253"},

		{"no path", "unix://", "the path is missing: write unix:///path"},
		{"no path but a query", "unix://?mode=0600", "the path is missing"},
		{"relative path", "unix://x",
			`the path "x" is relative, and a path begins with a third slash; did you mean unix:///x?`},
		{"host before the path", "unix://run/x.sock", "did you mean unix:///run/x.sock?"},
		{"dot path", "unix://./x.sock", "is relative"},
		{"directory", "unix:///run/", "the path names a directory"},
		{"root", "unix:///", "the path names a directory"},
		{"NUL in path", "unix:///a%00b", "the path has a NUL byte (%00) in it"},
		{"bad escape in path", "unix:///a%zz", "the path cannot be read"},
		{"path too long", "unix:///" + strings.Repeat("x", maxUnixPath), "bytes, and this system takes"},

		{"bad escape in query", "tcp://:1?a=%zz", `the query "a=%zz" cannot be read`},
		{"semicolon in query", "tcp://:1?a=1;b=2", "cannot be read"},
		{"repeated key", "tcp://:1?a=1&a=2", "the query gives a 2 times"},
		{"value without a name", "tcp://:1?=1", "has a value without a name"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ParseAddr(row.in)
			if err == nil {
				t.Fatalf("ParseAddr(%q): got %#v, want an error with %q", row.in, got, row.want)
			}
			if !strings.Contains(err.Error(), row.want) {
				t.Errorf("ParseAddr(%q):\n got %q\nwant %q in it", row.in, err, row.want)
			}
			if e, ok := err.(*AddrError); !ok || e.Addr != row.in {
				t.Errorf("ParseAddr(%q): got %#v, want an *AddrError with the address", row.in, err)
			}
			if !reflect.DeepEqual(got, Addr{}) {
				t.Errorf("ParseAddr(%q): got %#v beside the error, want the zero value", row.in, got)
			}
		})
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{
		"tcp://127.0.0.1:9000", "udp://[fe80::1%25eth0]:0", "unix:///a%20b?mode=0600", "tcp://:1?a=b&c", "tcp://x:http",
		"tcp://[fe80::1%2525]:1", "tcp:1", "//", "tcp://a.b-c_d.:65535", "unix:///%ff%00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddr(s)
		if err != nil {
			return
		}
		again, err := ParseAddr(a.String())
		if err != nil || !reflect.DeepEqual(a, again) {
			t.Fatalf("ParseAddr(%q) is %#v, printed %q, which is %#v, %v", s, a, a, again, err)
		}
		if a.String() != again.String() {
			t.Fatalf("ParseAddr(%q) prints %q and then %q", s, a, again)
		}
		if ap, ok := a.AddrPort(); ok && a.Host != "" {
			b := FromAddrPort(a.Scheme, ap)
			if bp, ok := b.AddrPort(); !ok || bp != ap {
				t.Fatalf("FromAddrPort(%v) is %#v, whose AddrPort is %v, %v", ap, b, bp, ok)
			}
		}
	})
}

func TestAddrPort(t *testing.T) {
	for _, row := range []struct {
		name string
		in   Addr
		want string // "" for none
	}{
		{"IPv4", Addr{Scheme: "tcp", Host: "1.2.3.4", Port: 5}, "1.2.3.4:5"},
		{"IPv6 with zone", Addr{Scheme: "udp", Host: "fe80::1%lo", Port: 5}, "[fe80::1%lo]:5"},
		{"mapped comes out as IPv4", Addr{Scheme: "tcp", Host: "::ffff:1.2.3.4", Port: 5}, "1.2.3.4:5"},
		{"all", Addr{Scheme: "tcp", Port: 5}, "[::]:5"},
		{"name", Addr{Scheme: "tcp", Host: "localhost", Port: 5}, ""},
		{"unix", Addr{Scheme: "unix", Path: "/x"}, ""},
		{"port out of range", Addr{Scheme: "tcp", Host: "1.2.3.4", Port: 65536}, ""},
		{"port below zero", Addr{Scheme: "tcp", Host: "1.2.3.4", Port: -1}, ""},
		{"nothing", Addr{}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, ok := row.in.AddrPort()
			if ok != (row.want != "") || ok && got.String() != row.want {
				t.Errorf("%#v: got %v, %v, want %q", row.in, got, ok, row.want)
			}
		})
	}
}

func TestFromAddrPort(t *testing.T) {
	for _, row := range []struct {
		name string
		in   netip.AddrPort
		want string
	}{
		{"IPv4", netip.MustParseAddrPort("1.2.3.4:5"), "tcp://1.2.3.4:5"},
		{"IPv6", netip.MustParseAddrPort("[::1]:5"), "tcp://[::1]:5"},
		{"zone", netip.MustParseAddrPort("[fe80::1%eth0]:5"), "tcp://[fe80::1%25eth0]:5"},
		{"mapped", netip.MustParseAddrPort("[::ffff:1.2.3.4]:5"), "tcp://1.2.3.4:5"},
		{"zero", netip.AddrPort{}, "tcp://:0"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := FromAddrPort("tcp", row.in); got.String() != row.want {
				t.Errorf("%v: got %v, want %s", row.in, got, row.want)
			}
		})
	}
}

// TestResolveNil: a context that is nil is an error that says so, where a resolver would be asked.
func TestResolveNil(t *testing.T) {
	var none context.Context
	_, err := Addr{Scheme: "tcp", Host: "name.invalid", Port: 1}.Resolve(none)
	if err == nil || !strings.Contains(err.Error(), "the context is nil") {
		t.Errorf("%v, want that the context is nil", err)
	}
}

func TestResolve(t *testing.T) {
	done, cancel := context.WithCancel(context.Background())
	cancel() // no resolver can answer any more, and none may be needed
	for _, in := range []string{"tcp://1.2.3.4:5?backlog=7", "udp://[::1]:5", "tcp://:5", "unix:///x"} {
		a, err := ParseAddr(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.Resolve(done)
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], a) {
			t.Errorf("Resolve of %s: got %v, %v, want itself", in, got, err)
		}
	}

	name := Addr{Scheme: "tcp", Host: "localhost", Port: 5, Query: url.Values{"nodelay": {"no"}}}
	got, err := name.Resolve(context.Background())
	if err != nil || len(got) == 0 {
		t.Fatalf("Resolve of %v: got %v, %v, want addresses", name, got, err)
	}
	for _, a := range got {
		ip, ok := a.AddrPort()
		if !ok || !ip.Addr().IsLoopback() || a.Port != 5 || a.Scheme != "tcp" || a.Query.Get("nodelay") != "no" {
			t.Errorf("Resolve of %v: got %v, want loopback addresses with the port and query", name, a)
		}
	}

	none := Addr{Scheme: "tcp", Host: "no-such-host.invalid", Port: 5}
	if got, err := none.Resolve(done); err == nil ||
		!strings.Contains(err.Error(), "resolve tcp://no-such-host.invalid:5") {
		t.Errorf("Resolve of %v: got %v, %v, want an error with the address", none, got, err)
	}
}
