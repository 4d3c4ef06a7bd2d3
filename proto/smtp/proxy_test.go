package smtp

import (
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// two is a PROXY header of version 2: what stands behind the signature, in hexadecimal digits.
func two(rest string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
	if err != nil {
		panic(err)
	}
	return proxySignature + string(b)
}

// proxyHeaders are PROXY headers, and whose connection they make it; "-" is that of the proxy, "" that they are
// refused.
var proxyHeaders = []struct{ header, from string }{
	{"PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\n", "192.0.2.1:1234"},
	{"PROXY TCP6 2001:db8::1 2001:db8::2 1234 25\r\n", "[2001:db8::1]:1234"},
	{"PROXY UNKNOWN\r\n", "-"},
	{"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "-"},
	{two("21 11 000c c0000201 c0000202 04d2 0019"), "192.0.2.1:1234"},
	{two("21 21 0024 20010db8000000000000000000000001 20010db8000000000000000000000002 04d2 0019"),
		"[2001:db8::1]:1234"},
	{two("21 11 0010 c0000201 c0000202 04d2 0019 04 0001 00"), "192.0.2.1:1234"}, // with a TLV
	{two("20 00 0000"), "-"},
	{two("20 11 000c c0000201 c0000202 04d2 0019"), "-"},
	{two("21 00 0000"), "-"},
	{two("21 31 0002 0000"), "-"},
	{"PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\n", ""},
	{"PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n", ""},
	{"PROXY TCP4 192.0.2.1 192.0.2.2 1234 25 26\r\n", ""},
	{"PROXY TCP4 192.0.2.1  192.0.2.2 1234 25\r\n", ""},
	{"PROXY TCP4 192.0.2.1 192.0.2.2 01234 25\r\n", ""},
	{"PROXY TCP4 192.0.2.1 192.0.2.2 +123 25\r\n", ""},
	{"PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n", ""},
	{"PROXY TCP4 192.0.2.01 192.0.2.2 1234 25\r\n", ""},
	{"PROXY TCP4 2001:db8::1 2001:db8::2 1234 25\r\n", ""},
	{"PROXY TCP6 192.0.2.1 192.0.2.2 1234 25\r\n", ""},
	{"PROXY TCP6 fe80::1%eth0 2001:db8::2 1234 25\r\n", ""},
	{"PROXY TCP5 192.0.2.1 192.0.2.2 1234 25\r\n", ""},
	{"PROXY UNKNOWNX\r\n", ""},
	{"proxy TCP4 192.0.2.1 192.0.2.2 1234 25\r\n", ""},
	{"PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n", ""},
	{"EHLO x.example\r\n", ""},
	{two("11 11 000c c0000201 c0000202 04d2 0019"), ""}, // version 1
	{two("22 11 000c c0000201 c0000202 04d2 0019"), ""}, // no command
	{two("21 12 000c c0000201 c0000202 04d2 0019"), ""}, // UDP
	{two("21 11 000b c0000201 c0000202 04d2 00"), ""},
	{two("21 21 000c c0000201 c0000202 04d2 0019"), ""},
	{two("21 11 ffff c0000201 c0000202 04d2 0019"), ""},
}

// TestProxy: headers of both versions, at each cut; nothing behind one is taken for a part of it.
func TestProxy(t *testing.T) {
	t.Parallel()
	for _, row := range proxyHeaders {
		for cut := range row.header {
			if cut > 30 && cut < len(row.header)-2 {
				continue
			}
			var from string
			st := &store{session: func(p Peer) error { from = p.RemoteAddr().String(); return nil }}
			srv := &Server{Backend: st, Proxied: func(net.Conn) bool { return true }}
			answers := converse(t, srv, row.header[:cut], row.header[cut:], "QUIT\r\n")
			want := row.from
			if want == "-" {
				want = "pipe"
			}
			if from != want || (want == "") != (answers == "") || (want == "") != (srv.Stats().Proxy == 1) {
				t.Errorf("%q cut at %d: from %q, the answers %q, %+v", row.header, cut, from, answers, srv.Stats())
			}
		}
	}
}

// TestProxyFromStrangers: a header from a peer that is no proxy is a command, and no good one.
func TestProxyFromStrangers(t *testing.T) {
	t.Parallel()
	for network, trusted := range map[string]bool{"127.0.0.0/8": true, "192.0.2.0/24": false} {
		var from string
		st := &store{session: func(p Peer) error { from = p.RemoteAddr().String(); return nil }}
		k := dial(t, serve(t, &Server{Backend: st, Proxied: FromAddrs(netip.MustParsePrefix(network))}))
		k.send("PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\n")
		k.want("220")
		if trusted {
			k.say("NOOP", "250")
		} else {
			k.want("500")
		}
		if trusted != (from == "192.0.2.1:1234") {
			t.Errorf("%s: it is from %s", network, from)
		}
	}
}

// TestProxyThenTLS: the header stands before the handshake, and none of the handshake's bytes are lost.
func TestProxyThenTLS(t *testing.T) {
	t.Parallel()
	st := new(store)
	cfg, _ := testTLS()
	k := dial(t, serve(t, &Server{Backend: st, TLS: cfg, Proxied: func(net.Conn) bool { return true }}))
	k.send(two("21 11 000c c0000201 c0000202 04d2 0019"))
	k.want("220")
	k.say("EHLO x.example", "250-")
	k.say("STARTTLS", "220")
	k = k.secure()
	k.say("EHLO x.example", "250-")
	k.say("QUIT", "221", "")
}

// TestProxyEnds: a proxy that hangs up in the midst of a header.
func TestProxyEnds(t *testing.T) {
	t.Parallel()
	srv := &Server{Backend: new(store), Proxied: func(net.Conn) bool { return true }}
	k := dial(t, serve(t, srv))
	k.send("PROXY TCP4")
	k.closeWrite()
	if b, err := io.ReadAll(k.r); len(b) > 0 || err != nil {
		t.Errorf("it answers %q, %v", b, err)
	}
	if s := srv.Stats(); s.Proxy != 1 || s.Sessions != 0 {
		t.Errorf("the stats are %+v", s)
	}
}
