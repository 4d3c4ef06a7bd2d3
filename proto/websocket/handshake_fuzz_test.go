package websocket

import (
	"bufio"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/proto/http1"
)

// FuzzExtensions holds that what is read, written again, is read again.
func FuzzExtensions(f *testing.F) {
	for _, s := range []string{"permessage-deflate; client_max_window_bits; server_max_window_bits=10, foo",
		`a; b="\c"`, ","} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		all, ok := ParseExtensions([]string{s})
		if !ok {
			return
		}
		again, ok := ParseExtensions([]string{written(all)})
		if !ok || !reflect.DeepEqual(all, again) {
			t.Fatalf("%q: %+v, and written again %+v", s, all, again)
		}
		d := &Deflate{SendWindow: true, ReceiveWindow: true, ReceiveBits: 12}
		if c, answer := d.accept(all); c != nil {
			client := &Deflate{SendWindow: true, ReceiveWindow: true}
			if back, ok := client.check(*answer); !ok || back.SendBits != c.ReceiveBits {
				t.Fatalf("%q: the answer %q is read as %+v", s, answer.append(nil), back)
			}
		}
	})
}

// FuzzOffer holds that a request that both parsers take is the same offer by both.
func FuzzOffer(f *testing.F) {
	f.Add(hello + "\r\n")
	f.Add(hello + "Origin: http://a\r\nSec-WebSocket-Protocol: a, b\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; x=1\r\n\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		var h http1.Head
		if h.ParseRequest([]byte(in), http1.Limits{}.WithDefaults()) != nil {
			return
		}
		got, err := ParseOffer(&h)
		req, readErr := http.ReadRequest(bufio.NewReader(strings.NewReader(in)))
		if readErr != nil {
			return
		}
		want, wantErr := OfferOf(req)
		if err == nil && (wantErr != nil || !reflect.DeepEqual(got, want)) && !strings.Contains(req.RequestURI, "://") {
			t.Fatalf("%q: %+v, by net/http %+v, %v", in, got, want, wantErr)
		}
	})
}
