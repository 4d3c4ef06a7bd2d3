package lab_test

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
)

// A limit of five minutes, tried in no time: by a client that says hello and nothing more, over a line that loses one
// frame in twenty.
func Example_timeout() {
	w := lab.New(lab.Options{Seed: 1})
	defer w.Close()
	client, server := w.Host("client"), w.Host("server")
	w.Connect(client, server, link.Options{Delay: 300 * time.Millisecond, Loss: 0.05})

	srv := &plexor.Server{Network: server, Limits: plexor.Limits{IdleTimeout: 5 * time.Minute},
		Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
	defer srv.Close()
	if _, err := srv.Open("tcp://:25", nil); err != nil {
		fmt.Println(err)
		return
	}
	client.Go(func(ctx context.Context) error {
		c, err := plexor.Dial(ctx, "tcp://server:25")
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := io.WriteString(c, "hello"); err != nil {
			return err
		}
		begin := w.Now()
		answer, err := io.ReadAll(c)
		fmt.Printf("%q, and the end after %v\n", answer, w.Now().Sub(begin).Truncate(time.Minute))
		return err
	})
	if err := w.Run(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// "hello", and the end after 5m0s
}
