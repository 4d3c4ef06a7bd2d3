// Command websocket is a chat with a page: whoever opens it is in the room, and each line goes to all, by one Hub.
//
//	go run ./examples/websocket                  # on tcp://127.0.0.1:8080; stop it with Ctrl-C
//	curl -s http://127.0.0.1:8080/ | grep title  # prints <title>A chat on Plexor</title>
//
// Then open http://127.0.0.1:8080/ in two windows of a browser. A member that is silent holds neither a goroutine nor a
// buffer. A line is encoded once, however many read it, and compressed once for those whose browsers want that. Who
// reads too slowly misses nothing without being told: the connection is closed, and the page connects again.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

//go:embed page.html
var page []byte

// Of a member, in bytes: its name, a line that it says, what may wait for it.
const (
	mostName  = 20
	mostLine  = 1000
	mostWaits = 64 << 10
)

func main() {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", web.Inline(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
	})))
	mux.Handle("GET /chat", chat())

	srv := new(plexor.Server)
	addr, err := srv.Open(append(os.Args, "tcp://127.0.0.1:8080")[1], web.Handler(mux, web.Options{}))
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	log.Printf("listening on %s://%s", addr.Network(), addr)
	if err := drain(ctx, srv); err != nil {
		log.Fatal(err)
	}
}

// chat is the room. The state of a connection is the member's name.
func chat() http.Handler {
	room := &web.Hub{Limits: plexor.OutboxLimits{Bytes: mostWaits, WhenFull: plexor.CloseWhenFull}}
	say := func(format string, args ...any) {
		if err := room.SendText(fmt.Sprintf(format, args...)); err != nil {
			log.Print(err) // a loop is held up; the others have it
		}
	}
	return &websocket.Sockets[string]{
		Options: websocket.Options{Deflate: new(websocket.Deflate), PingEvery: 30 * time.Second,
			Limits: websocket.Limits{Message: mostLine, Inflated: mostLine}},
		Open: func(s *websocket.Socket, r *http.Request) (string, error) {
			name := strings.TrimSpace(r.FormValue("name"))
			if name == "" || len(name) > mostName {
				return "", &websocket.CloseError{Code: websocket.Policy, Reason: "a name has 1 to 20 bytes"}
			}
			if err := room.Join(s); err != nil {
				return "", err
			}
			say("* %s has come, so there are %d", name, room.Len())
			return name, nil
		},
		Message: func(_ *websocket.Socket, name string, m websocket.Message) error {
			if m.Op != websocket.Text {
				return &websocket.CloseError{Code: websocket.Unsupported, Reason: "text, please"}
			}
			say("%s: %s", name, m.Data)
			return nil
		},
		Closed: func(_ *websocket.Socket, name string, _ error) {
			say("* %s has gone", name)
		},
	}
}

// drain waits for SIGINT or SIGTERM, and lets what is under way come to its end: all are told that the server goes.
func drain(signalled context.Context, srv *plexor.Server) error {
	<-signalled.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return srv.Shutdown(ctx)
}
