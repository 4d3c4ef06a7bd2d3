package nats

import (
	"testing"

	"github.com/plexor-go/plexor/mq"
)

// TestNoAnswer: an answer that does not come is not waited for by a Publish whose context has no end, and the job is
// perhaps stored.
func TestNoAnswer(t *testing.T) {
	a := newAcks()
	f := flight{a: a, token: "1", c: make(chan answer, 1)}
	a.waiting[f.token] = f.c
	over := make(chan struct{})
	close(over)
	if v := f.wait(t.Context(), over); v.err != errNoAnswer || v.stored != mq.PerhapsStored {
		t.Errorf("%v, %v; want %v, perhaps stored", v.err, v.stored, errNoAnswer)
	}
	if len(a.waiting) != 0 {
		t.Errorf("%d still wait", len(a.waiting))
	}
}
