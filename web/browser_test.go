package web_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/chromium"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

// page has an EventSource, which comes back by itself, and a WebSocket, which its script opens anew; what comes by
// either is told to the server, in order, and what has come to all of it is written into the page.
const page = `<!DOCTYPE html><meta charset="utf-8"><title>feed</title><p id="said"></p><script>
let chain = Promise.resolve()
const say = what => { chain = chain.then(() => fetch("/said", {method: "POST", body: what})) }
const source = new EventSource("/events")
source.onmessage = e => say("event " + e.lastEventId + " " + e.data)
source.addEventListener("done", () => { source.close(); say("source done") })
const open = n => {
	const ws = new WebSocket("ws://" + location.host + "/ws")
	ws.onmessage = e => { say("socket " + n + " " + e.data); ws.send("got " + e.data) }
	ws.onclose = e => { say("socket " + n + " closed " + e.code); if (n < 2) open(n + 1) }
}
open(1)
</script>`

// A browsed is the server of that page, and what it has heard from it.
type browsed struct {
	feed web.Events
	mux  http.ServeMux

	mu   sync.Mutex
	said []string
	news chan struct{}
}

func newBrowsed(t *testing.T) *browsed {
	b := &browsed{news: make(chan struct{}, 1)}
	var opened int // times that the browser has come, under mu
	b.feed = web.Events{Retry: 10 * time.Millisecond, History: 10, Log: quiet,
		Closed: func(*web.Stream, error) { _ = b.feed.Send(web.Event{ID: "2", Data: "while it was away"}) },
		Open: func(s *web.Stream, r *http.Request) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			if opened++; opened == 1 {
				_ = b.feed.Send(web.Event{ID: "1", Data: "before the cut\nof two lines \u00e4"})
				s.Close()
			} else {
				b.tell("came back with " + r.Header.Get("Last-Event-ID"))
				_ = b.feed.Send(web.Event{ID: "3", Data: "behind"})
				_ = b.feed.Send(web.Event{Name: "done"})
			}
			return nil
		}}
	b.mux.Handle("GET /events", &b.feed)
	b.mux.Handle("GET /ws", &websocket.Sockets[struct{}]{Log: quiet,
		Open: func(s *websocket.Socket, _ *http.Request) (struct{}, error) { return struct{}{}, s.SendText("hello") },
		Message: func(s *websocket.Socket, _ struct{}, m websocket.Message) error {
			return s.Close(4000, "cut by the server")
		}})
	b.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, page) })
	b.mux.HandleFunc("POST /said", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.tell(string(text))
	})
	return b
}

// tell notes what was said. b.mu is held.
func (b *browsed) tell(what string) {
	b.said = append(b.said, what)
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// TestBrowser has a page in Chromium with an EventSource and a WebSocket: the server cuts both, and both come back, the
// EventSource with the last ID that it has seen, for which it gets what it has missed.
func TestBrowser(t *testing.T) {
	t.Parallel()
	chromium.Find(t)
	b := newBrowsed(t)
	addr := serve(t, new(plexor.Server), "tcp://127.0.0.1:0", &b.mux, web.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := chromium.Command(ctx, t, t.TempDir(), "--remote-debugging-port=0", "http://"+addr+"/")
	var output bytes.Buffer
	cmd.Stderr = &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	want := []string{"event 1 before the cut\nof two lines \u00e4", "came back with 1", "event 2 while it was away",
		"event 3 behind", "source done", "socket 1 hello", "socket 1 closed 4000", "socket 2 hello", "socket 2 closed 4000"}
	left := b.await(ctx, want)
	cancel()
	_ = cmd.Wait() // it was killed
	if len(left) > 0 {
		b.mu.Lock()
		defer b.mu.Unlock()
		t.Errorf("the page has not said %q, but %q\n%s", left, b.said, output.String())
	}
}

// await waits until all that is wanted was said, each of the two kinds in its order, and returns what was not.
func (b *browsed) await(ctx context.Context, want []string) (left []string) {
	for {
		left = nil
		b.mu.Lock()
		said := strings.Join(b.said, "\x00")
		b.mu.Unlock()
		for _, w := range want {
			if !strings.Contains("\x00"+said+"\x00", "\x00"+w+"\x00") {
				left = append(left, w)
			}
		}
		if len(left) == 0 {
			return nil
		}
		select {
		case <-b.news:
		case <-ctx.Done():
			return append(left, fmt.Sprint(ctx.Err()))
		}
	}
}
