package ipc

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	eachClient(t, func(t *testing.T, ctx context.Context, m *Manager, c *Client) {
		mp, l, v, n, e := OpenMap[string, int](c, "m"), OpenList[string](c, "l"), OpenValue[string](c, "v"), OpenCounter(c,
			"n"), OpenEvent(c, "e")
		wm, err := mp.Watch(ctx)
		want(t, "Watch", "", err, "")
		wl, err := l.Watch(ctx)
		want(t, "Watch", "", err, "")
		wv, err := v.Watch(ctx)
		want(t, "Watch", "", err, "")
		wn, err := n.Watch(ctx)
		want(t, "Watch", "", err, "")
		we, err := e.Watch(ctx)
		want(t, "Watch", "", err, "")
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		_, err = wm.Next(short)
		wantErr(t, "Next of nothing", err, context.DeadlineExceeded)
		cancel()
		want(t, "Set", "", mp.Set(ctx, "a", 1), "")
		_, err = mp.Delete(ctx, "a")
		want(t, "Delete", "", err, "")
		_, err = mp.Delete(ctx, "a") // no change
		want(t, "Delete", "", err, "")
		_, err = c.Do(ctx, mp.Setting("b", 2), l.Appending("x"), v.Setting("y"), n.Adding(3), e.Setting(), e.Setting())
		want(t, "Do", "", err, "")
		_, err = l.Remove(ctx, 0)
		want(t, "Remove", "", err, "")
		for _, w := range []Change[string, int]{{Key: "a", Value: 1}, {Key: "a", Deleted: true}, {Key: "b", Value: 2}} {
			ch, err := wm.Next(ctx)
			want(t, "map", ch, err, w)
		}
		for _, w := range []ListChange[string]{{Value: "x", Inserted: true}, {Removed: true}} {
			ch, err := wl.Next(ctx)
			want(t, "list", ch, err, w)
		}
		s, err := wv.Next(ctx)
		want(t, "value", s, err, "y")
		i, err := wn.Next(ctx)
		want(t, "counter", i, err, 3)
		b, err := we.Next(ctx)
		want(t, "event", b, err, true)
		_, err = c.Remove(ctx, "m")
		wantErr(t, "Remove of what is watched", err, ErrInUse)
		want(t, "Close", "", wm.Close(ctx), "")
		_, err = wm.Next(ctx)
		wantErr(t, "Next after Close", err, net.ErrClosed)
		ok, err := c.Remove(ctx, "m")
		want(t, "Remove", ok, err, true)
		// The end of the manager is the end of all watches.
		m.Close()
		_, err = wl.Next(ctx)
		wantErr(t, "Next after the manager's end", err, ErrGone)
	})
}

// TestWatchLost: one who does not look loses events, is told how many, and sees what comes later.
func TestWatchLost(t *testing.T) {
	m := manage(t, ManagerOptions{})
	ctx := limited(t)
	a, b := client(t, ctx, m), client(t, ctx, m)
	w, err := OpenCounter(a, "n").Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := OpenCounter(b, "n")
	const extra = 100
	for range MaxPendingEvents + extra {
		if _, err := n.Add(ctx, 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := OpenCounter(a, "n").Get(ctx); err != nil { // whoever waits for a reply reads all that comes before it
		t.Fatal(err)
	}
	for i := range MaxPendingEvents {
		v, err := w.Next(ctx)
		want(t, "Next", v, err, int64(i+1))
	}
	_, err = w.Next(ctx)
	wantErr(t, "Next", err, ErrLost)
	for { // those that were lost on the way to the client while it was told may be told apart
		if _, err := OpenCounter(a, "n").Get(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Add(ctx, 1000); err != nil {
			t.Fatal(err)
		}
		v, err := w.Next(ctx)
		if errors.Is(err, ErrLost) {
			continue
		}
		want(t, "Next after what was lost", v > MaxPendingEvents+extra, err, true)
		return
	}
}

func TestWatchNamespace(t *testing.T) {
	eachClient(t, func(t *testing.T, ctx context.Context, m *Manager, c *Client) {
		ns := OpenNamespace(c, "ns")
		a := AttributeOf[point](ns, "a")
		w, err := ns.Watch(ctx)
		want(t, "Watch", nil, err, error(nil))
		want(t, "Set", nil, a.Set(ctx, point{1, 2, "p"}), error(nil))
		ch, err := w.Next(ctx)
		want(t, "the change's name", ch.Key, err, "a")
		v, err := decode[point](ch.Value)
		want(t, "the change's value", v, err, point{1, 2, "p"})
		_, err = a.Delete(ctx)
		want(t, "Delete", nil, err, error(nil))
		ch, err = w.Next(ctx)
		want(t, "the deletion", ch.Deleted, err, true)
		want(t, "Close", nil, w.Close(ctx), error(nil))
	})
}
