//go:build linux

package ipc

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/ipc/shm"
	"github.com/plexor-go/plexor/loop"
)

// queueRing is a ring that is closed with the test.
func queueRing(t testing.TB, o shm.Options) *shm.Ring {
	t.Helper()
	r, err := shm.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// queueOther opens the ring again.
func queueOther(t testing.TB, r *shm.Ring) *shm.Ring {
	t.Helper()
	f, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // opened anew
	o, err := shm.OpenFile(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func queueWant(t testing.TB, what string, err error, wants ...error) {
	t.Helper()
	for _, w := range wants {
		if !errors.Is(err, w) {
			t.Errorf("%s: got %v, want %v", what, err, w)
		}
	}
}

// queueContext is one that ends when a test is stuck.
func queueContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// queueCallers are who may call: f runs as each of them in turn.
func queueCallers(t *testing.T,
	f func(ctx context.Context, t *testing.T, go2 func(func(ctx context.Context) error) (wait func() error))) {
	t.Run("goroutine", func(t *testing.T) {
		ctx := queueContext(t)
		f(ctx, t, func(g func(ctx context.Context) error) func() error {
			ended := make(chan error, 1)
			go func() { ended <- g(ctx) }()
			return func() error { return <-ended }
		})
	})
	t.Run("coroutine", func(t *testing.T) {
		queueOnLoop(t, func(ctx context.Context) error {
			return coro.Group(ctx, func(g *coro.Tasks) error {
				f(ctx, t, func(h func(ctx context.Context) error) func() error {
					v := coro.Go(g, func(ctx context.Context) (error, error) { return h(ctx), nil })
					return func() error {
						err, failed := v.Get(ctx)
						if failed != nil {
							return failed
						}
						return err
					}
				})
				return nil
			})
		})
	})
}

// queueOnLoop runs f as a task on a loop of its own.
func queueOnLoop(t testing.TB, f func(ctx context.Context) error) {
	t.Helper()
	l, err := loop.New(loop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- l.Run() }()
	_, err = coro.Call(queueContext(t), coro.On(l), t.Name(), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f(ctx)
	})
	l.Close()
	if e := <-ended; e != nil || err != nil {
		t.Errorf("the task: %v; the loop: %v", err, e)
	}
}

type queueJob struct {
	Name string
	Args []int
}

func TestQueueValues(t *testing.T) {
	queueCallers(t, func(ctx context.Context, t *testing.T, _ func(func(context.Context) error) func() error) {
		r := queueRing(t, shm.Options{Slots: 8})
		q, o := NewQueue[queueJob](r, nil), NewQueue[queueJob](queueOther(t, r), nil)
		want := queueJob{"add", []int{1, 2}}
		if err := q.Put(ctx, want); err != nil {
			t.Fatal(err)
		}
		item, err := o.Get(ctx)
		if err != nil || item.Value.Name != want.Name || !slices.Equal(item.Value.Args, want.Args) || item.Deliveries != 1 {
			t.Fatalf("got %+v, %v, want %+v", item, err, want)
		}
		queueWant(t, "done by another", q.DoneBatch([]QueueItem[queueJob]{item}), shm.ErrNotTaken)
		if err := item.Return(); err != nil {
			t.Fatal(err)
		}
		if item, err = q.Get(ctx); err != nil || item.Value.Name != want.Name || item.Deliveries != 2 {
			t.Fatalf("got %+v, %v, want %+v for the second time", item, err, want)
		}
		if err := item.Done(); err != nil {
			t.Fatal(err)
		}
		queueWant(t, "done twice", item.Done(), shm.ErrNotTaken)
		queueWant(t, "no item", QueueItem[int]{}.Done(), shm.ErrNotTaken)
		queueWant(t, "no item", QueueItem[int]{}.Return(), shm.ErrNotTaken)
		if err := q.Join(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestQueueBytes(t *testing.T) {
	ctx := queueContext(t)
	q := NewQueue[[]byte](queueRing(t, shm.Options{Slots: 40, MaxItem: 1000}), nil)
	var all [][]byte
	for i := range 10 {
		all = append(all, make([]byte, 100*i))
	}
	if n, err := q.PutBatch(ctx, all...); n != 10 || err != nil {
		t.Fatalf("put %d, %v", n, err)
	}
	n, err := q.PutBatch(ctx, nil, make([]byte, 1001), nil)
	if n != 1 {
		t.Errorf("put %d, want the one before what is too long", n)
	}
	queueWant(t, "too long", err, shm.ErrTooLong)
	items, err := q.GetBatch(ctx, 100)
	if err != nil || len(items) != 11 {
		t.Fatalf("got %d, %v, want 11", len(items), err)
	}
	for i, item := range items[:10] {
		if len(item.Value) != 100*i {
			t.Errorf("item %d has %d bytes, want %d", i, len(item.Value), 100*i)
		}
	}
	if err := q.DoneBatch(items); err != nil {
		t.Error(err)
	}
	_, err = q.GetBatch(ctx, 0)
	queueWant(t, "a batch of none", err, os.ErrInvalid)
}

// queueNumber is a codec of its own.
type queueNumber struct{}

var errOdd = errors.New("odd")

func (queueNumber) Encode(v uint32) ([]byte, error) {
	if v%2 != 0 {
		return nil, errOdd
	}
	return binary.BigEndian.AppendUint32(nil, v), nil
}

func (queueNumber) Decode(b []byte) (uint32, error) {
	if len(b) != 4 {
		return 0, io.ErrUnexpectedEOF
	}
	return binary.BigEndian.Uint32(b), nil
}

func TestQueueCodec(t *testing.T) {
	ctx := queueContext(t)
	r := queueRing(t, shm.Options{Slots: 8})
	q, raw := NewQueue[uint32](r, queueNumber{}), NewQueue[[]byte](queueOther(t, r), nil)
	n, err := q.PutBatch(ctx, 2, 4, 5)
	var enc *QueueEncodeError
	if queueWant(t, "encode", err, errOdd); n != 0 || !errors.As(err, &enc) || enc.Index != 2 {
		t.Errorf("put %d, %v; want none, and that the third is to blame", n, err)
	}
	if n, err := q.PutBatch(ctx, 2, 4); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if err := raw.Put(ctx, []byte("no number")); err != nil {
		t.Fatal(err)
	}
	items, err := q.GetBatch(ctx, 2)
	if err != nil || items[0].Value != 2 || items[1].Value != 4 {
		t.Errorf("got %+v, %v", items, err)
	}
	item, err := q.Get(ctx)
	var dec *QueueDecodeError
	if queueWant(t, "decode", err, io.ErrUnexpectedEOF); !errors.As(item.Err, &dec) || string(dec.Data) != "no number" {
		t.Errorf("got %+v, want what was put", item.Err)
	}
	if err := errors.Join(item.Done(), q.DoneBatch(items)); err != nil {
		t.Error(err)
	}
	if err := NewQueue[func()](queueOther(t, r), nil).Put(ctx, func() {}); !errors.As(err, &enc) {
		t.Errorf("put a function: %v, want a QueueEncodeError", err)
	}
	gob := NewQueue[queueJob](queueOther(t, r), nil)
	for _, b := range []string{"", "nonsense", "\x03\x04\x00\x02"} {
		if err := raw.Put(ctx, []byte(b)); err != nil {
			t.Fatal(err)
		}
		item, err := gob.Get(ctx)
		if !errors.As(err, &dec) {
			t.Errorf("%q is the job %+v, %v", b, item.Value, err)
		}
		if err := item.Done(); err != nil {
			t.Error(err)
		}
	}
}

// queueWaits are the calls that wait, on a queue that has one slot, which is taken if full.
var queueWaits = []struct {
	name string
	full bool
	call func(ctx context.Context, q *Queue[string]) error
}{
	{"Get", false, func(ctx context.Context, q *Queue[string]) error {
		_, err := q.Get(ctx)
		return err
	}},
	{"Put", true, func(ctx context.Context, q *Queue[string]) error { return q.Put(ctx, "more") }},
	{"Join", true, func(ctx context.Context, q *Queue[string]) error { return q.Join(ctx) }},
}

func TestQueueWaits(t *testing.T) {
	cause := errors.New("a cause")
	for _, row := range queueWaits {
		t.Run(row.name, func(t *testing.T) {
			queueCallers(t, func(ctx context.Context, t *testing.T, run func(func(context.Context) error) func() error) {
				fresh := func() (q, o *Queue[string]) {
					r := queueRing(t, shm.Options{Slots: 1})
					q, o = NewQueue[string](r, nil), NewQueue[string](queueOther(t, r), nil)
					if row.full {
						if err := o.Put(ctx, "first"); err != nil {
							t.Fatal(err)
						}
					}
					return q, o
				}
				q, o := fresh()
				served := run(func(ctx context.Context) error { return row.call(ctx, q) })
				if row.full {
					item, err := o.Get(ctx)
					if err != nil {
						t.Fatal(err)
					}
					if err := item.Done(); err != nil {
						t.Fatal(err)
					}
				} else if err := o.Put(ctx, "x"); err != nil {
					t.Fatal(err)
				}
				if err := served(); err != nil {
					t.Errorf("served: %v", err)
				}

				q, _ = fresh()
				cancelled := run(func(ctx context.Context) error {
					ctx, cancel := context.WithCancelCause(ctx)
					time.AfterFunc(time.Millisecond, func() { cancel(cause) })
					queueWant(t, "cancelled", row.call(ctx, q), cause)
					queueWant(t, "and once more", row.call(ctx, q), cause)
					late, stop := context.WithTimeout(ctx, time.Millisecond)
					defer stop()
					queueWant(t, "with a deadline", row.call(late, q), cause)
					return nil
				})
				if err := cancelled(); err != nil {
					t.Error(err)
				}
				late := run(func(ctx context.Context) error {
					ctx, stop := context.WithTimeout(ctx, time.Millisecond)
					defer stop()
					queueWant(t, "late", row.call(ctx, q), context.DeadlineExceeded)
					return nil
				})
				if err := late(); err != nil {
					t.Error(err)
				}

				q, _ = fresh()
				closed := run(func(ctx context.Context) error { return row.call(ctx, q) })
				if err := q.Close(); err != nil {
					t.Error(err)
				}
				queueWant(t, "closed", closed(), shm.ErrClosed, net.ErrClosed)
			})
		})
	}
}

// TestQueueManyCoroutines: coroutines that wait in Get hold neither the loop nor its Await.
func TestQueueManyCoroutines(t *testing.T) {
	r := queueRing(t, shm.Options{Slots: 256})
	q, o := NewQueue[int](r, nil), NewQueue[int](queueOther(t, r), nil)
	const many = 200 // more than Await has goroutines
	queueOnLoop(t, func(ctx context.Context) error {
		return coro.Group(ctx, func(g *coro.Tasks) error {
			sum := 0
			for range many {
				g.Go(func(ctx context.Context) error {
					item, err := q.Get(ctx)
					if err != nil {
						return err
					}
					sum += item.Value
					return item.Done()
				})
			}
			for range 3 {
				if _, err := coro.Await(ctx, func() (int, error) { return 0, nil }); err != nil {
					return err
				}
			}
			for i := range many {
				if err := o.Put(ctx, i); err != nil {
					return err
				}
			}
			if err := o.Join(ctx); err != nil {
				return err
			}
			if want := many * (many - 1) / 2; sum != want {
				t.Errorf("the sum is %d, want %d", sum, want)
			}
			return nil
		})
	})
}

func TestQueueEnd(t *testing.T) {
	ctx := queueContext(t)
	r := queueRing(t, shm.Options{})
	q, o := NewQueue[int](r, nil), NewQueue[int](queueOther(t, r), nil)
	if err := errors.Join(q.Put(ctx, 1), q.End()); err != nil {
		t.Fatal(err)
	}
	queueWant(t, "put", o.Put(ctx, 2), shm.ErrEnded)
	item, err := o.Get(ctx)
	if err != nil || item.Value != 1 {
		t.Errorf("got %v, %v", item.Value, err)
	}
	if err := item.Done(); err != nil {
		t.Error(err)
	}
	if _, err := o.Get(ctx); err != io.EOF {
		t.Errorf("at the end: %v, want EOF", err)
	}
}
