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

// A server and a client, a fifth of a second apart: in virtual time it takes no time to try them.
func Example() {
	w := lab.New(lab.Options{Seed: 1})
	client, server := w.Host("client"), w.Host("server")
	w.Connect(client, server, link.Options{Delay: 100 * time.Millisecond})

	srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
	if _, err := srv.Open("tcp://:9000", nil); err != nil {
		fmt.Println(err)
		return
	}
	begin := w.Now()
	client.Go(func(ctx context.Context) error {
		c, err := plexor.Dial(ctx, "tcp://server:9000")
		if err != nil {
			return err
		}
		fmt.Println("connected after", w.Now().Sub(begin))
		if _, err := io.WriteString(c, "hello"); err != nil {
			return err
		}
		answer := make([]byte, 5)
		if _, err := io.ReadFull(c, answer); err != nil {
			return err
		}
		fmt.Printf("%q after %v\n", answer, w.Now().Sub(begin))
		return c.Close()
	})
	fmt.Println("the run:", w.Run())
	fmt.Println("the end:", srv.Close(), w.Close())
	// Output:
	// connected after 400ms
	// "hello" after 600ms
	// the run: <nil>
	// the end: <nil> <nil>
}
