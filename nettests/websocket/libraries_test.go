package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
)

// gorilla.

type gorillaTalker struct {
	c *gorilla.Conn
	n *int
}

func gorillaHandler(deflate bool, told chan<- int) http.Handler {
	up := gorilla.Upgrader{EnableCompression: deflate, WriteBufferSize: 512}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		k := gorillaTalker{c, new(int)}
		for {
			op, msg, err := c.ReadMessage()
			if err != nil {
				code, _ := k.closed(err)
				told <- code
				return
			}
			if string(msg) == "close" {
				c.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(4001, "bye"), time.Now().Add(patience))
				continue
			}
			w, err := c.NextWriter(op) // in fragments
			if err == nil {
				_, err = w.Write(msg)
				err = errors.Join(err, w.Close())
			}
			if err != nil {
				told <- -1
				return
			}
		}
	})
}

func gorillaDial(url string, deflate bool) (talker, error) {
	d := gorilla.Dialer{EnableCompression: deflate, WriteBufferSize: 512}
	c, _, err := d.Dial(url, nil)
	if err != nil {
		return nil, err
	}
	k := gorillaTalker{c, new(int)}
	c.SetPongHandler(func(string) error { *k.n++; return nil })
	return k, nil
}

func (k gorillaTalker) send(text bool, msg string) error {
	if text {
		return k.c.WriteMessage(gorilla.TextMessage, []byte(msg))
	}
	return k.c.WriteMessage(gorilla.BinaryMessage, []byte(msg))
}

func (k gorillaTalker) pieces(parts ...string) error {
	w, err := k.c.NextWriter(gorilla.TextMessage)
	for _, p := range parts {
		if err == nil {
			_, err = io.WriteString(w, p)
		}
	}
	return errors.Join(err, w.Close())
}

func (k gorillaTalker) receive() (string, error) {
	_, msg, err := k.c.ReadMessage()
	return string(msg), err
}

func (k gorillaTalker) ping() error {
	return k.c.WriteControl(gorilla.PingMessage, []byte("?"), time.Now().Add(patience))
}

func (k gorillaTalker) pongs() int { return *k.n }

func (k gorillaTalker) close(code int, reason string) error {
	defer k.c.Close()
	msg := gorilla.FormatCloseMessage(code, reason)
	if err := k.c.WriteControl(gorilla.CloseMessage, msg, time.Now().Add(patience)); err != nil {
		return err
	}
	_, _, err := k.c.ReadMessage()
	if got, _ := k.closed(err); got == code {
		return nil
	}
	return err
}

func (k gorillaTalker) closed(err error) (int, string) {
	if e, ok := errors.AsType[*gorilla.CloseError](err); ok {
		return e.Code, e.Text
	}
	return 0, ""
}

// coder.

type coderTalker struct {
	c *coder.Conn
	n *int
}

func coderMode(deflate bool) coder.CompressionMode {
	if deflate {
		return coder.CompressionContextTakeover
	}
	return coder.CompressionDisabled
}

func coderHandler(deflate bool, told chan<- int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, &coder.AcceptOptions{CompressionMode: coderMode(deflate), CompressionThreshold: 1})
		if err != nil {
			return
		}
		c.SetReadLimit(-1)
		for {
			op, msg, err := c.Read(context.Background())
			if err == nil && string(msg) == "close" {
				err = c.Close(4001, "bye")
			} else if err == nil {
				err = c.Write(context.Background(), op, msg)
			}
			if err != nil || string(msg) == "close" {
				told <- int(coder.CloseStatus(err))
				c.CloseNow()
				return
			}
		}
	})
}

func coderDial(url string, deflate bool) (talker, error) {
	n := new(int)
	c, _, err := coder.Dial(context.Background(), url, &coder.DialOptions{CompressionMode: coderMode(deflate),
		CompressionThreshold: 1, OnPongReceived: func(context.Context, []byte) { *n++ }})
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(-1)
	return coderTalker{c, n}, nil
}

func (k coderTalker) send(text bool, msg string) error {
	op := coder.MessageBinary
	if text {
		op = coder.MessageText
	}
	return k.c.Write(context.Background(), op, []byte(msg))
}

func (k coderTalker) pieces(parts ...string) error {
	w, err := k.c.Writer(context.Background(), coder.MessageText)
	for _, p := range parts {
		if err == nil {
			_, err = io.WriteString(w, p)
		}
	}
	return errors.Join(err, w.Close())
}

func (k coderTalker) receive() (string, error) {
	_, msg, err := k.c.Read(context.Background())
	return string(msg), err
}

// ping waits for the pong in Ping itself, which needs somebody who reads: so that is not asked of it.
func (k coderTalker) ping() error { return nil }
func (k coderTalker) pongs() int  { return -1 }

func (k coderTalker) close(code int, reason string) error {
	return k.c.Close(coder.StatusCode(code), reason)
}

func (k coderTalker) closed(err error) (int, string) {
	if e, ok := errors.AsType[coder.CloseError](err); ok {
		return int(e.Code), e.Reason
	}
	return 0, ""
}

// gobwas, without compression.

type gobwasTalker struct {
	c    net.Conn
	r    *wsutil.Reader
	pong *int
}

func gobwasHandler(_ bool, told chan<- int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			msg, op, err := wsutil.ReadClientData(c) // answers pings and a close
			if err != nil {
				e, _ := errors.AsType[wsutil.ClosedError](err)
				told <- int(e.Code)
				return
			}
			if string(msg) == "close" {
				ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(4001, "bye")))
				continue
			}
			if err := wsutil.WriteServerMessage(c, op, msg); err != nil {
				told <- -1
				return
			}
		}
	})
}

func gobwasDial(url string, _ bool) (talker, error) {
	c, br, _, err := ws.Dial(context.Background(), url)
	if err != nil {
		return nil, err
	}
	if br != nil && br.Buffered() > 0 {
		return nil, errors.New("bytes came before they were asked for")
	}
	k := gobwasTalker{c: c, pong: new(int)}
	k.r = &wsutil.Reader{Source: c, State: ws.StateClientSide, CheckUTF8: true, OnIntermediate: k.control}
	return k, nil
}

func (k gobwasTalker) control(h ws.Header, r io.Reader) error {
	if h.OpCode == ws.OpPong {
		*k.pong++
		_, err := io.Copy(io.Discard, r)
		return err
	}
	return wsutil.ControlFrameHandler(k.c, ws.StateClientSide)(h, r)
}

func (k gobwasTalker) send(text bool, msg string) error {
	if text {
		return wsutil.WriteClientText(k.c, []byte(msg))
	}
	return wsutil.WriteClientBinary(k.c, []byte(msg))
}

func (k gobwasTalker) pieces(parts ...string) error {
	w := wsutil.NewWriterSize(k.c, ws.StateClientSide, ws.OpText, 100)
	for _, p := range parts {
		if _, err := io.WriteString(w, p); err != nil {
			return err
		}
		if err := w.FlushFragment(); err != nil {
			return err
		}
	}
	return w.Flush()
}

func (k gobwasTalker) receive() (string, error) {
	for {
		h, err := k.r.NextFrame()
		if err != nil {
			return "", err
		}
		if h.OpCode.IsControl() {
			if err := k.control(h, k.r); err != nil {
				return "", err
			}
			continue
		}
		msg, err := io.ReadAll(k.r)
		return string(msg), err
	}
}

func (k gobwasTalker) ping() error { return wsutil.WriteClientMessage(k.c, ws.OpPing, []byte("?")) }
func (k gobwasTalker) pongs() int  { return *k.pong }

func (k gobwasTalker) close(code int, reason string) error {
	defer k.c.Close()
	body := ws.NewCloseFrameBody(ws.StatusCode(code), reason)
	if err := wsutil.WriteClientMessage(k.c, ws.OpClose, body); err != nil {
		return err
	}
	_, err := k.receive()
	if got, _ := k.closed(err); got == code {
		return nil
	}
	return err
}

func (k gobwasTalker) closed(err error) (int, string) {
	if e, ok := errors.AsType[wsutil.ClosedError](err); ok {
		return int(e.Code), e.Reason
	}
	return 0, ""
}
