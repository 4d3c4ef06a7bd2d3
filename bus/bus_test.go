package bus

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// within is a context for what must come, however slow the machine is.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func open(t testing.TB, o Options) *Bus {
	t.Helper()
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func subscribe(t testing.TB, r Room, after ...Position) *Subscription {
	t.Helper()
	s, err := r.Subscribe(after...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func next(t testing.TB, s *Subscription) Event {
	t.Helper()
	e, err := s.Next(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func publish(t testing.TB, r Room, text string) Position {
	t.Helper()
	at, err := r.Publish(within(t), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestOneProcess: without a transport a room is there at once.
func TestOneProcess(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	r := b.Room("hall")
	s := subscribe(t, r)
	for i := range 1000 {
		text := fmt.Sprint(i)
		at := publish(t, r, text)
		if e := next(t, s); e.Kind != Message || string(e.Data) != text || e.Pos != at || at.Seq != uint64(i+1) {
			t.Fatalf("%d: got %v %v %q, published at %v", i, e.Kind, e.Pos, e.Data, at)
		}
	}
	if st := b.Stats(); st.Resent > 0 || st.Rooms != 1 || st.Owned != 1 || st.Received != 1000 {
		t.Errorf("got %+v", st)
	}
}

// TestComesBack: who comes back gets what it missed, or hears of a gap.
func TestComesBack(t *testing.T) {
	t.Parallel()
	r := open(t, Options{Limits: Limits{History: 10}}).Room("hall")
	var at []Position
	for i := range 30 {
		at = append(at, publish(t, r, fmt.Sprint(i)))
	}
	for _, row := range []struct {
		name   string
		after  []Position
		gap    bool
		missed uint64
		first  string // "": nothing comes
	}{
		{"new", nil, false, 0, ""},
		{"all seen", []Position{at[29]}, false, 0, ""},
		{"five missed", []Position{at[24]}, false, 0, "25"},
		{"all that is kept", []Position{at[19]}, false, 0, "20"},
		{"one more", []Position{at[18]}, true, 1, "20"},
		{"another epoch", []Position{{1, 1}}, true, 0, ""},
		{"the newest counts", []Position{{1, 1}, at[27]}, false, 0, "28"},
		{"ahead", []Position{{at[29].Epoch, 35}}, false, 0, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := subscribe(t, r, row.after...)
			if row.gap {
				if e := next(t, s); e.Kind != Gap || e.Missed != row.missed || e.Pos != row.after[len(row.after)-1] {
					t.Errorf("got %+v, want a gap of %d", e, row.missed)
				}
			}
			s.b.mu.Lock()
			e, ok := s.c.next()
			s.b.mu.Unlock()
			if ok != (row.first != "") || string(e.Data) != row.first {
				t.Errorf("got %+v, %v, want %q", e, ok, row.first)
			}
		})
	}
}

// TestSlow: who does not read holds nobody, and hears of the gap.
func TestSlow(t *testing.T) {
	t.Parallel()
	b := open(t, Options{Limits: Limits{History: 10}})
	r := b.Room("hall")
	slow, quick := subscribe(t, r), subscribe(t, r)
	for i := range 100 {
		publish(t, r, fmt.Sprint(i))
		if e := next(t, quick); string(e.Data) != fmt.Sprint(i) {
			t.Fatalf("got %+v", e)
		}
	}
	if e := next(t, slow); e.Kind != Gap || e.Missed != 90 {
		t.Errorf("got %+v, want a gap of 90", e)
	}
	if e := next(t, slow); string(e.Data) != "90" {
		t.Errorf("got %+v", e)
	}
	if m := b.Stats().Memory; m > 2*10*(entryCost+8) {
		t.Errorf("%d bytes are kept", m)
	}
}

// TestEnds: what waits when the bus is closed fails.
func TestEnds(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	s := subscribe(t, b.Room("hall"))
	failed := make(chan error)
	go func() {
		_, err := s.Next(context.Background())
		failed <- err
	}()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, ErrClosed) {
		t.Errorf("Next: %v", err)
	}
	if _, err := b.Room("hall").Publish(within(t), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Publish: %v", err)
	}
	if _, err := b.Room("hall").Subscribe(); !errors.Is(err, ErrClosed) {
		t.Errorf("Subscribe: %v", err)
	}
}

// TestBounds: what is too long or too much is refused.
func TestBounds(t *testing.T) {
	t.Parallel()
	b := open(t, Options{Limits: Limits{Message: 100, Rooms: 2}})
	ctx := within(t)
	if _, err := b.Room("hall").Publish(ctx, make([]byte, 101)); err != ErrTooLong {
		t.Errorf("a long message: %v", err)
	}
	if _, err := b.Room(string(make([]byte, 256))).Publish(ctx, nil); err != ErrTooLong {
		t.Errorf("a long name: %v", err)
	}
	subscribe(t, b.Room("hall"))
	subscribe(t, b.Room("garden"))
	if _, err := b.Room("attic").Subscribe(); err != ErrFull {
		t.Errorf("a third room: %v", err)
	}
	for _, l := range []Limits{{Message: -1}, {Linger: -1}, {Message: 1 << 20}} {
		if _, err := Open(Options{Limits: l}); err == nil {
			t.Errorf("%+v is taken", l)
		}
	}
}

// TestPosition: a position is read as it was written.
func TestPosition(t *testing.T) {
	t.Parallel()
	for _, p := range []Position{{1, 2}, {^uint64(0), ^uint64(0)}} {
		if got, err := ParsePosition(p.String()); err != nil || got != p {
			t.Errorf("%v: got %v, %v", p, got, err)
		}
	}
	if p, err := ParsePosition(""); err != nil || p != (Position{}) {
		t.Errorf("nothing: %v, %v", p, err)
	}
	for _, s := range []string{"-", "1", "1-", "-1", "g-1", "1-2-3", "11111111111111111-1", "1-99999999999999999999"} {
		if p, err := ParsePosition(s); err == nil {
			t.Errorf("%q is %v", s, p)
		}
	}
}
