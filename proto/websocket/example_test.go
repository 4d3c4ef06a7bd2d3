package websocket_test

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/plexor-go/plexor/proto/websocket"
)

// A client's frames come in two pieces, and a server takes them apart.
func ExampleParser() {
	key := [4]byte{1, 2, 3, 4} // a client draws a new one for each frame
	var stream []byte
	stream = websocket.AppendControl(stream, websocket.PingFrame, []byte("there?"), &key)
	text := websocket.Header{Final: true, Op: websocket.Text, Masked: true, Key: key}
	stream = websocket.AppendFrame(stream, text, []byte("hello"))
	stream = websocket.AppendClose(stream, websocket.Normal, "bye", &key)

	p := websocket.Parser{Side: websocket.Server, Limits: websocket.Limits{}.WithDefaults()}
	for _, b := range [][]byte{stream[:20], stream[20:]} {
		for len(b) > 0 {
			n, e, err := p.Next(b)
			if err != nil {
				fmt.Println(err)
				return
			}
			b = b[n:]
			switch e.Kind {
			case websocket.Data:
				fmt.Printf("data %q, the first: %v, the last: %v\n", e.Payload, e.First, e.Last)
			case websocket.Ping:
				fmt.Printf("ping %q\n", e.Payload)
			case websocket.Close:
				fmt.Printf("close %d %q\n", e.Code, e.Payload)
			}
		}
	}
	// Output:
	// ping "there?"
	// data "he", the first: true, the last: false
	// data "llo", the first: false, the last: true
	// close 1000 "bye"
}

// A server of net/http that answers each message, and a client of it.
func ExampleConn() {
	options := &websocket.Options{Protocols: []string{"shout"}, Deflate: &websocket.Deflate{}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, options)
		if err != nil {
			return // it is answered
		}
		for {
			op, msg, err := c.ReadMessage()
			if err != nil {
				return // the connection is closed
			}
			if err := c.WriteMessage(op, []byte(strings.ToUpper(string(msg)))); err != nil {
				return
			}
		}
	}))
	defer srv.Close()

	host := strings.TrimPrefix(srv.URL, "http://")
	nc, err := net.Dial("tcp", host)
	if err != nil {
		log.Fatal(err)
	}
	c, err := websocket.Dial(nc, "ws://"+host+"/", options)
	if err != nil {
		log.Fatal(err)
	}
	if err := c.WriteMessage(websocket.Text, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	_, msg, err := c.ReadMessage()
	fmt.Printf("%s %s %v\n", c.Protocol(), msg, err)
	fmt.Println(c.Close(websocket.Normal, "bye"))
	// Output:
	// shout HELLO <nil>
	// <nil>
}
