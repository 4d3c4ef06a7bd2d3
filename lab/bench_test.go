package lab_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
)

// BenchmarkEcho is messages there and back in virtual time: what a run costs, not how long it lasts in it.
func BenchmarkEcho(b *testing.B) {
	for _, row := range []struct {
		name string
		size int
	}{{"64 B", 64}, {"64 KiB", 64 << 10}} {
		b.Run(row.name, func(b *testing.B) {
			w := lab.New(lab.Options{Seed: 1})
			client, server := w.Host("client"), w.Host("server")
			w.Connect(client, server, link.Options{Delay: time.Millisecond})
			srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
			if _, err := srv.Open("tcp://:9", nil); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(row.size))
			client.Go(func(ctx context.Context) error {
				c, err := plexor.Dial(ctx, "tcp://server:9")
				if err != nil {
					return err
				}
				p := make([]byte, row.size)
				for range b.N {
					if _, err := c.Write(p); err != nil {
						return err
					}
					if _, err := io.ReadFull(c, p); err != nil {
						return err
					}
				}
				return c.Close()
			})
			if err := w.Run(); err != nil {
				b.Fatal(err)
			}
			_ = srv.Close() // the run was the measurement
			_ = w.Close()
		})
	}
}
