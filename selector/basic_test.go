//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"testing"
	"time"
)

func TestPipe(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := newPipe(t)
		ok(t, s.Register(r, Read, "reader"))
		ok(t, s.Register(w, Write, "writer"))
		wantFound(t, s, -1, map[int]Events{w: Write})
		write(t, w, "x")
		wantFound(t, s, 0, map[int]Events{r: Read, w: Write})
		ok(t, s.Unregister(w))
		empty(t, r)
		wantFound(t, s, 10*time.Millisecond, map[int]Events{})
		go s.Wake()
		wantFound(t, s, -1, map[int]Events{})
	})
}
