package lab_test

import (
	"context"
	"io"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
)

// idle is what a connection costs that has carried a message there and back and is open, in bytes of the heap: both its
// ends, with the server's by Turns and the client's by a coroutine that has gone on.
func idle(tb testing.TB, n int) float64 {
	tb.Helper()
	w := lab.New(lab.Options{Seed: 1})
	client, server := w.Host("client"), w.Host("server")
	w.Connect(client, server, link.Options{Delay: time.Millisecond})
	srv := &plexor.Server{Network: server, Handler: plexor.Turns(func(c *plexor.Conn) error {
		var b [1]byte
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return err
		}
		_, err := c.Write(b[:])
		return err
	})}
	const ports = 8 // of the server: there are 28232 of the client's for each
	for p := range ports {
		if _, err := srv.Open("tcp://:"+strconv.Itoa(9000+p), nil); err != nil {
			tb.Fatal(err)
		}
	}
	conns := make([]*plexor.Conn, 0, n)
	before := living()
	client.Go(func(ctx context.Context) error {
		for i := range n {
			c, err := plexor.Dial(ctx, "tcp://server:"+strconv.Itoa(9000+i%ports))
			if err != nil {
				return err
			}
			b := [1]byte{'x'}
			if _, err := c.Write(b[:]); err != nil {
				return err
			}
			if _, err := io.ReadFull(c, b[:]); err != nil {
				return err
			}
			conns = append(conns, c)
		}
		return nil
	})
	if err := w.Run(); err != nil {
		tb.Fatal(err)
	}
	size := float64(living()-before) / float64(n)
	if len(conns) != n {
		tb.Fatalf("%d connections of %d", len(conns), n)
	}
	runtime.KeepAlive(conns)
	client.Go(func(context.Context) error {
		for _, c := range conns {
			c.Abort()
		}
		return nil
	})
	if err := w.Run(); err != nil {
		tb.Fatal(err)
	}
	if err := srv.Close(); err != nil {
		tb.Error(err)
	}
	if err := w.Close(); err != nil {
		tb.Error(err)
	}
	return size
}

// living is how many bytes live in the heap and on stacks.
func living() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one has found to be free is swept
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// TestIdleSize holds that 100,000 idle connections in a world stay within 1 GiB, by what 2,000 cost.
func TestIdleSize(t *testing.T) {
	if size := idle(t, 2000); size > 1<<30/100_000 {
		t.Errorf("an idle connection, both ends, costs %.0f bytes", size)
	}
}

// BenchmarkIdle has 100,000 idle connections in a world.
func BenchmarkIdle(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		size := idle(b, n)
		b.ReportMetric(size, "B/conn")
		b.ReportMetric(size*n/(1<<20), "MiB")
	}
}
