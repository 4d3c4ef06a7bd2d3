package web_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"

	"github.com/plexor-go/plexor/web"
)

// A feed with rooms, and one who listens. On the engine (web.Handler) the same handler holds no goroutine.
func ExampleEvents() {
	feed := &web.Events{Open: func(s *web.Stream, r *http.Request) error {
		return s.Send(web.Event{Name: "welcome", Data: "to " + r.PathValue("room")})
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rooms/{room}", func(w http.ResponseWriter, r *http.Request) {
		feed.Serve(w, r, r.PathValue("room"))
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()

	garden, err := http.Get(srv.URL + "/rooms/garden")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer garden.Body.Close()
	for feed.Len() == 0 { // it was answered, and is about to be among the streams
		runtime.Gosched()
	}
	feed.SendTo("hall", web.Event{Data: "nobody in the garden hears this"})
	feed.SendTo("garden", web.Event{ID: "1", Data: "it rains\nand pours"})
	feed.Close()
	text, _ := io.ReadAll(garden.Body)
	fmt.Printf("%s", text[len(":\n\n"):])
	// Output:
	// event: welcome
	// data: to garden
	//
	// id: 1
	// data: it rains
	// data: and pours
}

// An event as it is sent.
func ExampleEvent() {
	b, err := web.Event{Name: "score", ID: "17", Data: "home 2\nguests 1"}.Append(nil)
	fmt.Printf("%s%v\n", b, err)
	_, err = web.Event{ID: "17\nevent: forged"}.Append(nil)
	fmt.Println(err)
	// Output:
	// id: 17
	// event: score
	// data: home 2
	// data: guests 1
	//
	// <nil>
	// web: this is no event: a line end or NUL in its ID
}
