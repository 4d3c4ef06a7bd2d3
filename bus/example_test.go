package bus_test

import (
	"context"
	"fmt"

	"github.com/plexor-go/plexor/bus"
)

// A client that comes back shows the position of the last message that it had, and gets those behind it.
func Example() {
	ctx := context.Background()
	b, err := bus.Open(bus.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	hall := b.Room("hall")
	var last bus.Position
	for i, text := range []string{"one", "two", "three"} {
		at, err := hall.Publish(ctx, []byte(text))
		if err != nil {
			fmt.Println(err)
			return
		}
		if i == 0 {
			last = at
		}
	}
	s, err := hall.Subscribe(last)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	for range 2 {
		e, err := s.Next(ctx)
		fmt.Println(e.Kind, e.Pos.Seq, string(e.Data), err)
	}
	// Output:
	// message 2 two <nil>
	// message 3 three <nil>
}
