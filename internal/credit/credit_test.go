package credit

import "testing"

// Vain waits use up what others have earned, and then one of many is made, so that who waits for slow peers sleeps at
// once.
func TestCredit(t *testing.T) {
	var s Credit
	tries := func(n int, worth bool) (made int) {
		for range n {
			if s.Try() {
				made++
				s.Note(worth)
			}
		}
		return made
	}
	if n := tries(100, true); n != 100 {
		t.Errorf("%d of 100 waits that were worth it were made: want all", n)
	}
	if n := tries(Most, false); n != Most {
		t.Errorf("%d vain waits were made after that: want %d", n, Most)
	}
	if n, most := tries(100*Again, false), 101; n > most || n < 90 {
		t.Errorf("%d of %d vain waits were made then: want about one of %d", n, 100*Again, Again)
	}
	for n := 0; !s.Try(); n++ {
		if n > Again {
			t.Fatal("it is not tried again")
		}
	}
	s.Note(true)
	if !s.Try() {
		t.Error("one that was worth it is followed by none")
	}
}
