package websocket

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/lxzan/gws"
)

func gwsDeflate(on bool) gws.PermessageDeflate {
	return gws.PermessageDeflate{Enabled: on, ServerContextTakeover: true, ClientContextTakeover: true, Threshold: 1}
}

type gwsServer struct {
	gws.BuiltinEventHandler
	told chan<- int
}

func (h gwsServer) OnPing(c *gws.Conn, payload []byte) { c.WritePong(payload) }

func (h gwsServer) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	if m.Data.String() == "close" {
		c.WriteClose(4001, []byte("bye"))
		return
	}
	c.WriteMessage(m.Opcode, m.Bytes())
}

func (h gwsServer) OnClose(_ *gws.Conn, err error) {
	code := -1
	if e, ok := errors.AsType[*gws.CloseError](err); ok {
		code = int(e.Code)
	}
	h.told <- code
}

func gwsHandler(deflate bool, told chan<- int) http.Handler {
	up := gws.NewUpgrader(gwsServer{told: told}, &gws.ServerOption{PermessageDeflate: gwsDeflate(deflate),
		CheckUtf8Enabled: true})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := up.Upgrade(w, r); err == nil {
			c.ReadLoop()
		}
	})
}

// A gwsTalker is told what comes by calls.
type gwsTalker struct {
	gws.BuiltinEventHandler
	c    *gws.Conn
	msgs chan string
	end  chan error
	n    atomic.Int32
}

func (k *gwsTalker) OnMessage(_ *gws.Conn, m *gws.Message) {
	k.msgs <- m.Data.String()
	m.Close()
}
func (k *gwsTalker) OnPong(*gws.Conn, []byte)       { k.n.Add(1) }
func (k *gwsTalker) OnClose(_ *gws.Conn, err error) { k.end <- err }

func gwsDial(url string, deflate bool) (talker, error) {
	k := &gwsTalker{msgs: make(chan string, 10), end: make(chan error, 1)}
	c, _, err := gws.NewClient(k, &gws.ClientOption{Addr: url, PermessageDeflate: gwsDeflate(deflate),
		CheckUtf8Enabled: true})
	if err != nil {
		return nil, err
	}
	k.c = c
	go c.ReadLoop()
	return k, nil
}

func (k *gwsTalker) send(text bool, msg string) error {
	if text {
		return k.c.WriteMessage(gws.OpcodeText, []byte(msg))
	}
	return k.c.WriteMessage(gws.OpcodeBinary, []byte(msg))
}

// pieces are one message of 128 KiB at least in fragments, which is how the library makes some.
func (k *gwsTalker) pieces(parts ...string) error {
	return k.c.WriteFile(gws.OpcodeText, strings.NewReader(strings.Join(parts, "")))
}

func (k *gwsTalker) receive() (string, error) {
	select {
	case msg := <-k.msgs:
		return msg, nil
	case err := <-k.end:
		k.end <- err
		return "", err
	}
}

func (k *gwsTalker) ping() error { return k.c.WritePing([]byte("?")) }
func (k *gwsTalker) pongs() int  { return int(k.n.Load()) }

// close ends the connection at once, for the library does not wait for an answer.
func (k *gwsTalker) close(code int, reason string) error {
	err := k.c.WriteClose(uint16(code), []byte(reason))
	if errors.Is(err, gws.ErrConnClosed) {
		err = nil // the peer was first
	}
	<-k.end
	return err
}

func (k *gwsTalker) closed(err error) (int, string) {
	if e, ok := errors.AsType[*gws.CloseError](err); ok {
		return int(e.Code), string(e.Reason)
	}
	return 0, ""
}
