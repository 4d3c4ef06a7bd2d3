package web_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

// TestHubBehindClose holds that a member gets no message behind the close frame, whichever side began to close, and all
// that were sent before where the server did (RFC 6455, section 5.5.1): the client reads what is behind it too.
func TestHubBehindClose(t *testing.T) {
	eachSocketServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		t.Parallel()
		for _, byClient := range []bool{false, true} {
			var room web.Hub
			joined := make(chan *websocket.Socket, 1)
			addr := serve(hubRig(&room, joined))
			raw, r := openRaw(t, addr)
			s := <-joined
			const before = 50
			for range before {
				room.SendText("before")
			}
			if byClient {
				raw.Write(websocket.AppendClose(nil, websocket.Normal, "", &[4]byte{1, 2, 3, 4}))
			} else {
				s.Close(4001, "")
			}
			behind := func() {
				for range 100 {
					room.SendText("behind")
				}
			}
			behind()
			ops := readOps(t, r, func() {
				if behind(); !byClient { // between the server's close frame and the answer
					answerClose(raw)
				}
			})
			n := len(ops)
			if closes := bytes.Count(ops, []byte{8}); n == 0 || ops[n-1] != 8 || closes != 1 || !byClient && n <= before {
				t.Errorf("by the client %v: %d frames, which should end with the close frame: opcodes %v", byClient, n, ops)
			}
		}
	})
}

// openRaw is a client that has done the handshake, and what reads behind it.
func openRaw(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	raw := dialRaw(t, addr)
	request, err := websocket.NewRequest(addr, new(websocket.Options))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Write(request.Append(nil)); err != nil {
		t.Fatal(err)
	}
	raw.SetReadDeadline(time.Now().Add(patience))
	r := bufio.NewReader(raw)
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	return raw, r
}

func answerClose(raw net.Conn) {
	raw.Write(websocket.AppendClose(nil, websocket.Normal, "", &[4]byte{1, 2, 3, 4}))
}

// readOps reads short frames to the end of the connection, and returns their opcodes. It calls closes at a close frame.
func readOps(t *testing.T, r *bufio.Reader, closes func()) (ops []byte) {
	t.Helper()
	for {
		var h [2]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			if err != io.EOF {
				t.Errorf("behind frames with the opcodes %v: %v", ops, err)
			}
			return ops
		}
		if _, err := r.Discard(int(h[1])); err != nil || h[1] > 125 {
			t.Fatalf("a frame of %d bytes: %v", h[1], err)
		}
		if ops = append(ops, h[0]&15); h[0]&15 == 8 {
			closes()
		}
	}
}

// TestPostsBeforeClose holds that what was posted before Close leaves before, and that a queue that is full of it
// keeps the close frame from nobody.
func TestPostsBeforeClose(t *testing.T) {
	eachSocketServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		t.Parallel()
		const most = 1024 // entries of a queue, on the engine and elsewhere
		sockets := make(chan *websocket.Socket, 1)
		addr := serve(&websocket.Sockets[struct{}]{Log: quiet,
			Open: func(s *websocket.Socket, _ *http.Request) (struct{}, error) { sockets <- s; return struct{}{}, nil },
			Message: func(s *websocket.Socket, _ struct{}, m websocket.Message) error {
				for range most {
					if err := s.Post(m); err != nil {
						return err
					}
				}
				if string(m.Data) == "close" {
					return s.Close(4001, "")
				}
				return &websocket.CloseError{Code: 4001}
			}})
		for _, how := range []string{"close", "error"} {
			raw, r := openRaw(t, addr)
			<-sockets
			frame := websocket.Header{Op: websocket.Text, Final: true, Masked: true}
			raw.Write(websocket.AppendFrame(nil, frame, []byte(how)))
			if ops := readOps(t, r, func() { answerClose(raw) }); len(ops) != most+1 || ops[most] != 8 {
				t.Errorf("%s: %d frames, which end with %v", how, len(ops), ops[max(0, len(ops)-5):])
			}
		}
	})
}

// TestHubJoinsNoMore holds that who has ended is no member, and stays none.
func TestHubJoinsNoMore(t *testing.T) {
	eachSocketServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		t.Parallel()
		var room web.Hub
		errs := make(chan error, 2)
		addr := serve(&websocket.Sockets[struct{}]{Log: quiet,
			Message: func(s *websocket.Socket, _ struct{}, m websocket.Message) error {
				s.Close(websocket.Normal, "")
				errs <- room.Join(s)
				return nil
			},
			Closed: func(s *websocket.Socket, _ struct{}, _ error) { errs <- room.Join(s) }})
		c := dialSocket(t, addr, nil)
		c.WriteMessage(websocket.Text, nil)
		wantClose(t, c, websocket.Normal, "")
		for _, when := range []string{"behind Close", "in Closed"} {
			if err := <-errs; !errors.Is(err, net.ErrClosed) || room.Len() != 0 {
				t.Errorf("%s: Join is %v, and there are %d members", when, err, room.Len())
			}
		}
	})
}

// TestHubTooLong holds that a message which no member's queue may hold is an error, and takes nobody's place, in a
// queue of any choice: what comes behind it arrives.
func TestHubTooLong(t *testing.T) {
	eachSocketServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		t.Parallel()
		for _, whenFull := range []plexor.WhenFull{plexor.RefuseNewest, plexor.DropOldest, plexor.CloseWhenFull} {
			room := web.Hub{Limits: plexor.OutboxLimits{Bytes: 1000, WhenFull: whenFull}}
			joined := make(chan *websocket.Socket, 1)
			c := dialSocket(t, serve(hubRig(&room, joined)), nil)
			<-joined
			if err := room.SendText("before"); err != nil {
				t.Fatal(err)
			}
			if err := room.SendText(strings.Repeat("x", 1000)); !errors.Is(err, plexor.ErrOutboxTooLong) {
				t.Errorf("choice %d: a message that nobody may have: %v", whenFull, err)
			}
			if err := room.SendText("after"); err != nil {
				t.Fatal(err)
			}
			wantMessage(t, c, "before")
			wantMessage(t, c, "after")
		}
	})
}

// TestSendsBeforeClose holds that messages which wait for the client to read, of several coroutines, leave before the
// close frame, also where something was posted.
func TestSendsBeforeClose(t *testing.T) {
	for _, driver := range drivers(t) {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			const senders, size = 3, 300_000
			h := &websocket.Sockets[struct{}]{Log: quiet,
				Message: func(s *websocket.Socket, _ struct{}, m websocket.Message) error {
					if err := s.Post(m); err != nil {
						return err
					}
					c := s.NetConn().(interface{ Plexor() *plexor.Conn }).Plexor()
					return coro.Group(c.Context(), func(g *coro.Tasks) error {
						for range senders {
							g.Go(func(context.Context) error {
								return s.Send(websocket.Message{Op: websocket.Binary, Data: make([]byte, size)})
							})
						}
						g.Go(func(context.Context) error { return s.Close(4001, "") })
						return nil
					})
				}}
			srv := &plexor.Server{Driver: driver, Loops: 1, Limits: plexor.Limits{HighWater: 32 << 10}}
			c := dialSocket(t, "ws://"+serve(t, srv, "tcp://127.0.0.1:0", h, web.Options{})+"/", nil)
			c.WriteMessage(websocket.Text, []byte("x"))
			for n := 0; ; n++ {
				_, _, err := c.ReadMessage()
				if err == nil {
					continue
				}
				if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != 4001 || n != senders+1 {
					t.Errorf("%d messages came, and %v", n, err)
				}
				return
			}
		})
	}
}
