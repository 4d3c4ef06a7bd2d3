package loop

import (
	"fmt"

	"github.com/plexor-go/plexor/selector"
)

// A watch stays registered for what was last waited for: who waits for the same again costs no call. It is forgotten
// when it reports what nobody wants.

// addWatch registers at once, so that a descriptor that the selector can't take is refused here.
func (d *readiness) addWatch(w *Watch) error {
	w.armed = uint8(selector.Read)
	return d.sel.Register(w.sock.FD(), selector.Read, w)
}

func (d *readiness) updateWatch(w *Watch) {
	if have := selector.Events(w.armed); w.want&^have != 0 {
		d.rearm(w, have|w.want)
	}
}

func (d *readiness) rearm(w *Watch, want selector.Events) {
	have := selector.Events(w.armed)
	if want == have {
		return
	}
	if err := d.watch(w.sock.FD(), have, want, w); err != nil {
		w.armed = 0
		w.end(fmt.Errorf("loop: watch: %w", err))
		return
	}
	w.armed = uint8(want)
}

func (d *readiness) watched(w *Watch, ready selector.Events) {
	if w.ended {
		return
	}
	if ready&^w.want != 0 {
		d.rearm(w, w.want)
	}
	w.ready(ready)
}

func (d *readiness) releaseWatch(w *Watch) {
	d.unwatch(w.sock.FD(), selector.Events(w.armed))
	_ = w.sock.Close() // the descriptor is gone whatever it says
}
