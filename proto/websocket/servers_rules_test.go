package websocket_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/proto/websocket"
)

// TestServersHandshake has each server asked for what it has to grant, and for what it may not.
func TestServersHandshake(t *testing.T) {
	t.Parallel()
	with := func(old, new string) string { return strings.Replace(websocket.Hello, old, new, 1) }
	without := func(field string) string {
		i := strings.Index(websocket.Hello, field)
		return websocket.Hello[:i] + websocket.Hello[i+strings.Index(websocket.Hello[i:], "\n")+1:]
	}
	const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for _, s := range servers(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, row := range []struct {
				name, request string
				status        int
				field, value  string // of the answer
			}{
				{"the RFC's", websocket.Hello, 101, "Sec-Websocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
				{"and Upgrade", websocket.Hello, 101, "Upgrade", "websocket"},
				{"and Connection", websocket.Hello, 101, "Connection", "Upgrade"},
				{"without subprotocols", websocket.Hello, 101, "Sec-Websocket-Protocol", ""},
				{"without extensions", websocket.Hello, 101, "Sec-Websocket-Extensions", ""},
				{"any case", with("websocket\r\nConnection: Upgrade", "WebSocket\r\nConnection: keep-alive, uPGRADE"), 101,
					"Upgrade", "websocket"},
				{"a subprotocol of two", websocket.Hello + "Sec-WebSocket-Protocol: x, echo\r\n", 101,
					"Sec-Websocket-Protocol", "echo"},
				{"a subprotocol of none", websocket.Hello + "Sec-WebSocket-Protocol: x\r\n", 101, "Sec-Websocket-Protocol", ""},
				{"an extension of none", websocket.Hello + "Sec-WebSocket-Extensions: x-foo\r\n", 101,
					"Sec-Websocket-Extensions", ""},
				{"deflate where it is not wanted", websocket.Hello + "Sec-WebSocket-Extensions: permessage-deflate\r\n", 101,
					"Sec-Websocket-Extensions", ""},
				{"deflate", strings.Replace(websocket.Hello, "/chat", "/deflate", 1) +
					"Sec-WebSocket-Extensions: permessage-deflate\r\n", 101, "Sec-Websocket-Extensions",
					"permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
				{"deflate with a parameter that is none", strings.Replace(websocket.Hello, "/chat", "/deflate", 1) +
					"Sec-WebSocket-Extensions: permessage-deflate; foo\r\n", 101, "Sec-Websocket-Extensions", ""},
				{"deflate, the second of two offers", strings.Replace(websocket.Hello, "/chat", "/windows", 1) +
					"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=7, permessage-deflate\r\n", 101,
					"Sec-Websocket-Extensions", "permessage-deflate"},
				{"its own page", websocket.Hello + "Origin: http://server.example.com\r\n", 101, "Upgrade", "websocket"},
				{"another page", websocket.Hello + "Origin: http://evil.example\r\n", 403, "Upgrade", ""},
				{"two pages", websocket.Hello + "Origin: http://a\r\nOrigin: http://b\r\n", 403, "Upgrade", ""},
				{"POST", with("GET", "POST"), 405, "Allow", "GET"},
				{"HTTP/1.0", with("HTTP/1.1", "HTTP/1.0"), 505, "Upgrade", ""},
				{"no Host", without("Host"), 400, "Upgrade", ""},
				{"no Upgrade", without("Upgrade"), 426, "Upgrade", "websocket"},
				{"another Upgrade", with("websocket\r", "h2c\r"), 426, "Upgrade", "websocket"},
				{"no Connection", without("Connection"), 426, "Upgrade", "websocket"},
				{"another Connection", with("Connection: Upgrade", "Connection: x"), 426, "Upgrade", "websocket"},
				{"no version", without("Sec-WebSocket-Version"), 426, "Sec-Websocket-Version", "13"},
				{"version 8", with(": 13", ": 8"), 426, "Sec-Websocket-Version", "13"},
				{"no key", without("Sec-WebSocket-Key"), 400, "Upgrade", ""},
				{"two keys", websocket.Hello + key, 400, "Upgrade", ""},
				{"a short key", with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"), 400, "Upgrade", ""},
				{"no base64", with("dGhl", "d*hl"), 400, "Upgrade", ""},
				{"a body", websocket.Hello + "Content-Length: 1\r\n\r\nx", 400, "Upgrade", ""},
				{"a subprotocol twice", websocket.Hello + "Sec-WebSocket-Protocol: a, a\r\n", 400, "Upgrade", ""},
				{"a subprotocol that is no token", websocket.Hello + "Sec-WebSocket-Protocol: a b\r\n", 400, "Upgrade", ""},
				{"extensions beside the grammar", websocket.Hello + "Sec-WebSocket-Extensions: a;;\r\n", 400, "Upgrade", ""},
				{"an extension's value that is no token", websocket.Hello + "Sec-WebSocket-Extensions: a; b=\"c d\"\r\n", 400,
					"Upgrade", ""},
			} {
				nc := s.raw(t)
				res, _ := ask(t, nc, row.request)
				if res.StatusCode != row.status || res.Header.Get(row.field) != row.value {
					t.Errorf("%s: %s, %v; want %d and %s: %s", row.name, res.Status, res.Header, row.status, row.field, row.value)
				}
				nc.Close()
			}
		})
	}
}

// TestServersMasks holds that a frame without a mask is refused by each server, that a server's have none, and that a
// frame which came together with the handshake is not lost.
func TestServersMasks(t *testing.T) {
	t.Parallel()
	for _, s := range servers(t) {
		nc := s.raw(t)
		masked := websocket.AppendFrame(nil, websocket.Header{Op: websocket.Text, Final: true, Masked: true,
			Key: [4]byte{1, 2, 3, 4}}, []byte("a"))
		bare := websocket.AppendFrame(nil, websocket.Header{Op: websocket.Text, Final: true}, []byte("b"))
		_, r := ask(t, nc, websocket.Hello+"\r\n"+string(masked)+string(bare)+string(masked))
		out, err := io.ReadAll(r)
		want := "1 compressed=false \"a\"\nclose 1002 \"a client's frame has no mask\"\n"
		if got := websocket.Told(string(out)); err != nil || got != want {
			t.Errorf("%s: %v\n%swant\n%s", s.name, err, got, want)
		}
		nc.Close()
	}
}

// TestServersClose holds that a server which closes sends nothing behind its close frame, waits for the client's, and
// then ends the connection itself, whatever came meanwhile.
func TestServersClose(t *testing.T) {
	t.Parallel()
	for _, s := range servers(t) {
		nc, r := s.open(t)
		key := [4]byte{1, 2, 3, 4}
		send := func(text string) {
			nc.Write(websocket.AppendFrame(nil, websocket.Header{Op: websocket.Text, Final: true, Masked: true, Key: key},
				[]byte(text)))
		}
		send("close")
		h := make([]byte, 4)
		if _, err := io.ReadFull(r, h); err != nil || h[0] != 0x88 {
			t.Fatalf("%s: %x, %v", s.name, h, err)
		}
		rest := int(h[1]) - 2
		send("behind")
		nc.Write(websocket.AppendControl(nil, websocket.PingFrame, nil, &key))
		nc.Write(websocket.AppendClose(nil, websocket.Normal, "", &key))
		out, err := io.ReadAll(r)
		if err != nil || len(out) != rest {
			t.Errorf("%s: %d bytes behind the close frame, and %v", s.name, len(out)-rest, err)
		}
		nc.Close()
	}
}

// TestServersBounds holds that a server refuses what is longer than its limits, and never inflates it.
func TestServersBounds(t *testing.T) {
	t.Parallel()
	for _, s := range servers(t) {
		c := s.dial(t, "/windows", &websocket.Options{Deflate: &websocket.Deflate{SendWindow: true}, CloseWait: time.Minute})
		c.WriteMessage(websocket.Binary, make([]byte, 2<<20)) // of which some 2 KiB are sent
		_, _, err := c.ReadMessage()
		if e, ok := err.(*websocket.CloseError); !ok || e.Code != websocket.TooBig {
			t.Errorf("%s: a message that is too long once it is inflated: %v", s.name, err)
		}
	}
}
