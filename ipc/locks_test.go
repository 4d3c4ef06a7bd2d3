package ipc

import (
	"context"
	"testing"
	"time"
)

func TestLock(t *testing.T) {
	eachClient(t, func(t *testing.T, ctx context.Context, m *Manager, c *Client) {
		l := OpenLock(c, "l")
		first, err := l.Lock(ctx)
		want(t, "a token", first > 0, err, true)
		_, ok, err := l.TryLock(ctx)
		want(t, "TryLock of a held one", ok, err, false)
		short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
		_, err = l.Lock(short)
		wantErr(t, "Lock of a held one", err, context.DeadlineExceeded)
		cancel()
		n := OpenCounter(c, "n")
		ok, err = c.Do(ctx, l.Holds(first), n.Adding(1))
		want(t, "Do with the token", ok, err, true)

		// Another one waits, and gets it when the first gives it back; with a greater token.
		other := client(t, ctx, m)
		defer other.Close()
		wantErr(t, "Unlock of another one's", OpenLock(other, "l").Unlock(ctx, first), ErrNotHeld)
		second := make(chan int64, 1)
		go func() {
			token, err := OpenLock(other, "l").Lock(context.Background())
			if err != nil {
				t.Error(err)
			}
			second <- token
		}()
		want(t, "Unlock", "", l.Unlock(ctx, first), "")
		wantErr(t, "a second Unlock", l.Unlock(ctx, first), ErrNotHeld)
		if token := receive(t, second, "the lock"); token <= first {
			t.Errorf("the second token is %d, the first was %d", token, first)
		}
		ok, err = c.Do(ctx, l.Holds(first), n.Adding(1))
		want(t, "Do with the old token", ok, err, false)
		// It is released with its holder.
		other.Close()
		token, err := l.Lock(ctx)
		want(t, "Lock after the holder is gone", token > first, err, true)
		_, err = c.Remove(ctx, "l")
		wantErr(t, "Remove of a held lock", err, ErrInUse)
		want(t, "Unlock", "", l.Unlock(ctx, token), "")
		ok, err = c.Remove(ctx, "l")
		want(t, "Remove", ok, err, true)
		ok, err = c.Remove(ctx, "l")
		want(t, "Remove of nothing", ok, err, false)
	})
}

// waits runs f on a goroutine, and waits until the manager has n calls that wait.
func waits[T any](t *testing.T, m *Manager, n int64, f func() (T, error)) <-chan result[T] {
	t.Helper()
	ch := make(chan result[T], 1)
	go func() {
		v, err := f()
		ch <- result[T]{v, err}
	}()
	for end := time.Now().Add(patience); m.waiting.Load() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d calls wait, want %d", m.waiting.Load(), n)
		}
	}
	return ch
}

type result[T any] struct {
	v   T
	err error
}

func TestRWLock(t *testing.T) {
	m := manage(t, ManagerOptions{})
	ctx := limited(t)
	c := client(t, ctx, m)
	l := OpenRWLock(c, "l")
	r1, err := l.RLock(ctx)
	want(t, "RLock", r1 > 0, err, true)
	r2, ok, err := l.TryRLock(ctx)
	want(t, "a second reader", ok, err, true)
	_, ok, err = l.TryLock(ctx)
	want(t, "a writer among readers", ok, err, false)
	short, cancel := context.WithCancel(ctx)
	writer := waits(t, m, 1, func() (int64, error) { return l.Lock(short) })
	_, ok, err = l.TryRLock(ctx)
	want(t, "a reader behind a writer", ok, err, false)
	reader := waits(t, m, 2, func() (int64, error) { return l.RLock(ctx) })
	cancel() // the writer gives up: the reader behind it goes on
	w := receive(t, writer, "the writer")
	wantErr(t, "the writer", w.err, context.Canceled)
	r := receive(t, reader, "the reader")
	want(t, "the reader", r.v > r2, r.err, true)
	for _, token := range []int64{r1, r2, r.v} {
		want(t, "Unlock", "", l.Unlock(ctx, token), "")
	}
	_, ok, err = l.TryLock(ctx)
	want(t, "the writer at last", ok, err, true)
	_, ok, err = l.TryRLock(ctx)
	want(t, "a reader beside a writer", ok, err, false)
}

func TestSemaphore(t *testing.T) {
	m := manage(t, ManagerOptions{})
	ctx := limited(t)
	a, b := client(t, ctx, m), client(t, ctx, m)
	sa, sb := OpenSemaphore(a, "s", 3), OpenSemaphore(b, "s", 3)
	_, err := sa.Acquire(ctx, 2)
	want(t, "Acquire", "", err, "")
	_, ok, err := sb.TryAcquire(ctx, 2)
	want(t, "TryAcquire of too many", ok, err, false)
	many := waits(t, m, 1, func() (int64, error) { return sb.Acquire(ctx, 3) })
	_, ok, err = sb.TryAcquire(ctx, 1)
	want(t, "TryAcquire past one that waits", ok, err, false)
	a.Close() // its two come back
	r := receive(t, many, "three units")
	want(t, "Acquire of all", r.v > 0, r.err, true)
	want(t, "Release", "", sb.Release(ctx, r.v), "")
	wantErr(t, "a second Release", sb.Release(ctx, r.v), ErrNotHeld)
	_, err = sb.Acquire(ctx, 4)
	wantErr(t, "Acquire of more than there are", err, ErrMalformed)
	_, err = OpenSemaphore(b, "s", 4).Acquire(ctx, 1)
	wantErr(t, "another number of units", err, ErrKind)
}

func TestEvent(t *testing.T) {
	eachClient(t, func(t *testing.T, ctx context.Context, m *Manager, c *Client) {
		e := OpenEvent(c, "e")
		ok, err := e.IsSet(ctx)
		want(t, "IsSet", ok, err, false)
		other := client(t, context.Background(), m)
		defer other.Close()
		set := make(chan error, 1)
		go func() { set <- OpenEvent(other, "e").Set(ctx) }()
		want(t, "Wait", "", e.Wait(ctx), "")
		// its answer can come after Wait's: only then may other close
		want(t, "Set", "", receive(t, set, "the end of Set"), "")
		want(t, "Wait for one that is set", "", e.Wait(ctx), "")
		want(t, "Clear", "", e.Clear(ctx), "")
		ok, err = e.IsSet(ctx)
		want(t, "IsSet after Clear", ok, err, false)
	})
}

func TestBarrier(t *testing.T) {
	m := manage(t, ManagerOptions{})
	ctx := limited(t)
	const parties = 3
	var cs [parties]*Client
	var bs [parties]*Barrier
	for i := range cs {
		cs[i] = client(t, ctx, m)
		bs[i] = OpenBarrier(cs[i], "b", parties)
	}
	for range 3 {
		w0 := waits(t, m, 1, func() (int, error) { return bs[0].Wait(ctx) })
		short, cancel := context.WithCancel(ctx)
		gone := waits(t, m, 2, func() (int, error) { return bs[1].Wait(short) })
		cancel() // does not count any more
		wantErr(t, "cancelled", receive(t, gone, "the end of a wait").err, context.Canceled)
		w1 := waits(t, m, 2, func() (int, error) { return bs[1].Wait(ctx) })
		place, err := bs[2].Wait(ctx)
		want(t, "the last one's place", place, err, 0)
		r := receive(t, w0, "the first")
		want(t, "the first one's place", r.v, r.err, 2)
		r = receive(t, w1, "the second")
		want(t, "the second one's place", r.v, r.err, 1)
	}
	// A party dies, though it does not wait: those who do are told. Then the barrier is as new.
	w0 := waits(t, m, 1, func() (int, error) { return bs[0].Wait(ctx) })
	cs[2].Close()
	wantErr(t, "a party is gone", receive(t, w0, "the first").err, ErrBarrierBroken)
	w0 = waits(t, m, 1, func() (int, error) { return bs[0].Wait(ctx) })
	w1 := waits(t, m, 2, func() (int, error) { return bs[1].Wait(ctx) })
	_, err := OpenBarrier(client(t, ctx, m), "b", parties).Wait(ctx)
	want(t, "a new party", "", err, "")
	want(t, "the first", "", receive(t, w0, "the first").err, "")
	want(t, "the second", "", receive(t, w1, "the second").err, "")
	_, err = OpenBarrier(cs[0], "b", 2).Wait(ctx)
	wantErr(t, "another number of parties", err, ErrKind)
}

func TestSharedQueue(t *testing.T) {
	m := manage(t, ManagerOptions{})
	ctx := limited(t)
	c := client(t, ctx, m)
	q := OpenSharedQueue[int](c, "q", 2)
	_, ok, err := q.TryGet(ctx)
	want(t, "TryGet of nothing", ok, err, false)
	want(t, "Put", "", q.Put(ctx, 1), "")
	ok, err = q.TryPut(ctx, 2)
	want(t, "TryPut", ok, err, true)
	ok, err = q.TryPut(ctx, 3)
	want(t, "TryPut into a full one", ok, err, false)
	short, cancel := context.WithCancel(ctx)
	gone := waits(t, m, 1, func() (string, error) { return "", q.Put(short, 4) })
	cancel()
	wantErr(t, "a Put that is cancelled", receive(t, gone, "Put").err, context.Canceled)
	put := waits(t, m, 1, func() (string, error) { return "", q.Put(ctx, 3) })
	for i := 1; i <= 3; i++ {
		v, err := q.Get(ctx)
		want(t, "Get", v, err, i)
	}
	want(t, "the Put that waited", "", receive(t, put, "Put").err, "")
	get := waits(t, m, 1, func() (int, error) { return q.Get(ctx) })
	want(t, "Put", "", q.Put(ctx, 5), "")
	r := receive(t, get, "Get")
	want(t, "the Get that waited", r.v, r.err, 5)
	n, err := q.Len(ctx)
	want(t, "Len", n, err, 0)
	if m.Close(); m.st.bytes != m.st.objects["q"].size || m.st.bytes != overhead+1 {
		t.Errorf("an empty queue counts %d bytes of %d", m.st.objects["q"].size, m.st.bytes)
	}
}
