package plexor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
)

// TestOutboxOrderOfHeldLoop: while a loop is held, an Audience sends, and then something
// is put into the Outbox of a member, whose output is full: so both wait in the Outbox,
// the later one first, and leave in the order in which they were sent.
func TestOutboxOrderOfHeldLoop(t *testing.T) {
	beside(t)
	eachMessagePlace(t, func(t *testing.T, p place) {
		boxes, holds, free := make(chan *plexor.Outbox, 1), make(chan struct{}), make(chan struct{})
		b := p.serve(t, &plexor.Server{Loops: 1, Stall: -1, Limits: plexor.Limits{HighWater: 16 << 10}},
			plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
				if string(msg) == "hold" {
					close(holds)
					<-free
				} else {
					boxes <- c.Outbox()
				}
				return nil
			}))
		member, holder := b.dialMessages(), b.dialMessages()
		shake(t, holder) // before its time for that is over
		send(t, member, "member\n")
		box := receive(t, boxes, "the outbox")
		var room plexor.Audience
		if err := room.Add(box); err != nil {
			t.Fatal(err)
		}
		filler := strings.Repeat("x", 4<<10)
		filled := plexor.FillBox(box, []byte(filler+"\n"))
		for end := time.Now().Add(patience); box.Stats().Entries < 32; filled++ { // until its output is full, and stays so
			if err := box.Send([]byte(filler)); err != nil {
				t.Fatal(err)
			}
			if err := plexor.Turn(b.Server); err != nil {
				t.Fatal(err)
			}
			if time.Now().After(end) {
				t.Fatalf("after %d pieces too few wait", filled)
			}
		}
		send(t, holder, "hold\n")
		receive(t, holds, "the holder")
		for i := range 3 {
			if err := room.Send(fmt.Append(nil, "cast ", i)); err != nil {
				t.Error(err)
			}
			if err := box.Send(fmt.Append(nil, "own ", i)); err != nil {
				t.Error(err)
			}
		}
		close(free)
		for range filled {
			want(t, member, filler+"\n")
		}
		for i := range 3 {
			want(t, member, fmt.Sprintf("cast %d\nown %d\n", i, i))
		}
	})
}
