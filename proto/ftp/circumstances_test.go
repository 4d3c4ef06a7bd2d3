package ftp

import "testing"

// TestManyErrors has limits above 255, which are not without end.
func TestManyErrors(t *testing.T) {
	r := newRig(t, &Server{Limits: Limits{Errors: 300, Tries: 300}})
	c := r.talk()
	for range 299 {
		c.do("FOO", 500)
	}
	c.do("FOO", 421)
	c.ended()
	c = r.talk()
	for range 299 {
		c.do("USER joe", 331)
		c.do("PASS wrong", 530)
	}
	c.do("USER joe", 331)
	c.do("PASS wrong", 421)
	c.ended()
}
