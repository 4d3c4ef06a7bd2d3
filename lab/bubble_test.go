package lab_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
)

// TestBubble: a world may be in a synctest bubble, whose time a live one then goes by.
func TestBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := liveWorld(t, link.Options{Delay: time.Second})
		srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
		if _, err := srv.Open("tcp://:9000", nil); err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		began := time.Now()
		c, err := client.DialContext(context.Background(), "tcp", "server:9000")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "hello"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 4*time.Second || took > 10*time.Second {
			t.Errorf("two round trips of 2 s took %v", took)
		}
	})
}

// TestBubbleVirtual: virtual time is the world's own there too.
func TestBubbleVirtual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := lab.New(lab.Options{})
		defer w.Close()
		began := time.Now()
		client, server := w.Host("client"), w.Host("server")
		w.Connect(client, server, link.Options{Delay: time.Second})
		srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
		if _, err := srv.Open("tcp://:9000", nil); err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		client.Go(func(ctx context.Context) error {
			c, err := plexor.Dial(ctx, "tcp://server:9000")
			if err != nil {
				return err
			}
			defer c.Close()
			if _, err := io.WriteString(c, "hello"); err != nil {
				return err
			}
			_, err = io.ReadFull(c, make([]byte, 5))
			return err
		})
		if err := w.Run(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the bubble's time went on by %v", took)
		}
	})
}
