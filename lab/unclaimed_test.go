package lab_test

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
)

// TestUnclaimed: in an ordinary exchange nothing goes astray, and what goes to a port that nobody has is told of.
func TestUnclaimed(t *testing.T) {
	w := lab.New(lab.Options{Seed: 1})
	client, server := w.Host("client"), w.Host("server")
	w.Connect(client, server, link.Options{Delay: 5 * time.Millisecond})
	srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
	if _, err := srv.Open("tcp://:9", nil); err != nil {
		t.Fatal(err)
	}
	dial := func(address string) (c *plexor.Conn, err error) {
		client.Go(func(ctx context.Context) error {
			if c, err = plexor.Dial(ctx, address); err != nil {
				return nil
			}
			defer c.Close()
			if _, err = c.Write([]byte("hello")); err == nil {
				_, err = io.ReadFull(c, make([]byte, 5))
			}
			return nil
		})
		if err := w.Run(); err != nil {
			t.Fatal(err)
		}
		return c, err
	}
	if _, err := dial("tcp://server:9"); err != nil {
		t.Fatal(err)
	}
	if err := w.RunFor(3 * time.Minute); err != nil { // to the end of the last wait
		t.Fatal(err)
	}
	if u := w.Unclaimed(); u != nil {
		t.Errorf("nobody has taken %+v", u)
	}
	if _, err := dial("tcp://server:10"); err == nil {
		t.Error("somebody has port 10")
	}
	u := w.Unclaimed()
	at := slices.IndexFunc(u, func(u lab.Unclaimed) bool { return u.Host == "server" })
	if at < 0 || u[at].Why != "for a connection that is not there" || u[at].Packets == 0 {
		t.Errorf("after a dial to nobody: %+v", u)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
