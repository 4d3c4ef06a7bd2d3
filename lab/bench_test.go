package lab_test

import (
	"context"
	"io"
	"strconv"
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

// BenchmarkWorlds is messages of 64 bytes there and back between two hosts, in worlds in which others do nothing.
func BenchmarkWorlds(b *testing.B) {
	for _, n := range []int{2, 100, 1000} {
		b.Run(strconv.Itoa(n)+" hosts", func(b *testing.B) {
			w := lab.New(lab.Options{Seed: 1})
			client, server := w.Host("client"), w.Host("server")
			w.Connect(client, server, link.Options{Delay: time.Millisecond})
			for i := 2; i < n; i += 2 {
				w.Connect(w.Host("host "+strconv.Itoa(i)), w.Host("host "+strconv.Itoa(i+1)), link.Options{})
			}
			srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
			if _, err := srv.Open("tcp://:9", nil); err != nil {
				b.Fatal(err)
			}
			client.Go(func(ctx context.Context) error {
				c, err := plexor.Dial(ctx, "tcp://server:9")
				if err != nil {
					return err
				}
				b.ResetTimer()
				p := make([]byte, 64)
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
