package ipc

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/frame"
)

// TestSemaphoreOverflow: shares that overflow in a sum are not free.
func TestSemaphoreOverflow(t *testing.T) {
	ctx := limited(t)
	c := client(t, ctx, manage(t, ManagerOptions{}))
	for i, units := range []int{math.MaxInt/2 + 1, math.MaxInt} {
		x := OpenSemaphore(c, fmt.Sprint("s", i), units)
		_, ok, err := x.TryAcquire(ctx, units)
		want(t, "all units", ok, err, true)
		for _, n := range []int{1, units} {
			_, ok, err = x.TryAcquire(ctx, n)
			want(t, "more than all units", ok, err, false)
		}
	}
}

// TestWaitsAreCounted: calls that wait count against MaxMemory, and keep nothing that they don't need: neither their
// own copy of the name, nor arguments that a lock has no use for.
func TestWaitsAreCounted(t *testing.T) {
	ctx := limited(t)
	m := manage(t, ManagerOptions{MaxMemory: 64 << 10, MaxMessage: 32 << 10, MaxWaits: 1 << 20, MaxHolds: 1 << 20})
	held, other := client(t, ctx, m), client(t, ctx, m)
	name := strings.Repeat("n", 20<<10)
	if _, err := OpenLock(held, name).Lock(ctx); err != nil {
		t.Fatal(err)
	}
	// Sent without waiting for their replies: 1,000 would have kept 30 MiB.
	s := step{op: opLock, name: name, a: make([]byte, 10<<10), b: make([]byte, 100)}
	for id := range uint64(1000) {
		msg := s.append(append(binary.AppendUvarint(nil, 1<<20+id), kindCall))
		framed, err := managerCodec(1<<20).Append(nil, msg)
		if err == nil {
			err = other.s.send(ctx, "", framed, nil, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := OpenLock(other, name).Lock(ctx)
	wantErr(t, "a call that waits beyond MaxMemory", err, ErrLimit)
	if n := m.waiting.Load(); n < 500 || n > (64<<10)/overhead {
		t.Errorf("%d calls wait: want as many as fit with 64 bytes each", n)
	}
	other.Close()
	for m.waiting.Load() > 0 && ctx.Err() == nil {
		if _, err := OpenCounter(held, "c").Get(ctx); err != nil { // a turn of the manager's
			t.Fatal(err)
		}
	}
	want(t, "Set when those that waited are gone", "",
		OpenMap[string, string](held, "m").Set(ctx, "k", strings.Repeat("x", 20<<10)), "")
}

// TestHoldsAreBounded: read locks and shares of one client have a bound, which a release makes room under.
func TestHoldsAreBounded(t *testing.T) {
	ctx := limited(t)
	m := manage(t, ManagerOptions{MaxHolds: 3, MaxWatches: 1})
	c := client(t, ctx, m)
	l, x := OpenRWLock(c, "l"), OpenSemaphore(c, "s", 100)
	token, err := l.RLock(ctx)
	want(t, "RLock", "", err, "")
	_, err = l.RLock(ctx)
	want(t, "a second RLock", "", err, "")
	_, err = x.Acquire(ctx, 1)
	want(t, "Acquire", "", err, "")
	_, err = l.RLock(ctx)
	wantErr(t, "one read lock too many", err, ErrLimit)
	_, _, err = x.TryAcquire(ctx, 1)
	wantErr(t, "one share too many", err, ErrLimit)
	want(t, "Unlock", "", l.Unlock(ctx, token), "")
	_, err = l.RLock(ctx)
	want(t, "RLock after that", "", err, "")
	_, err = OpenRWLock(client(t, ctx, m), "l").RLock(ctx)
	want(t, "RLock of another client", "", err, "")
	_, err = OpenMap[string, string](c, "m").Watch(ctx)
	want(t, "Watch", "", err, "")
	_, err = OpenMap[string, string](c, "m").Watch(ctx)
	wantErr(t, "one watch too many", err, ErrLimit)
}

// TestMemoryComesBack: what clients had is counted no more when they are gone.
func TestMemoryComesBack(t *testing.T) {
	ctx := limited(t)
	m := manage(t, ManagerOptions{})
	stays := client(t, ctx, m)
	if _, err := OpenLock(stays, "l").Lock(ctx); err != nil {
		t.Fatal(err)
	}
	want(t, "Put", "", OpenSharedQueue[string](stays, "q", 1).Put(ctx, "x"), "")
	for range 5 {
		c := client(t, ctx, m)
		waits(t, m, 1, func() (int64, error) { return OpenLock(c, "l").Lock(ctx) })
		waits(t, m, 2, func() (string, error) { return "", OpenSharedQueue[string](c, "q", 1).Put(ctx, "y") })
		waits(t, m, 3, func() (int, error) { return OpenBarrier(c, "b", 2).Wait(ctx) })
		if _, err := OpenSemaphore(c, "s", 5).Acquire(ctx, 3); err != nil {
			t.Fatal(err)
		}
		c.Close()
		for m.waiting.Load() > 0 && ctx.Err() == nil {
			if _, err := OpenCounter(stays, "c").Get(ctx); err != nil { // a turn of the manager's
				t.Fatal(err)
			}
		}
	}
	stays.Close()
	if err := m.Close(); err != nil { // and now the store is nobody's
		t.Fatal(err)
	}
	left := 0
	for name, o := range m.st.objects {
		if want := overhead + len(name) + len(o.items)*(overhead+len(`"x"`)); o.kind != kindQueue && o.size != overhead+
			len(name) || o.size > want+len("x") {
			t.Errorf("the %v %q counts %d bytes", o.kind, name, o.size)
		}
		left += o.size
	}
	if left != m.st.bytes {
		t.Errorf("%d bytes are counted, the objects have %d", m.st.bytes, left)
	}
}

// TestSilentHandshakes: connections that never prove the token keep nobody out, however many.
func TestSilentHandshakes(t *testing.T) {
	ctx := limited(t)
	m := manage(t, ManagerOptions{MaxClients: 2, MaxHandshakes: 4, HandshakeTimeout: time.Hour})
	var silent []net.Conn
	for range 30 {
		nc, err := net.Dial("unix", m.Path())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		silent = append(silent, nc)
		if in, err := frame.NewReader(nc, managerCodec(maxHello)); err != nil {
			t.Fatal(err)
		} else if _, err := in.Next(); err != nil { // the manager has greeted: it has its place
			t.Fatal(err)
		}
	}
	c := client(t, ctx, m)
	_, err := OpenCounter(c, "n").Add(ctx, 1)
	want(t, "a client behind 30 silent connections", "", err, "")
	if n, err := io.Copy(io.Discard, silent[0]); n > 0 {
		t.Errorf("the oldest silent connection was told something: %d bytes, %v", n, err)
	}
}
