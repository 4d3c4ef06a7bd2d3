package loop

import "testing"

// TestEndedIsNotHeld: nothing holds a loop whose goroutine is not there. One that had got no processor for a second,
// and ended between two looks of Close, was given up as held: its thread, which had waited for one, was gone.
func TestEndedIsNotHeld(t *testing.T) {
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := patience{loop: l, ask: patienceLooks} // it does not run, as it does not any more
	for range 3 * patienceLooks {
		if p.over() {
			t.Fatalf("after %d looks it is taken for held", p.looks)
		}
	}
	p.looks = starvedLooks - 1
	p.ask = starvedLooks
	if !p.over() {
		t.Error("there is no end to the patience")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
