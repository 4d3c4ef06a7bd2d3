package ipc

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/plexor-go/plexor/ipc/shm"
)

// A Queue is a bounded queue of values of type T, in memory that processes share: any number of them put and get, and
// none of them is its server. What was put is not lost by the death of any process, and what one had taken when it was
// killed goes to another; package shm tells how, and what exactly is promised.
//
//	ring, err := shm.Create("jobs", shm.Options{Slots: 1000})    // or shm.New, and its File to a child
//	q := ipc.NewQueue[Job](ring, nil)
//	err = q.Put(ctx, Job{…})                      // when it returns, the job is in the shared memory
//
//	item, err := q.Get(ctx)                       // in another process
//	work(item.Value)
//	err = item.Done()                             // only now is the job gone
//
// All methods may be called by any goroutine and any coroutine. Those that wait take a context: a coroutine that passes
// the one that its task was given, or one derived from it, is parked, and its loop goes on; a goroutine is blocked.
// When the context has ended they fail with its cause, without having taken or put anything that they do not tell of.
// The others do not wait for items or room, but may take some milliseconds when a process has just been killed within
// one of them. A process that is stopped within one holds all up: who waits with a context is told by its error who
// that is (an shm.HeldError), and so are the others after shm.HeldLimit. It can hold a coroutine's loop for
// shm.TryLimit, once.
//
// Every process that opens a queue has to know the same T, and the same codec.
type Queue[T any] struct {
	ring  *shm.Ring
	codec QueueCodec[T]
	raw   bool // T is []byte, and there is no codec
}

// NewQueue is a queue of values over a ring, which is the Queue's from now on: its Close closes it. codec turns values
// into bytes; nil stands for the bytes themselves if T is []byte, and else for package encoding/gob.
//
// A value of gob comes with a description of its type, of some 50 bytes, and takes about 2 µs to encode, and 0.3 to
// decode, or 17 where its description differs from the last one's or something is inside an interface. Where that is
// too much, give a codec.
func NewQueue[T any](ring *shm.Ring, codec QueueCodec[T]) *Queue[T] {
	given("NewQueue", "the ring", ring != nil)
	q := &Queue[T]{ring: ring, codec: codec}
	if codec == nil {
		if _, q.raw = any(*new(T)).([]byte); !q.raw {
			q.codec = newQueueGob[T]()
		}
	}
	return q
}

// Ring is what the queue is made of: for its File, and its Stats.
func (q *Queue[T]) Ring() *shm.Ring { return q.ring }

// A QueueItem is a value that was taken. Until Done or Return it is this process's, and nobody else gets it while the
// process lives and the Queue is open.
type QueueItem[T any] struct {
	Value T
	// Err is why there is no Value: what was put could not be decoded. It is a *QueueDecodeError. Done makes an end of
	// such an item, or it comes again.
	Err error
	// Deliveries is how often the item was handed out, this time included. More than 1 tells that a taker died, closed, or
	// returned it: the work may have been done, wholly or in part.
	Deliveries int

	ring *shm.Ring
	item shm.Item
}

// Done says that the work on the item is over: it is gone from the queue. A second Done, or Done after Close, is an
// error, shm.ErrNotTaken or shm.ErrClosed.
func (i QueueItem[T]) Done() error {
	if i.ring == nil {
		return failedQueue("done", shm.ErrNotTaken)
	}
	return failedQueue("done", i.ring.Done(i.item))
}

// Return gives the item back undone: it is the next that somebody gets. Its errors are those of Done.
func (i QueueItem[T]) Return() error {
	if i.ring == nil {
		return failedQueue("return", shm.ErrNotTaken)
	}
	return failedQueue("return", i.ring.Return(i.item))
}

// Put puts a value, and waits for room if there is none. When it returns nil the value is in the queue, whatever
// becomes of this process. Otherwise it is not: it could not be encoded; it is longer than the ring's MaxItem
// (shm.ErrTooLong); the context has ended; the queue has (shm.ErrEnded).
func (q *Queue[T]) Put(ctx context.Context, v T) error {
	_, err := q.PutBatch(ctx, v)
	return err
}

// PutBatch puts several values, in their order, and says how many: the first n are in the queue, each whole, and if n
// is not all, err says why. They need not be there at once: others may get the first while there is no room for the
// last. A value that cannot be encoded is an error before any is put.
func (q *Queue[T]) PutBatch(ctx context.Context, values ...T) (n int, err error) {
	var one [1][]byte
	items := one[:0]
	if len(values) > 1 {
		items = make([][]byte, 0, len(values))
	}
	for k, v := range values {
		item, err := q.encode(v)
		if err != nil {
			return 0, failedQueue("put", &QueueEncodeError{k, err})
		}
		items = append(items, item)
	}
	for {
		if err := queueCause(ctx); err != nil {
			return n, failedQueue("put", err)
		}
		k, err := q.ring.TryPut(items[n:]...)
		if n += k; errors.Is(err, shm.ErrHeld) {
			if err := queueHeld(ctx, q.ring, "put into a queue", err); err != nil {
				return n, failedQueue("put", err)
			}
			continue
		}
		if err == nil || !errors.Is(err, shm.ErrFull) {
			return n, failedQueue("put", err)
		}
		next := len(items[n])
		if err := queueWait(ctx, "put into a queue", func(ctx context.Context) error {
			return q.ring.WaitRoom(ctx, next)
		}); err != nil {
			return n, failedQueue("put", err)
		}
	}
}

// Get takes the first value of the queue, and waits for one if there is none. The error is io.EOF once [Queue.End] was
// called and all is done. If it is a *QueueDecodeError there is an item all the same, whose Err it is.
func (q *Queue[T]) Get(ctx context.Context) (QueueItem[T], error) {
	var one [1]QueueItem[T]
	_, err := q.get(ctx, one[:])
	if err == nil {
		err = one[0].Err
	}
	return one[0], err
}

// GetBatch takes up to limit values, at least one, and as many more as are there: it waits for the first alone. Look at
// each one's Err. The error is io.EOF once [Queue.End] was called and all is done.
func (q *Queue[T]) GetBatch(ctx context.Context, limit int) ([]QueueItem[T], error) {
	if limit < 1 {
		return nil, failedQueue("get", fmt.Errorf("a batch of at most %d items: %w", limit, os.ErrInvalid))
	}
	items := make([]QueueItem[T], limit)
	n, err := q.get(ctx, items)
	return items[:n], err
}

func (q *Queue[T]) get(ctx context.Context, items []QueueItem[T]) (int, error) {
	var one [1]shm.Item
	taken := one[:]
	if len(items) > 1 {
		taken = make([]shm.Item, len(items))
	}
	for {
		if err := queueCause(ctx); err != nil {
			return 0, failedQueue("get", err)
		}
		n, err := q.ring.TryGet(taken, nil)
		if n > 0 { // an error besides comes again
			for k, item := range taken[:n] {
				items[k] = QueueItem[T]{Deliveries: item.Deliveries, ring: q.ring, item: item}
				items[k].Value, items[k].Err = q.decode(item.Data)
				items[k].item.Data = nil // the value's
			}
			return n, nil
		}
		if errors.Is(err, shm.ErrHeld) {
			if err := queueHeld(ctx, q.ring, "get from a queue", err); err != nil {
				return 0, failedQueue("get", err)
			}
			continue
		}
		if !errors.Is(err, shm.ErrEmpty) {
			return 0, failedQueue("get", err)
		}
		if err := queueWait(ctx, "get from a queue", q.ring.WaitItem); err != nil {
			return 0, failedQueue("get", err)
		}
	}
}

// DoneBatch says Done of several items, at the cost of little more than one. An item that is not this Queue's to do is
// an error, shm.ErrNotTaken; the others are done all the same.
func (q *Queue[T]) DoneBatch(items []QueueItem[T]) error {
	var few [8]shm.Item
	raw := few[:0]
	for _, i := range items {
		raw = append(raw, i.item)
	}
	return failedQueue("done", q.ring.Done(raw...))
}

// Join waits until every item that was put is done: for a moment at which there is none that waits or is taken.
func (q *Queue[T]) Join(ctx context.Context) error {
	if err := queueCause(ctx); err != nil {
		return failedQueue("join", err)
	}
	return failedQueue("join", queueWait(ctx, "join a queue", q.ring.Join))
}

// End says that nothing more will be put, by any process: Put fails with shm.ErrEnded from now on, and Get with io.EOF
// once all items are done. It can't be taken back.
func (q *Queue[T]) End() error { return failedQueue("end", q.ring.End()) }

// Close ends this process's part: items that it has taken and not done go back, calls that wait fail with shm.ErrClosed
// (which is a net.ErrClosed), and the ring is closed. The queue and what is in it stay for the others. A second Close
// does nothing.
func (q *Queue[T]) Close() error { return failedQueue("close", q.ring.Close()) }
