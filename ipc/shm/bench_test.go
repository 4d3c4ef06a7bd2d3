//go:build linux

package shm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
)

func init() {
	children["drain"] = func(r *Ring) error {
		batch, err := strconv.Atoi(os.Getenv("PLEXOR_SHM_BATCH"))
		if err != nil {
			return err
		}
		items, buf := make([]Item, batch), make([]byte, 64*batch)
		for {
			n, err := r.Get(context.Background(), items, buf)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := r.Done(items[:n]...); err != nil {
				return err
			}
		}
	}
}

// BenchmarkProcesses moves items of 64 bytes from this process to another, one at a time or in batches.
func BenchmarkProcesses(b *testing.B) {
	for _, batch := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			r := make1(b, Options{Slots: 4096, SlotSize: 64})
			cmd := start(b, r, "drain", "PLEXOR_SHM_BATCH="+strconv.Itoa(batch))
			items := make([][]byte, batch)
			for i := range items {
				items[i] = make([]byte, 64)
			}
			ctx := context.Background()
			// The child has come when it has done this one.
			if _, err := r.Put(ctx, items[0]); err != nil {
				b.Fatal(err)
			}
			if err := r.Join(ctx); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += batch {
				if _, err := r.Put(ctx, items[:min(batch, b.N-n)]...); err != nil {
					b.Fatal(err)
				}
			}
			if err := r.Join(ctx); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "items/s")
			if err := r.End(); err != nil {
				b.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkAlone puts, gets and does one item in one goroutine: what the operations take when nobody is in the way.
func BenchmarkAlone(b *testing.B) {
	r := make1(b, Options{Slots: 64, SlotSize: 64})
	item, items, buf := make([]byte, 64), make([]Item, 1), make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.TryPut(item); err != nil {
			b.Fatal(err)
		}
		if _, err := r.TryGet(items, buf); err != nil {
			b.Fatal(err)
		}
		if err := r.Done(items...); err != nil {
			b.Fatal(err)
		}
	}
}
