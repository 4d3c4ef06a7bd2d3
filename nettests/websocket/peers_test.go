// Package websocket has WebSocket libraries that others wrote talk to ours, each as a client of it and as a server.
package websocket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// patience is for a machine that others use too.
const patience = time.Minute

// A talker is a client. Its peer echoes; a message "close" it answers by a close with 4001 and "bye".
type talker interface {
	send(text bool, msg string) error
	pieces(parts ...string) error // a text in fragments, if the library can write them
	receive() (msg string, err error)
	ping() error // sends one; the answer is told by pongs, where the library tells
	pongs() int  // -1: it does not tell
	close(code int, reason string) error
	closed(err error) (code int, reason string) // that receive has failed with
}

// A library is one that nobody here wrote.
type library struct {
	name    string
	packs   bool                                             // it has permessage-deflate
	handler func(deflate bool, told chan<- int) http.Handler // told is of the code of a client's close
	dial    func(url string, deflate bool) (talker, error)
}

var libraries = []library{
	{"gorilla", true, gorillaHandler, gorillaDial},
	{"coder", true, coderHandler, coderDial},
	{"gws", true, gwsHandler, gwsDial},
	{"gobwas", false, gobwasHandler, gobwasDial},
}

// ours is an echo on the engine, or under net/http.
func ours(deflate bool, told chan<- int) http.Handler {
	o := websocket.Options{CloseWait: patience}
	if deflate {
		o.Deflate = &websocket.Deflate{Threshold: 1, SendWindow: true, ReceiveWindow: true}
	}
	return &websocket.Sockets[struct{}]{Options: o, Log: slog.New(slog.DiscardHandler),
		Message: func(s *websocket.Socket, _ struct{}, m websocket.Message) error {
			if string(m.Data) == "close" {
				return &websocket.CloseError{Code: 4001, Reason: "bye"}
			}
			return s.Send(m)
		},
		Closed: func(_ *websocket.Socket, _ struct{}, err error) {
			if e, ok := errors.AsType[*websocket.CloseError](err); ok {
				told <- int(e.Code)
				return
			}
			told <- -1
		}}
}

type ourTalker struct {
	c *websocket.Conn
	n *int
}

func ourDial(url string, deflate bool) (talker, error) {
	nc, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/"))
	if err != nil {
		return nil, err
	}
	n := new(int)
	o := &websocket.Options{CloseWait: patience, HandshakeWait: patience, OnPong: func([]byte) { *n++ }}
	if deflate {
		o.Deflate = &websocket.Deflate{Threshold: 1, SendWindow: true, ReceiveWindow: true}
	}
	c, err := websocket.Dial(nc, url, o)
	if err == nil && deflate && c.Compression() == nil {
		err = errors.Join(errors.New("the peer does not compress"), c.CloseNow())
	}
	return ourTalker{c, n}, err
}

func (k ourTalker) send(text bool, msg string) error {
	if text {
		return k.c.WriteMessage(websocket.Text, []byte(msg))
	}
	return k.c.WriteMessage(websocket.Binary, []byte(msg))
}

func (k ourTalker) pieces(parts ...string) error {
	w, err := k.c.NextWriter(websocket.Text)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if _, err := w.Write([]byte(p)); err != nil {
			return err
		}
	}
	return w.Close()
}

func (k ourTalker) receive() (string, error) {
	_, msg, err := k.c.ReadMessage()
	return string(msg), err
}

func (k ourTalker) ping() error { return k.c.Ping([]byte("?")) }
func (k ourTalker) pongs() int  { return *k.n }
func (k ourTalker) close(code int, reason string) error {
	return k.c.Close(websocket.Code(code), reason)
}

func (k ourTalker) closed(err error) (int, string) {
	e, ok := errors.AsType[*websocket.CloseError](err)
	if !ok {
		return 0, err.Error()
	}
	return int(e.Code), e.Reason
}

// serveOurs serves ours until the test ends.
func serveOurs(t *testing.T, engine, deflate bool, told chan<- int) string {
	t.Helper()
	if !engine {
		return serveTheirs(t, ours(deflate, told))
	}
	srv := &plexor.Server{Loops: 1}
	a, err := srv.Open("tcp://127.0.0.1:0", web.Handler(ours(deflate, told), web.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return "ws://" + a.String() + "/"
}

func serveTheirs(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return strings.Replace(srv.URL, "http", "ws", 1) + "/"
}

// TestTheirClients has each library be a client of ours.
func TestTheirClients(t *testing.T) {
	for _, l := range libraries {
		for _, engine := range []bool{true, false} {
			for _, deflate := range []bool{false, true} {
				if deflate && !l.packs {
					continue
				}
				t.Run(fmt.Sprintf("%s/engine=%v/deflate=%v", l.name, engine, deflate), func(t *testing.T) {
					told := make(chan int, 2)
					talk(t, serveOurs(t, engine, deflate, told), deflate, l.dial, told)
				})
			}
		}
	}
}

// TestTheirServers has each library be a server of ours.
func TestTheirServers(t *testing.T) {
	for _, l := range libraries {
		for _, deflate := range []bool{false, true} {
			if deflate && !l.packs {
				continue
			}
			t.Run(fmt.Sprintf("%s/deflate=%v", l.name, deflate), func(t *testing.T) {
				told := make(chan int, 2)
				talk(t, serveTheirs(t, l.handler(deflate, told)), deflate, ourDial, told)
			})
		}
	}
}

// talk has two connections: the client closes one, and the server the other.
func talk(t *testing.T, url string, deflate bool, dial func(string, bool) (talker, error), told <-chan int) {
	k, err := dial(url, deflate)
	if err != nil {
		t.Fatal(err)
	}
	want := func(msg string, sent error) {
		t.Helper()
		if sent != nil {
			t.Fatalf("sending %.20q: %v", msg, sent)
		}
		if got, err := k.receive(); err != nil || got != msg {
			t.Fatalf("%.20q of %d bytes, %v; want %.20q of %d", got, len(got), err, msg, len(msg))
		}
	}
	long := strings.Repeat("a long one, again and again. ", 4000)
	for _, msg := range []string{"héllo", "", "x", long, long, strings.Repeat("y", 126), strings.Repeat("z", 65536)} {
		want(msg, k.send(true, msg))
	}
	want("\x00\xff\xfe", k.send(false, "\x00\xff\xfe"))
	want("in three pieces"+long, k.pieces("in ", "three ", "pieces"+long))
	if err := k.ping(); err != nil {
		t.Fatalf("ping: %v", err)
	}
	want("behind a ping", k.send(true, "behind a ping"))
	if n := k.pongs(); n != 1 && n != -1 {
		t.Errorf("%d pongs came", n)
	}
	if err := k.close(4002, "done"); err != nil {
		t.Errorf("close: %v", err)
	}
	if code := <-told; code != 4002 {
		t.Errorf("the server was told %d", code)
	}
	if k, err = dial(url, deflate); err != nil {
		t.Fatal(err)
	}
	if err := k.send(true, "close"); err != nil {
		t.Fatal(err)
	}
	_, err = k.receive()
	if code, reason := k.closed(err); code != 4001 || reason != "bye" {
		t.Errorf("the client was told %d %q: %v", code, reason, err)
	}
	_ = k.close(4001, "") // what is left of it
	<-told
}
