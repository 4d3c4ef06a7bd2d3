package websocket

import (
	"testing"
)

// TestServerNegotiates is RFC 7692, section 5 and 7.1, of a server.
func TestServerNegotiates(t *testing.T) {
	plain, keeps := &Deflate{}, &Deflate{SendWindow: true, ReceiveWindow: true}
	narrow := &Deflate{SendWindow: true, ReceiveWindow: true, ReceiveBits: 10}
	for _, c := range []struct {
		name    string
		d       *Deflate
		offer   string
		want    string // the answer; "": none
		send    int    // the bits that are agreed on
		receive int
	}{
		{"keeps nothing", plain, "permessage-deflate",
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover", 15, 15},
		{"keeps both", keeps, "permessage-deflate", "permessage-deflate", 15, 15},
		{"is asked not to keep", keeps, "permessage-deflate; server_no_context_takeover",
			"permessage-deflate; server_no_context_takeover", 15, 15},
		{"the client keeps nothing", keeps, "permessage-deflate; client_no_context_takeover",
			"permessage-deflate; client_no_context_takeover", 15, 15},
		{"a narrow window", keeps, "permessage-deflate; server_max_window_bits=8",
			"permessage-deflate; server_max_window_bits=8", 8, 15},
		{"in quotes", keeps, `permessage-deflate; server_max_window_bits="9"`,
			"permessage-deflate; server_max_window_bits=9", 9, 15},
		{"the client can have one", narrow, "permessage-deflate; client_max_window_bits",
			"permessage-deflate; client_max_window_bits=10", 15, 10},
		{"and has a smaller one", narrow, "permessage-deflate; client_max_window_bits=9",
			"permessage-deflate; client_max_window_bits=9", 15, 9},
		{"or a larger one", narrow, "permessage-deflate; client_max_window_bits=15",
			"permessage-deflate; client_max_window_bits=10", 15, 10},
		{"the client can't", narrow, "permessage-deflate", "permessage-deflate", 15, 15},
		{"not narrow", keeps, "permessage-deflate; client_max_window_bits", "permessage-deflate", 15, 15},
		{"an unknown parameter", keeps, "permessage-deflate; foo", "", 0, 0},
		{"and a second offer", keeps, "permessage-deflate; foo, permessage-deflate", "permessage-deflate", 15, 15},
		{"the first that can be kept", keeps, "x-foo, permessage-deflate; server_max_window_bits=10, permessage-deflate",
			"permessage-deflate; server_max_window_bits=10", 10, 15},
		{"a parameter twice", keeps, "permessage-deflate; client_max_window_bits; client_max_window_bits=10", "", 0, 0},
		{"a value where none is", keeps, "permessage-deflate; server_no_context_takeover=1", "", 0, 0},
		{"the same for the client", keeps, "permessage-deflate; client_no_context_takeover=1", "", 0, 0},
		{"none where one is", keeps, "permessage-deflate; server_max_window_bits", "", 0, 0},
		{"7 bits", keeps, "permessage-deflate; server_max_window_bits=7", "", 0, 0},
		{"16 bits", keeps, "permessage-deflate; client_max_window_bits=16", "", 0, 0},
		{"a leading zero", keeps, "permessage-deflate; server_max_window_bits=08", "", 0, 0},
		{"a sign", keeps, "permessage-deflate; server_max_window_bits=+9", "", 0, 0},
		{"no number", keeps, "permessage-deflate; client_max_window_bits=x", "", 0, 0},
		{"another extension", keeps, "x-webkit-deflate-frame", "", 0, 0},
	} {
		offers, ok := ParseExtensions([]string{c.offer})
		if !ok {
			t.Fatal(c.offer)
		}
		agreed, answer := c.d.accept(offers)
		got := ""
		if answer != nil {
			got = string(answer.append(nil))
		}
		if got != c.want || agreed != nil && (agreed.SendBits != c.send || agreed.ReceiveBits != c.receive) {
			t.Errorf("%s: %q, %+v, want %q, %d, %d", c.name, got, agreed, c.want, c.send, c.receive)
		}
		if agreed != nil { // whatever a server answers, the client that asked for it takes it
			_, ok := (&Deflate{SendWindow: true, ReceiveWindow: true}).check(*answer)
			if !ok {
				t.Errorf("%s: a client refuses %q", c.name, got)
			}
		}
	}
}

// TestClientNegotiates is the same of a client.
func TestClientNegotiates(t *testing.T) {
	keeps := &Deflate{SendWindow: true, ReceiveWindow: true}
	narrow := &Deflate{SendWindow: true, ReceiveWindow: true, ReceiveBits: 10}
	for _, c := range []struct {
		name   string
		d      *Deflate
		answer string
		want   *Compression // nil: the connection fails
	}{
		{"plain", keeps, "permessage-deflate", &Compression{true, true, 15, 15}},
		{"the server keeps nothing", keeps, "permessage-deflate; server_no_context_takeover",
			&Compression{true, false, 15, 15}},
		{"nor may we", keeps, "permessage-deflate; client_no_context_takeover", &Compression{false, true, 15, 15}},
		{"a window of ours", keeps, "permessage-deflate; client_max_window_bits=8", &Compression{true, true, 8, 15}},
		{"one of the server's, unasked", keeps, "permessage-deflate; server_max_window_bits=9",
			&Compression{true, true, 15, 9}},
		{"asked", narrow, "permessage-deflate; server_max_window_bits=10", &Compression{true, true, 15, 10}},
		{"a smaller one than asked", narrow, "permessage-deflate; server_max_window_bits=9", &Compression{true, true, 15, 9}},
		{"asked and not kept", narrow, "permessage-deflate", nil},
		{"a larger one than asked", narrow, "permessage-deflate; server_max_window_bits=11", nil},
		{"we keep nothing, and the server does", &Deflate{}, "permessage-deflate", nil},
		{"we keep nothing", &Deflate{}, "permessage-deflate; server_no_context_takeover", &Compression{false, false, 15, 15}},
		{"an unknown parameter", keeps, "permessage-deflate; foo", nil},
		{"one twice", keeps, "permessage-deflate; server_no_context_takeover; server_no_context_takeover", nil},
		{"bare", keeps, "permessage-deflate; client_max_window_bits", nil},
		{"bare for the server", keeps, "permessage-deflate; server_max_window_bits", nil},
		{"a value", keeps, "permessage-deflate; server_no_context_takeover=1", nil},
		{"no window", keeps, "permessage-deflate; client_max_window_bits=16", nil},
	} {
		all, _ := ParseExtensions([]string{c.answer})
		got, ok := c.d.check(all[0])
		if ok != (c.want != nil) || ok && *got != *c.want {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, ok, c.want)
		}
	}
}

// TestOfferAsks holds what a client asks for.
func TestOfferAsks(t *testing.T) {
	for _, c := range []struct {
		d    Deflate
		want string
	}{
		{Deflate{SendWindow: true, ReceiveWindow: true}, "permessage-deflate; client_max_window_bits"},
		{Deflate{}, "permessage-deflate; client_max_window_bits; server_no_context_takeover; client_no_context_takeover"},
		{Deflate{SendWindow: true, ReceiveWindow: true, ReceiveBits: 9},
			"permessage-deflate; client_max_window_bits; server_max_window_bits=9"},
	} {
		if got := string(c.d.offer().append(nil)); got != c.want {
			t.Errorf("%+v: %q, want %q", c.d, got, c.want)
		}
	}
}
