// Package credit tells whether a short wait before a long one is worth it: who waits for somebody that answers at once
// should, who waits in vain should not, and either may change.
package credit

// A Credit is what waits that met something have earned; vain ones use it up, and then only one of Again waits is
// tried. Its value is how many vain ones it lasts for; zero is as one. It is for one goroutine at a time.
type Credit int

const (
	// Most is what it grows to.
	Most = 16
	// Again is how many waits of one whose credit is used up make one try.
	Again = 64
)

// Try is asked before each wait.
func (c *Credit) Try() bool {
	if *c < 0 {
		if *c++; *c == 0 {
			*c = 1 // of the next vain one
		}
		return false
	}
	return true
}

// Note is told how it went, if it was tried.
func (c *Credit) Note(worth bool) {
	if worth {
		*c = min(*c+1, Most)
	} else if *c--; *c <= 0 {
		*c = -Again
	}
}
