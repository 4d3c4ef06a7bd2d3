package web_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

// beginning is that of a client's frame with header h, and so many of its bytes, masked by zeros.
func beginning(h websocket.Header, have int) string {
	h.Masked = true
	return string(websocket.AppendHeader(nil, h)) + strings.Repeat("x", have)
}

// TestHeldSockets: messages of which part has come are bounded for all connections of a loop together, in one frame, in
// many, or compressed: those with most are reset, and counted, and the others go on.
func TestHeldSockets(t *testing.T) {
	const bound, conns, have = 1 << 20, 24, 100 << 10
	for name, sent := range map[string]string{
		"frame":    beginning(websocket.Header{Final: true, Op: websocket.Binary, Length: have * 5 / 4}, have),
		"fragment": beginning(websocket.Header{Op: websocket.Binary, Length: have}, have),
		"compressed": beginning(websocket.Header{Final: true, Compressed: true, Op: websocket.Binary,
			Length: have * 5 / 4}, have),
	} {
		t.Run(name, func(t *testing.T) {
			eachScheme(t, func(t *testing.T, p *place) {
				p.srv = &plexor.Server{Driver: p.srv.Driver, Loops: 1, Clock: loop.NewManualClock(time.Now()), // it stands still
					Limits: plexor.Limits{PartialInput: bound}}
				o := websocket.Options{Deflate: new(websocket.Deflate)}
				p.h = &websocket.Sockets[struct{}]{Options: o,
					Message: func(s *websocket.Socket, _ struct{}, m websocket.Message) error { return s.Send(m) }}
				addr := map[string]string{"tcp": "ws", "tls": "wss"}[p.scheme] + "://" + p.serve(t, web.Options{}) + "/"
				busy, small := dialSocket(t, addr, &o), dialSocket(t, addr, nil)
				part := beginning(websocket.Header{Final: true, Op: websocket.Binary, Length: 1000}, 1000)
				_, _ = io.WriteString(small.NetConn(), part[:100])
				alive := func() {
					t.Helper()
					if err := busy.WriteMessage(websocket.Text, []byte("alive")); err != nil {
						t.Fatal(err)
					}
					wantMessage(t, busy, "alive")
				}
				var all []net.Conn
				for range conns {
					nc := dialSocket(t, addr, &o).NetConn()
					_, _ = io.WriteString(nc, sent) // it may have to go meanwhile
					all = append(all, nc)
					alive()
				}
				awaitEvictions(t, p.srv, conns, bound/have)
				_, _ = io.WriteString(small.NetConn(), part[100:])
				wantMessage(t, small, strings.Repeat("x", 1000))
				for _, nc := range all {
					nc.Close()
				}
				defer goOn(p.srv.Clock)()
				awaits(t, "their ends", func() bool { return p.srv.Stats().Conns == 2 })
				alive()
			})
		})
	}
}

// TestHeldHeads is that of heads of HTTP.
func TestHeldHeads(t *testing.T) {
	const bound, conns, have = 64 << 10, 24, 12 << 10
	eachScheme(t, func(t *testing.T, p *place) {
		p.srv = &plexor.Server{Driver: p.srv.Driver, Loops: 1, Clock: loop.NewManualClock(time.Now()),
			Limits: plexor.Limits{PartialInput: bound}}
		p.h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })
		addr := map[string]string{"tcp": "ws", "tls": "wss"}[p.scheme] + "://" + p.serve(t, web.Options{}) + "/"
		get := func(nc net.Conn, request string) {
			t.Helper()
			_ = nc.SetDeadline(time.Now().Add(patience))
			if _, err := io.WriteString(nc, request); err != nil {
				t.Fatal(err)
			}
			r, err := http.ReadResponse(bufio.NewReader(nc), nil)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(r.Body); string(b) != "/path" || r.StatusCode != http.StatusOK {
				t.Fatalf("%s: %q, %v", r.Status, b, err)
			}
		}
		const request = "GET /path HTTP/1.1\r\nHost: plexor.test\r\n\r\n"
		busy, small := dialRaw(t, addr), dialRaw(t, addr)
		get(small, request)
		_, _ = io.WriteString(small, request[:20])
		get(busy, request)
		for range conns {
			nc := dialRaw(t, addr)
			_, _ = io.WriteString(nc, request[:len(request)-2]+"X: "+strings.Repeat("x", have)) // likewise
			get(busy, request)
		}
		awaitEvictions(t, p.srv, conns, bound/have)
		get(small, request[20:])
	})
}

// awaitEvictions waits until of conns connections, beside two, no more than most are left, and no fewer than half of
// that: their buffers are longer than what is in them. Nothing else may have ended one.
func awaitEvictions(t *testing.T, srv *plexor.Server, conns, most int) {
	t.Helper()
	awaits(t, "those that had to go", func() bool {
		s := srv.Stats()
		return int(s.EvictedInputs) >= conns-most && int(s.EvictedInputs)+s.Conns == conns+2
	})
	if n := int(srv.Stats().EvictedInputs); n > conns-most/2 {
		t.Errorf("%d of %d had to go, want no more than necessary", n, conns)
	}
}
