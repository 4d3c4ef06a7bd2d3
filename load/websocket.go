package load

import (
	"fmt"
	"net/http"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proto/http1"
	"github.com/plexor-go/plexor/proto/websocket"
)

// WebSocket has messages sent by WebSocket (RFC 6455) to a server that sends each back, and compares them. The opening
// handshake is a part of making the connection, and has Options.Timeout as well. A ping is answered, and a
// message that nobody asked for is wrong.
type WebSocket struct {
	Target    string      // default /
	Host      string      // default: that of the address
	Protocols []string    // subprotocols to ask for; the server need take none
	Header    http.Header // further fields of the request: Origin, Cookie, Authorization
	// Deflate asks for permessage-deflate (RFC 7692), and it is an error if the server declines. Messages are of few
	// different bytes then, so that they become shorter.
	Deflate *websocket.Deflate
	// Text sends text messages, of ASCII, in place of binary ones.
	Text bool
}

// mostFraming is what a frame adds to a message, and compressing where it does not pay, by part of its length.
const (
	mostFraming     = 64
	mostFramingPart = 1024
)

// url is what the request is made of.
func (h *WebSocket) url(t *target) string {
	host, target := h.Host, h.Target
	if host == "" {
		host = hostOf(t)
	}
	if target == "" {
		target = "/"
	}
	scheme := "ws://"
	if t.secure {
		scheme = "wss://"
	}
	return scheme + host + target
}

func (h *WebSocket) options(size int) *websocket.Options {
	most := int64(size) + int64(size)/mostFramingPart + mostFraming
	return &websocket.Options{Protocols: h.Protocols, Header: h.Header, Deflate: h.Deflate,
		Limits: websocket.Limits{Message: most, Inflated: most}}
}

// checkWebSocket refuses what does not go with WebSocket, and what makes no request.
func (o *Options) checkWebSocket(t *target) error {
	switch {
	case t.packets():
		return wrong("websocket: it is spoken on tcp, tls and unix addresses")
	case o.Codec != nil:
		return wrong("frame: websocket has frames of its own")
	case o.HTTP != nil:
		return wrong("websocket: http is something else")
	case o.Expect != ExpectEcho && o.Expect != "":
		return wrong("expect: of websocket it is echo, not %s", o.Expect)
	}
	if _, err := websocket.NewRequest(o.WebSocket.url(t), o.WebSocket.options(0)); err != nil {
		return wrong("the request: %v", err)
	}
	return nil
}

// sockets are the WebSocket part of a stream.
type sockets struct {
	h       *WebSocket
	o       *websocket.Options
	request *websocket.Request
	timer   *loop.Timer   // until the handshake is done
	head    []byte        // of the answer, as far as it has come
	scan    http1.Scanner // of head
	agreed  bool

	in  *websocket.Assembler
	out *websocket.Composer
	op  websocket.Opcode
}

func newSockets(h *WebSocket, size int) *sockets {
	s := &sockets{h: h, o: h.options(size), op: websocket.Binary,
		scan: http1.Scanner{Limits: http1.Limits{}.WithDefaults(), Response: true}}
	if h.Text {
		s.op = websocket.Text
	}
	return s
}

// begin sends the request.
func (st *stream) begin() {
	ws := st.ws
	var err error
	if ws.request, err = websocket.NewRequest(ws.h.url(&st.w.target), ws.o); err != nil {
		st.fail(err) // it was checked
		return
	}
	ws.timer = st.w.loop.AfterFunc(st.w.opt.Timeout, func() {
		if st.s != nil && !ws.agreed {
			st.fail(errTimeout)
		}
	})
	st.put(ws.request.Append(nil))
}

// answer takes a part of the server's answer, and returns what comes behind it.
func (st *stream) answer(p []byte) (rest []byte, err error) {
	ws := st.ws
	ws.head = append(ws.head, p...)
	n, err := ws.scan.Scan(ws.head)
	if n == 0 || err != nil {
		return nil, err
	}
	rest, ws.head = ws.head[n:], ws.head[:n:n]
	var h http1.Head
	if err := h.ParseResponse(ws.head, http.MethodGet, ws.scan.Limits); err != nil {
		return nil, err
	}
	agreed, err := ws.request.Check(&h)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w (status %d)", err, h.Status)
	case ws.h.Deflate != nil && agreed.Compression == nil:
		return nil, errNotPacked
	}
	ws.timer.Stop()
	ws.agreed, ws.head, ws.request = true, nil, nil
	ws.in = websocket.NewAssembler(websocket.Client, agreed.Compression, ws.o.Limits)
	ws.out = websocket.NewComposer(websocket.Client, agreed.Compression, ws.h.Deflate)
	return rest, nil
}

// compareSockets takes messages, each by itself: a wrong one does not make the next one wrong.
func (st *stream) compareSockets(p []byte, now int64) error {
	if !st.ws.agreed {
		rest, err := st.answer(p)
		if err != nil || !st.ws.agreed {
			return err
		}
		if st.opened(); st.s == nil {
			return nil
		}
		p = rest
	}
	for len(p) > 0 && st.s != nil {
		n, e, err := st.ws.in.Next(p)
		if err != nil {
			return fmt.Errorf("%w: %w", errWrong, err)
		}
		p = p[n:]
		switch e.Kind {
		case websocket.Data:
			if st.flight == 0 {
				return errSurplus
			}
			st.done(1, e.Op == st.ws.op && st.pay.answers(e.Payload, st.pay.at(st.base, st.answered)), now)
		case websocket.Ping:
			st.put(websocket.AppendControl(nil, websocket.PongFrame, e.Payload, new([4]byte)))
		case websocket.Close:
			return &websocket.CloseError{Code: e.Code, Reason: string(e.Payload)}
		}
	}
	if st.s != nil {
		st.ws.in.Next(nil) // it rests, and gives its buffer back
	}
	return nil
}

// writeSockets sends n messages.
func (st *stream) writeSockets(n int) {
	b := st.w.scratch[:0]
	for ; n > 0; n-- {
		at := st.pay.at(st.base, st.sent)
		st.sent++
		b, _ = st.ws.out.AppendMessage(b, st.ws.op, st.pay.sent[at:at+st.pay.size]) // what the alphabet makes is UTF-8
		if len(b) >= mostFrames || n == 1 {
			if !st.put(b) {
				break
			}
			b = b[:0]
		}
	}
	st.w.scratch = b[:0]
}

// stop ends the handshake's time.
func (ws *sockets) stop() {
	if ws.timer != nil {
		ws.timer.Stop()
	}
}

// farewell says that the connection is closed by intention.
func (ws *sockets) farewell(out writer) {
	ws.stop()
	if ws.agreed {
		_ = out.write(websocket.AppendClose(nil, websocket.Normal, "", new([4]byte))) // it is closed all the same
	}
}

// websocketName is how a result names what messages were framed by.
func (o *Options) websocketName() string {
	if o.WebSocket.Deflate != nil {
		return "websocket, permessage-deflate"
	}
	return "websocket"
}

// alphabet are the bytes of messages: all, or ASCII that may be seen, or few that compress.
func (h *WebSocket) alphabet() []byte {
	switch {
	case h.Deflate != nil:
		return []byte("plexor, ")
	case h.Text:
		return []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
	}
	return nil
}
