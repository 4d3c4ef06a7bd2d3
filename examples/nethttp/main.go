// Command nethttp serves by libraries that know nothing of Plexor, which Server.Listen gives their listeners: a page by
// net/http, a WebSocket beside it, and gRPC. It is a module of its own, so start it in its folder:
//
//	cd examples/nethttp
//	go run .                                     # on 127.0.0.1:8080 and :9090; stop it with Ctrl-C
//	curl http://127.0.0.1:8080/                  # who asks, and how many connections there are
//
// At ws://127.0.0.1:8080/ws each message comes back in upper case; grpc.health.v1.Health answers at 127.0.0.1:9090, by
// `grpcurl -plaintext -proto health.proto` or any client of it. Limits and counts are those of the Server.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/plexor-go/plexor"
)

// A service is what listens here.
type service struct {
	srv plexor.Server
	web http.Server
	rpc *grpc.Server
}

// page tells who is there.
func (s *service) page(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "hello %s\n", r.RemoteAddr)
	for _, l := range s.srv.Stats().Listeners {
		fmt.Fprintf(w, "%s has %d connections\n", l.Addr, l.Conns)
	}
}

// upper answers each message of a WebSocket.
func (s *service) upper(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // the client was told
	}
	defer ws.CloseNow()
	for err == nil {
		var msg []byte
		var kind websocket.MessageType
		if kind, msg, err = ws.Read(r.Context()); err == nil {
			err = ws.Write(r.Context(), kind, bytes.ToUpper(msg))
		}
	}
	if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		log.Printf("%s: %v", r.RemoteAddr, err)
	}
}

// start listens on both addresses, and serves until stop.
func (s *service) start(web, rpc string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.page)
	mux.HandleFunc("/ws", s.upper)
	s.web.Handler = mux
	s.rpc = grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s.rpc, health.NewServer())
	pages, err := s.srv.Listen(web)
	if err != nil {
		return err
	}
	calls, err := s.srv.Listen(rpc)
	if err != nil {
		return err
	}
	go s.web.Serve(pages) // until stop
	go s.rpc.Serve(calls) // likewise
	log.Printf("listening on tcp://%s and tcp://%s", pages.Addr(), calls.Addr())
	return nil
}

// stop lets what is under way come to its end: first what uses the connections, and then their server.
func (s *service) stop(ctx context.Context) error {
	end := context.AfterFunc(ctx, s.rpc.Stop)
	defer end()
	s.rpc.GracefulStop()
	return errors.Join(s.web.Shutdown(ctx), s.srv.Shutdown(ctx))
}

func main() {
	addrs := append(os.Args[1:], "tcp://127.0.0.1:8080", "tcp://127.0.0.1:9090")
	var s service
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if err := s.start(addrs[0], addrs[1]); err != nil {
		log.Fatal(err)
	}
	<-ctx.Done()
	stop() // a second signal ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.stop(ctx); err != nil {
		log.Fatal(err)
	}
}
