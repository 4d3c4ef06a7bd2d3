package loop

import (
	"fmt"

	"github.com/plexor-go/plexor/selector"
	"github.com/plexor-go/plexor/uring"
	"golang.org/x/sys/unix"
)

// A watch is a poll that reports once, for each way in which it is waited for.

func (d *completion) addWatch(w *Watch) error {
	s := d.slotFor(w.sock)
	s.other = &otherEnd{watch: w}
	w.slot = s.number
	return nil
}

func (d *completion) updateWatch(w *Watch) {
	s := d.slots[w.slot]
	if w.want&selector.Read != 0 && s.ops&opPollIn == 0 {
		d.submission(s, opPollIn).PollAdd(s.sock.FD(), unix.POLLIN)
	}
	if w.want&selector.Write != 0 && s.ops&opPollOut == 0 {
		d.submission(s, opPollOut).PollAdd(s.sock.FD(), unix.POLLOUT)
	}
}

// watched is the end of a poll. A hang-up and an error end both.
func (d *completion) watched(s *slot, e selector.Events, c *uring.CQE) {
	switch w, err := s.watch(), c.Errno(); {
	case w == nil: // released
	case err != 0:
		w.end(fmt.Errorf("loop: watch: %w", err))
	default:
		w.ready(e)
	}
}

func (d *completion) releaseWatch(w *Watch) { d.drop(d.slots[w.slot], false, nil) }
