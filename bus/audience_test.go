package bus

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/plexor-go/plexor"
	codec "github.com/plexor-go/plexor/frame"
)

// An outlet is a connection that takes what it is let.
type outlet struct {
	mu   sync.Mutex
	room int // how many it takes yet; negative: it is over
	got  []string
	news chan struct{}
}

var errOver = errors.New("over")

func (o *outlet) Put(s string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.room < 0:
		return errOver
	case o.room == 0:
		return fmt.Errorf("a test's: %w", plexor.ErrOutboxFull)
	}
	o.room--
	o.got = append(o.got, s)
	offer(o.news)
	return nil
}

func (o *outlet) let(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.room = n
}

// await waits for so many events.
func (o *outlet) await(t *testing.T, n int) []string {
	t.Helper()
	ctx := within(t)
	for {
		o.mu.Lock()
		got := o.got
		o.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-o.news:
		case <-ctx.Done():
			t.Fatalf("got %d of %d: %q", len(got), n, got)
		}
	}
}

func newOutlet(room int) *outlet { return &outlet{room: room, news: make(chan struct{}, 1)} }

func text(e Event) (string, bool) {
	if e.Kind == Message {
		return string(e.Data), true
	}
	return fmt.Sprint(e.Kind, " ", e.Missed), true
}

func audience(t *testing.T, r Room) *Audience[*outlet, string] {
	t.Helper()
	a, err := NewAudience[*outlet](r, text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// TestAudience: who keeps up gets all; who does not gets the rest later, with a gap if it was too late; who has ended
// leaves.
func TestAudience(t *testing.T) {
	t.Parallel()
	r := open(t, Options{Limits: Limits{History: 20}}).Room("hall")
	a := audience(t, r)
	quick, slow, slower, over := newOutlet(1000), newOutlet(5), newOutlet(5), newOutlet(5)
	for _, o := range []*outlet{quick, slow, slower, over, quick} {
		if err := a.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	if a.Len() != 4 {
		t.Errorf("%d members", a.Len())
	}
	for i := range 15 {
		publish(t, r, fmt.Sprint(i))
		quick.await(t, i+1)
	}
	over.let(-1)
	slow.let(1000)
	if got := slow.await(t, 15); got[14] != "14" {
		t.Errorf("who was slow got %q", got)
	}
	for i := 15; i < 50; i++ {
		publish(t, r, fmt.Sprint(i))
		quick.await(t, i+1)
	}
	if got := quick.await(t, 50); got[49] != "49" || len(got) != 50 {
		t.Errorf("who is quick got %q", got)
	}
	slower.let(1000)
	if got := slower.await(t, 5+1+20); got[5] != "gap 25" || got[6] != "30" || got[25] != "49" {
		t.Errorf("who was slower got %q", got)
	}
	if a.Len() != 3 || a.Remove(over) || !a.Remove(quick) || a.Len() != 2 {
		t.Errorf("%d members", a.Len())
	}
	publish(t, r, "last")
	slow.await(t, 51)
	if got := quick.await(t, 0); len(got) != 50 {
		t.Errorf("who was removed got %q", got[50:])
	}
}

// TestAudienceComesBack: a connection that comes back gets what it missed, and then what all get.
func TestAudienceComesBack(t *testing.T) {
	t.Parallel()
	r := open(t, Options{}).Room("hall")
	a := audience(t, r)
	var at []Position
	for i := range 10 {
		at = append(at, publish(t, r, fmt.Sprint(i)))
	}
	back, late := newOutlet(1000), newOutlet(1000)
	if err := a.Add(back, at[6]); err != nil {
		t.Fatal(err)
	}
	if err := a.Add(late, Position{1, 1}); err != nil {
		t.Fatal(err)
	}
	late.await(t, 1)
	publish(t, r, "10")
	if got := back.await(t, 4); fmt.Sprint(got) != "[7 8 9 10]" {
		t.Errorf("got %q", got)
	}
	if got := late.await(t, 2); fmt.Sprint(got) != "[gap 0 10]" {
		t.Errorf("got %q", got)
	}
}

// TestOutboxes: connections of a server are an audience by their outboxes.
func TestOutboxes(t *testing.T) {
	t.Parallel()
	r := open(t, Options{}).Room("hall")
	a, err := NewAudience[*plexor.Outbox](r, func(e Event) (plexor.Prepared, bool) {
		p, err := json.Marshal(map[string]string{"at": e.Pos.String(), "text": string(e.Data)})
		return plexor.PrepareBytes(append(p, '\n')), err == nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	srv := &plexor.Server{Loops: 2}
	addr, err := srv.Open("tcp://127.0.0.1:0", plexor.Sessions[struct{}]{
		Codec:   codec.Line{},
		Open:    func(c *plexor.Conn) (struct{}, error) { return struct{}{}, a.Add(c.Outbox()) },
		Message: func(_ *plexor.Conn, _ struct{}, m []byte) error { return r.Post(append([]byte(nil), m...)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	const clients = 20
	heard := make(chan error)
	for i := range clients {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		in := bufio.NewReader(c)
		fmt.Fprintln(c, "hello", i)
		for own := false; !own; { // and so it is a member
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			var m map[string]string
			err = json.Unmarshal([]byte(line), &m)
			if own = m["text"] == fmt.Sprint("hello ", i); err != nil {
				t.Fatal(line, err)
			}
		}
		go func() {
			for {
				line, err := in.ReadString('\n')
				var m map[string]string
				if err = errors.Join(err, json.Unmarshal([]byte(line), &m)); err != nil || m["text"] == "bye" {
					heard <- err
					return
				}
			}
		}()
	}
	publish(t, r, "bye")
	for range clients {
		if err := <-heard; err != nil {
			t.Error(err)
		}
	}
}
