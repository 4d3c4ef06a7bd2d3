//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"testing"

	"github.com/plexor-go/plexor/loop"
)

// What was given to OnEnd runs once, on the loop, after its connections were reset; what it gives to Soon still runs.
func TestOnEnd(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		l, err := loop.New(placed(t, loop.Options{Driver: driver}))
		if err != nil {
			t.Fatal(err)
		}
		var ran []string
		if err := l.OnEnd(func() {
			ran = append(ran, "end")
			l.Soon(func() { ran = append(ran, "soon") })
			if err := l.OnEnd(func() { ran = append(ran, "never") }); !errors.Is(err, loop.ErrClosed) {
				t.Errorf("OnEnd while the loop ends: %v, want ErrClosed", err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if err := l.Post(func() { _ = l.Close() }); err != nil {
			t.Fatal(err)
		}
		if err := l.Run(); err != nil {
			t.Fatal(err)
		}
		if len(ran) != 2 || ran[0] != "end" || ran[1] != "soon" {
			t.Errorf("%q ran, want end and soon", ran)
		}
	})
}
