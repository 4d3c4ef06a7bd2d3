//go:build linux

package ipc

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"

	"github.com/plexor-go/plexor/ipc/shm"
)

func init() {
	queueChildren["drain"] = func(r *shm.Ring) error {
		batch, err := strconv.Atoi(os.Getenv("PLEXOR_IPC_QUEUE_BATCH"))
		if err != nil {
			return err
		}
		return queueDrain(NewQueue[[]byte](r, nil), batch)
	}
	queueChildren["drain gob"] = func(r *shm.Ring) error { return queueDrain(NewQueue[queueJob](r, nil), 1) }
}

func queueDrain[T any](q *Queue[T], batch int) error {
	ctx := context.Background()
	for {
		if batch == 1 {
			item, err := q.Get(ctx)
			if err == nil {
				err = item.Done()
			}
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			continue
		}
		items, err := q.GetBatch(ctx, batch)
		if err == nil {
			err = q.DoneBatch(items)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// BenchmarkQueue moves items of 64 bytes from this process to another, one at a time and in batches, and then values of
// gob.
func BenchmarkQueue(b *testing.B) {
	for _, batch := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("bytes/batch=%d", batch), func(b *testing.B) {
			values := make([][]byte, batch)
			for i := range values {
				values[i] = make([]byte, 64)
			}
			benchmarkQueue(b, "drain", values, "PLEXOR_IPC_QUEUE_BATCH="+strconv.Itoa(batch))
		})
	}
	b.Run("gob", func(b *testing.B) { benchmarkQueue(b, "drain gob", []queueJob{{"name", []int{1, 2, 3}}}) })
}

func benchmarkQueue[T any](b *testing.B, part string, values []T, env ...string) {
	ctx := context.Background()
	q := NewQueue[T](queueRing(b, shm.Options{Slots: 4096}), nil)
	cmd := queueStart(b, q.Ring(), part, env...)
	put := func(n int) {
		for n > 0 {
			k, err := q.PutBatch(ctx, values[:min(n, len(values))]...)
			if n -= k; err != nil {
				b.Fatal(err)
			}
		}
		if err := q.Join(ctx); err != nil {
			b.Fatal(err)
		}
	}
	put(1) // it has come
	b.ReportAllocs()
	b.ResetTimer()
	put(b.N)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "items/s")
	if err := q.End(); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
}
