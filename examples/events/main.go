// Command events is a live feed: what anybody says is at once on every page that looks, by server-sent events.
//
//	go run ./examples/events                       # on tcp://127.0.0.1:8080; stop it with Ctrl-C
//	curl -d hello http://127.0.0.1:8080/say        # and look at http://127.0.0.1:8080 in a browser
//
// web.Events is the handler of the page's EventSource, and its Send tells all pages. A page that was away comes back by
// itself and gets what it has missed. On the engine one that waits costs neither goroutine nor buffer. What comes is
// shown by: curl -N http://127.0.0.1:8080/feed
package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/web"
)

const page = `<!DOCTYPE html><meta charset="utf-8"><title>feed</title>
<form onsubmit="fetch('/say', {method: 'POST', body: what.value}); what.value = ''; return false">
<input id="what" autofocus placeholder="say something"></form><ul id="list"></ul>
<script>
new EventSource("/feed").onmessage = e => {
	const item = document.createElement("li")
	item.textContent = e.data
	list.prepend(item)
}
</script>`

// mostSaid is how long what somebody says may be, in bytes.
const mostSaid = 1000

func main() {
	feed := &web.Events{History: 100, Retry: time.Second}
	var said atomic.Int64

	mux := http.NewServeMux()
	mux.Handle("GET /feed", feed)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, page) // a client that has gone needs no page
	})
	mux.HandleFunc("POST /say", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostSaid))
		if err == nil {
			err = feed.Send(web.Event{ID: strconv.FormatInt(said.Add(1), 10), Data: string(text)})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})

	srv := new(plexor.Server)
	addr, err := srv.Open(append(os.Args, "tcp://127.0.0.1:8080")[1], web.Handler(mux, web.Options{}))
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	log.Printf("listening on %s://%s", addr.Network(), addr)
	<-ctx.Done()
	stop() // a second signal ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil { // the pages are told, and come back to who serves next
		log.Fatal(err)
	}
}
