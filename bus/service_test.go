package bus

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestCalls: answers, of one part and of many, errors, panics, deadlines, and none.
func TestCalls(t *testing.T) {
	t.Parallel()
	b := open(t, Options{Limits: Limits{Message: 100}})
	ctx := within(t)
	if _, err := b.Call(ctx, "double", []byte("x")); err != ErrNobody {
		t.Errorf("without an answerer: %v", err)
	}
	stop, err := b.Answer("double", func(ctx context.Context, q *Request) ([]byte, error) {
		switch string(q.Data) {
		case "fail":
			return nil, errors.New("no such thing")
		case "panic":
			panic("at the disco")
		case "wait":
			<-ctx.Done()
			return nil, ctx.Err()
		case "long":
			return make([]byte, 101), nil
		case "many":
			for i := range 100 {
				if err := q.Send(ctx, fmt.Append(nil, i)); err != nil {
					return nil, err
				}
			}
		}
		return append(q.Data, q.Data...), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Answer("double", nil); err != ErrTaken {
		t.Errorf("a second one: %v", err)
	}
	if p, err := b.Call(ctx, "double", []byte("x")); err != nil || string(p) != "xx" {
		t.Errorf("got %q, %v", p, err)
	}
	for ask, want := range map[string]string{"fail": "no such thing", "panic": "panic: at the disco",
		"long": ErrTooLong.Error()} {
		var a *AnswerError
		if _, err := b.Call(ctx, "double", []byte(ask)); !errors.As(err, &a) || a.Text != want {
			t.Errorf("%s: %v", ask, err)
		}
	}
	n := 0
	for p, err := range b.Stream(ctx, "double", []byte("many")) {
		if want := fmt.Sprint(n); err != nil || string(p) != want && n < 100 {
			t.Fatalf("part %d is %q, %v", n, p, err)
		}
		n++
	}
	if n != 101 {
		t.Errorf("%d parts", n)
	}
	for p, err := range b.Stream(ctx, "double", []byte("many")) { // and who has enough goes
		if err != nil || string(p) != "0" {
			t.Errorf("got %q, %v", p, err)
		}
		break
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := b.Call(short, "double", []byte("wait")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline: %v", err)
	}
	stop()
	if _, err := b.Call(ctx, "double", []byte("x")); err != ErrNobody {
		t.Errorf("after stop: %v", err)
	}
}

// TestCallsEnd: a call under way fails when the bus is closed, and the answerer is told.
func TestCallsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, err := Open(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Answer("wait", func(ctx context.Context, _ *Request) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}); err != nil {
			t.Fatal(err)
		}
		failed := make(chan error)
		go func() {
			_, err := b.Call(context.Background(), "wait", nil)
			failed <- err
		}()
		synctest.Wait()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := <-failed; err == nil {
			t.Error("it did not fail")
		}
	})
}

// TestMembers: who is in a room is seen, and watched.
func TestMembers(t *testing.T) {
	t.Parallel()
	b := open(t, Options{Name: "here", Limits: Limits{Entries: 3}})
	r := b.Room("hall")
	w, err := r.WatchMembers()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	leave, err := r.Enter("ann", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Enter("ann", nil); err != ErrTaken {
		t.Errorf("twice: %v", err)
	}
	if p, err := w.Next(within(t)); err != nil || p.ID != "ann" || len(p.In) != 1 || p.In[0].On != "here" {
		t.Errorf("got %+v, %v", p, err)
	}
	for _, id := range []string{"ben", "eve"} {
		if _, err := r.Enter(id, nil); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Enter("one too many", nil); err != ErrFull {
		t.Errorf("one too many: %v", err)
	}
	if m := r.Members(); len(m) != 3 || m[0].ID != "ann" || string(m[0].Data) != "x" || m[2].ID != "eve" {
		t.Errorf("got %+v", m)
	}
	leave()
	leave()
	for range 3 {
		p, err := w.Next(within(t))
		if gone := p.ID == "ann"; err != nil || gone != (len(p.In) == 0) {
			t.Errorf("got %+v, %v", p, err)
		}
	}
}

// TestValues: values are set, deleted, listed and watched.
func TestValues(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	k := b.Bucket("settings")
	for _, key := range []string{"b", "a", "c"} {
		if err := k.Put(key, []byte(key+key)); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Delete("c"); err != nil {
		t.Error(err)
	}
	if v, ok := k.Get("a"); !ok || string(v) != "aa" {
		t.Errorf("a is %q, %v", v, ok)
	}
	if v, ok := k.Get("c"); ok {
		t.Errorf("c is %q", v)
	}
	if keys := k.Keys(); fmt.Sprint(keys) != "[a b]" {
		t.Errorf("keys %q", keys)
	}
	w, err := k.Watch()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for range 3 {
		c, err := w.Next(within(t))
		if err != nil || c.Deleted != (c.Key == "c") || !c.Deleted && string(c.Value) != c.Key+c.Key {
			t.Errorf("got %+v, %v", c, err)
		}
	}
	for i := range 5 {
		if err := k.Put("a", fmt.Append(nil, i)); err != nil {
			t.Error(err)
		}
	}
	if c, err := w.Next(within(t)); err != nil || string(c.Value) != "4" {
		t.Errorf("got %+v, %v", c, err)
	}
}
