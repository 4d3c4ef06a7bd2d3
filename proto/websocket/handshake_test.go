package websocket

import (
	"bufio"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/proto/http1"
)

// hello is the request of RFC 6455, section 1.3, without its end.
const hello = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

// offerOf parses a request by both ways, which have to agree.
func offerOf(t *testing.T, in string) (*Offer, error) {
	t.Helper()
	var h http1.Head
	if err := h.ParseRequest([]byte(in), http1.Limits{}.WithDefaults()); err != nil {
		t.Fatalf("%q: %v", in, err)
	}
	o, err := ParseOffer(&h)
	req, err2 := http.ReadRequest(bufio.NewReader(strings.NewReader(in)))
	if err2 != nil {
		t.Fatalf("%q: net/http: %v", in, err2)
	}
	o2, err2 := OfferOf(req)
	if err != err2 || !reflect.DeepEqual(o, o2) {
		t.Errorf("%q: ParseOffer = %+v, %v; OfferOf = %+v, %v", in, o, err, o2, err2)
	}
	return o, err
}

func TestOffer(t *testing.T) {
	without := func(field string) string {
		i := strings.Index(hello, field)
		return hello[:i] + hello[i+strings.Index(hello[i:], "\n")+1:]
	}
	with := func(old, new string) string { return strings.Replace(hello, old, new, 1) }
	for _, c := range []struct {
		name, in string
		err      error
	}{
		{"the RFC's", hello, nil},
		{"any case", with("Upgrade: websocket\r\nConnection: Upgrade",
			"UPGRADE: WebSocket\r\nCONNECTION: keep-alive, uPGRADE"), nil},
		{"a list of protocols to upgrade to", with("websocket\r", "h2c, websocket\r"), nil},
		{"an older HTTP", with("HTTP/1.1", "HTTP/1.0"), ErrHTTP},
		{"a POST", with("GET", "POST"), ErrMethod},
		{"a HEAD", with("GET", "HEAD"), ErrMethod},
		{"no Upgrade", without("Upgrade"), ErrNoUpgrade},
		{"another Upgrade", with("websocket\r", "websockets\r"), ErrNoUpgrade},
		{"no Connection", without("Connection"), ErrNoUpgrade},
		{"a Connection without upgrade", with("Connection: Upgrade", "Connection: close"), ErrNoUpgrade},
		{"no version", without("Sec-WebSocket-Version"), ErrVersion},
		{"version 8", with(": 13", ": 8"), ErrVersion},
		{"two versions", hello + "Sec-WebSocket-Version: 8\r\n", ErrVersion},
		{"a list of versions", with(": 13", ": 13, 8"), ErrVersion},
		{"no key", without("Sec-WebSocket-Key"), ErrKey},
		{"two keys", hello + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ErrKey},
		{"a key of 15 bytes", with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"), ErrKey},
		{"a key that is not base64", with("dGhl", "d*hl"), ErrKey},
		{"a key with bits behind its end", with("ZQ==", "ZR=="), ErrKey},
		{"a body", hello + "Content-Length: 3\r\n", ErrBody},
		{"chunks", hello + "Transfer-Encoding: chunked\r\n", ErrBody},
		{"two origins", hello + "Origin: http://a\r\nOrigin: http://b\r\n", ErrOrigin},
		{"subprotocols", hello + "Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Protocol: third\r\n", nil},
		{"one twice", hello + "Sec-WebSocket-Protocol: chat, chat\r\n", ErrProtocols},
		{"an empty one", hello + "Sec-WebSocket-Protocol: chat,,superchat\r\n", ErrProtocols},
		{"one with a space", hello + "Sec-WebSocket-Protocol: a b\r\n", ErrProtocols},
		{"too many", hello + "Sec-WebSocket-Protocol: a" + strings.Repeat(",b", 64) + "\r\n", ErrProtocols},
		{"extensions", hello + "Sec-WebSocket-Extensions: foo; a=1, bar;b=\"x\"\r\n", nil},
		{"none between commas", hello + "Sec-WebSocket-Extensions: foo,,bar\r\n", ErrExtensions},
	} {
		if _, err := offerOf(t, c.in+"\r\n"); err != c.err && !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
}

func TestOfferFields(t *testing.T) {
	got, err := offerOf(t, hello+"Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n"+
		"Sec-WebSocket-Extensions: foo; a; b=1\r\n\r\n")
	want := &Offer{Host: "server.example.com", Target: "/chat", Origin: "http://example.com",
		Key:        "dGhlIHNhbXBsZSBub25jZQ==",
		Protocols:  []string{"chat", "superchat"},
		Extensions: []Extension{{"foo", []Param{{"a", "", true}, {"b", "1", false}}}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// TestRefusal holds that a refusal is an answer of HTTP that says what would do.
func TestRefusal(t *testing.T) {
	for err, want := range map[*Refusal][2]string{
		ErrVersion:   {"Sec-Websocket-Version", "13"},
		ErrNoUpgrade: {"Upgrade", "websocket"},
		ErrMethod:    {"Allow", "GET"},
		ErrOrigin:    {"Content-Type", "text/plain; charset=utf-8"},
	} {
		r, e := http.ReadResponse(bufio.NewReader(strings.NewReader(string(err.Append(nil)))), nil)
		if e != nil || r.StatusCode != err.Status || r.Header.Get(want[0]) != want[1] || !r.Close {
			t.Errorf("%v: %+v, %v", err, r, e)
		}
	}
}

func TestAccept(t *testing.T) {
	o := &Options{Protocols: []string{"superchat", "chat"}, Header: http.Header{"Server": {"x"}}}
	f, _ := offerOf(t, hello+"Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: foo\r\n\r\n")
	a, err := o.Accept(f)
	if err != nil {
		t.Fatal(err)
	}
	want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: superchat\r\nServer: x\r\n\r\n"
	if got := string(o.AppendAccept(nil, f, a)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, none := range []*Options{{}, {Protocols: []string{"other"}}} {
		if a, err := none.Accept(f); err != nil || a.Protocol != "" ||
			strings.Contains(string(none.AppendAccept(nil, f, a)), "Protocol:") {
			t.Errorf("with %v: %+v, %v", none.Protocols, a, err)
		}
	}
}

func TestOrigin(t *testing.T) {
	for _, c := range []struct {
		host, origin string
		want         bool
	}{
		{"a.example", "", true},
		{"a.example", "http://a.example", true},
		{"A.example", "https://a.EXAMPLE", true},
		{"a.example:80", "http://a.example", true},
		{"a.example:443", "https://a.example", true},
		{"a.example:8080", "http://a.example:8080", true},
		{"a.example", "http://a.example:8080", false},
		{"a.example:8080", "http://a.example", false},
		{"a.example", "http://b.example", false},
		{"a.example", "http://a.example.evil", false},
		{"a.example", "http://evil@b.example", false},
		{"a.example", "null", false},
		{"a.example", "a.example", false},
		{"a.example", "http://%zz", false},
		{"", "http://", false},
		{"[::1]:80", "http://[::1]", true},
	} {
		_, err := new(Options).Accept(&Offer{Host: c.host, Origin: c.origin})
		if (err == nil) != c.want {
			t.Errorf("a page of %q at host %q: %v", c.origin, c.host, err)
		}
	}
	any := &Options{Origin: func(f *Offer) bool { return f.Origin == "null" }}
	if _, err := any.Accept(&Offer{Host: "a", Origin: "null"}); err != nil {
		t.Errorf("allowed by the function: %v", err)
	}
	if _, err := any.Accept(&Offer{Host: "a", Origin: "http://a"}); err != ErrOrigin {
		t.Errorf("not allowed by the function: %v", err)
	}
}

// answer is what a client makes of a server's answer to r, whose accept stands for %.
func answer(r *Request, in string) (*Agreement, error) {
	var h http1.Head
	in = strings.Replace(in, "%", acceptKey(r.Key), 1)
	if err := h.ParseResponse([]byte(in), "GET", http1.Limits{}.WithDefaults()); err != nil {
		return nil, err
	}
	return r.Check(&h)
}

func TestAnswer(t *testing.T) {
	const good = "HTTP/1.1 101 Switching\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: %\r\n"
	o := &Options{Protocols: []string{"chat"}, Deflate: &Deflate{ReceiveWindow: true}}
	for _, c := range []struct {
		name, in string
		err      error
	}{
		{"good", good, nil},
		{"a subprotocol", good + "Sec-WebSocket-Protocol: chat\r\n", nil},
		{"an extension", good + "Sec-WebSocket-Extensions: permessage-deflate\r\n", nil},
		{"200", strings.Replace(good, "101", "200", 1), ErrNoSwitch},
		{"a redirection", strings.Replace(good, "101", "302", 1), ErrNoSwitch},
		{"426", strings.Replace(good, "101", "426", 1), ErrNoSwitch},
		{"no Upgrade", strings.Replace(good, "Upgrade:", "X:", 1), ErrAnswer},
		{"another Upgrade", strings.Replace(good, "WebSocket\r", "h2c\r", 1), ErrAnswer},
		{"no Connection", strings.Replace(good, "Connection:", "X:", 1), ErrAnswer},
		{"another Connection", strings.Replace(good, ": upgrade", ": close", 1), ErrAnswer},
		{"no accept", strings.Replace(good, "Accept", "X", 1), ErrAccept},
		{"another accept", strings.Replace(good, "%", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 1), ErrAccept},
		{"two accepts", good + "Sec-WebSocket-Accept: x\r\n", ErrAccept},
		{"another subprotocol", good + "Sec-WebSocket-Protocol: Chat\r\n", ErrNotAsked},
		{"two subprotocols", good + "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n", ErrNotAsked},
		{"an empty subprotocol", good + "Sec-WebSocket-Protocol:\r\n", ErrNotAsked},
		{"another extension", good + "Sec-WebSocket-Extensions: foo\r\n", ErrNotAsked},
		{"one extension twice", good + "Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate\r\n", ErrNotAsked},
		{"no extensions", good + "Sec-WebSocket-Extensions:\r\n", ErrBadExtension},
	} {
		r, err := NewRequest("ws://a/", o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = answer(r, c.in+"\r\n"); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
	r, _ := NewRequest("ws://a/", &Options{})
	if _, err := answer(r, good+"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"); err != ErrNotAsked {
		t.Errorf("an extension where none was asked for: %v", err)
	}
}

// TestRequest holds the client's request to what a server wants, and that each has a key of its own.
func TestRequest(t *testing.T) {
	o := &Options{Protocols: []string{"a", "b"}, Deflate: &Deflate{}, Header: http.Header{"Origin": {"http://x"}}}
	keys := map[string]bool{}
	for _, c := range []struct{ address, host, target string }{
		{"ws://h/p?q=1", "h", "/p?q=1"},
		{"ws://h", "h", "/"},
		{"ws://h?q", "h", "/?q"},
		{"ws://h:80/", "h", "/"},
		{"wss://h:443/", "h", "/"},
		{"wss://h:80/a%20b", "h:80", "/a%20b"},
		{"ws://[::1]:81/", "[::1]:81", "/"},
	} {
		r, err := NewRequest(c.address, o)
		if err != nil {
			t.Fatal(err)
		}
		f, err := offerOf(t, string(r.Append(nil)))
		if err != nil || f.Host != c.host || f.Target != c.target || f.Origin != "http://x" || keys[f.Key] ||
			!reflect.DeepEqual(f.Protocols, o.Protocols) || len(f.Extensions) != 1 {
			t.Errorf("%s: a server reads %+v, %v", c.address, f, err)
		}
		keys[f.Key] = true
	}
	for _, bad := range []string{"http://h/", "h:80", "ws:///", "ws:h", "ws://h/#a", "ws://h/#", "ws://u:p@h/",
		"ws://é/", "ws://h/?a b", "ws://h:x/", ""} {
		if r, err := NewRequest(bad, o); err == nil {
			t.Errorf("%s: taken: %+v", bad, r)
		}
	}
	for name, value := range map[string]string{"Host": "x", "sec-websocket-key": "x", "A b": "x", "A": "x\r\nB: y",
		"Upgrade": "x"} {
		if _, err := NewRequest("ws://h/", &Options{Header: http.Header{name: {value}}}); err == nil {
			t.Errorf("the field %q: %q is taken", name, value)
		}
	}
	if _, err := NewRequest("ws://h/", &Options{Protocols: []string{"a", "a"}}); err == nil {
		t.Error("one subprotocol twice is taken")
	}
}

func TestExtensionsGrammar(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string // written again; "-": refused
	}{
		{"foo", "foo"},
		{"foo, bar; baz=2", "foo, bar; baz=2"},
		{"\tfoo ;\ta = 1 ; b , bar", "foo; a=1; b, bar"},
		{`foo; a="10"`, "foo; a=10"},
		{`foo; a="1\0"`, "foo; a=10"},
		{`foo; a="1 0"`, "-"},
		{`foo; a=""`, "-"},
		{`foo; a="1`, "-"},
		{`foo; a="1\`, "-"},
		{`foo; a=`, "-"},
		{`foo; =1`, "-"},
		{`foo;`, "-"},
		{`foo,`, "-"},
		{`,foo`, "-"},
		{`foo bar`, "-"},
		{`foo; a b`, "-"},
		{`foo; a="1"b`, "-"},
		{``, "-"},
		{`f(o`, "-"},
		{strings.Repeat("a,", 15) + "a", strings.Repeat("a, ", 15) + "a"},
		{strings.Repeat("a,", 16) + "a", "-"},
		{"a" + strings.Repeat(";b", 17), "-"},
	} {
		all, ok := ParseExtensions([]string{c.in})
		got := "-"
		if ok {
			got = written(all)
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func written(all []Extension) string {
	var parts []string
	for _, e := range all {
		parts = append(parts, string(e.append(nil)))
	}
	return strings.Join(parts, ", ")
}
