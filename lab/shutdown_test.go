package lab_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
)

// TestShutdownInRun: what blocks is done by coro.Await in a run too: time passes for the server meanwhile, and that
// something came from outside is counted.
func TestShutdownInRun(t *testing.T) {
	w := lab.New(lab.Options{Seed: 1})
	client, server := w.Host("client"), w.Host("server")
	w.Connect(client, server, link.Options{Delay: 10 * time.Millisecond})
	srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
	if _, err := srv.Open("tcp://:9000", nil); err != nil {
		t.Fatal(err)
	}
	client.Go(func(ctx context.Context) error {
		c, err := plexor.Dial(ctx, "tcp://server:9000")
		if err != nil {
			return err
		}
		if _, err := io.WriteString(c, "hello"); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
			return err
		}
		_, err = coro.Await(ctx, func() (int, error) { return 0, srv.Shutdown(context.Background()) })
		if n, end := c.Read(make([]byte, 1)); n != 0 || end != io.EOF {
			return errors.Join(err, errors.New("the connection was not closed in good order"), end)
		}
		return errors.Join(err, c.Close())
	})
	if err := errors.Join(w.Run(), w.Close()); err != nil {
		t.Error(err)
	}
	if w.Strays() == 0 {
		t.Error("nothing came from outside, as far as was seen")
	}
}
