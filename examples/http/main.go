// Command http serves an http.Handler: whatever works with net/http works here, and a connection that waits for its
// next request costs neither a goroutine nor a buffer.
//
//	go run ./examples/http                       # on tcp://127.0.0.1:8080; stop it with Ctrl-C
//	curl http://127.0.0.1:8080/hello/you         # prints: hello, you
//	curl -d 'a long text' http://127.0.0.1:8080/count    # how many bytes came
//
// Handlers run on goroutines, since they may block. The first of the two never does, so it is marked by web.Inline and
// runs on the coroutine of its connection, which is quicker.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/web"
)

func main() {
	mux := http.NewServeMux()
	mux.Handle("GET /hello/{name}", web.Inline(http.HandlerFunc(hello)))
	mux.HandleFunc("POST /count", count)

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

func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "hello, %s\n", r.PathValue("name"))
}

// count reads what comes as it comes: it may be longer than the memory of the machine.
func count(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%d bytes\n", n)
}

// drain waits for SIGINT or SIGTERM, and lets what is under way come to its end.
func drain(signalled context.Context, srv *plexor.Server) error {
	<-signalled.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return srv.Shutdown(ctx)
}
