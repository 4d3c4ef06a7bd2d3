package load_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/load"
)

// Example loads an echo server with a thousand messages on ten connections.
func Example() {
	srv := &plexor.Server{}
	defer srv.Close()
	addr, err := srv.Open("tcp://127.0.0.1:0", plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) }))
	if err != nil {
		log.Fatal(err)
	}
	res, err := load.Run(context.Background(), load.Options{Address: "tcp://" + addr.String(), Conns: 10, Requests: 1000})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Messages, "answered,", res.Wrong, "wrong,", res.LostConns, "connections lost,", res.Err())
	// Output: 1000 answered, 0 wrong, 0 connections lost, <nil>
}

// ExampleRun_rate sends framed messages at a constant rate: latencies count from when each message was due.
func ExampleRun_rate() {
	codec := frame.Length{Bytes: 4}
	srv := &plexor.Server{Handler: plexor.Messages(codec, func(c *plexor.Conn, msg []byte) error { return c.Send(msg) })}
	defer srv.Close()
	addr, err := srv.Open("tcp://127.0.0.1:0", srv.Handler)
	if err != nil {
		log.Fatal(err)
	}
	res, err := load.Run(context.Background(), load.Options{
		Address: "tcp://" + addr.String(), Codec: codec, Conns: 4, Rate: 1000, Requests: 100,
		Timeout: 10 * time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Messages, "answered within", res.Latency.Max < 10e6, res.Err())
	// Output: 100 answered within true <nil>
}

// ExampleResult_WriteSVG draws the latencies of a run.
func ExampleResult_WriteSVG() {
	res, err := load.Run(context.Background(),
		load.Options{Address: "tcp://127.0.0.1:9000", Conns: 100, Duration: 10 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	if err := res.WriteSVG(os.Stdout); err != nil {
		log.Fatal(err)
	}
}
