package loop

import "testing"

// Vain spins use up what others have earned, and then one of many is made, so that a loop whose peers are slow sleeps.
func TestSpins(t *testing.T) {
	var s spins
	tries := func(n int, worth bool) (made int) {
		for range n {
			if s.try() {
				made++
				s.note(worth)
			}
		}
		return made
	}
	if n := tries(100, true); n != 100 {
		t.Errorf("%d of 100 spins that were worth it were made: want all", n)
	}
	if n := tries(mostSpins, false); n != mostSpins {
		t.Errorf("%d vain spins were made after that: want %d", n, mostSpins)
	}
	if n, most := tries(100*spinAgain, false), 101; n > most || n < 90 {
		t.Errorf("%d of %d vain spins were made then: want about one of %d", n, 100*spinAgain, spinAgain)
	}
	for n := 0; !s.try(); n++ {
		if n > spinAgain {
			t.Fatal("it is not tried again")
		}
	}
	s.note(true)
	if !s.try() {
		t.Error("one that was worth it is followed by none")
	}
}
