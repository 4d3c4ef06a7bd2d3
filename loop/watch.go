package loop

import (
	"fmt"

	"github.com/plexor-go/plexor/selector"
	"github.com/plexor-go/plexor/sock"
)

// A Watch tells when a socket can be read or written, and leaves both to its owner: for what is no connection of the
// loop's, since others use it as well, through descriptors of their own. All methods are for the loop's goroutine.
//
// A drain of the loop does not wait for it, and does not end it.
type Watch struct {
	loop    *Loop
	handler WatchHandler
	sock    sock.Socket
	slot    uint32 // the driver's
	want    selector.Events
	armed   uint8 // the driver's
	ended   bool
}

// A WatchHandler is told what happens to a Watch, on its loop, one call at a time.
type WatchHandler interface {
	// Ready: a call of the system would not block now, in any of these ways, each of which was asked for by Await and is
	// not any more. A hang-up or an error is ready in all ways. As with every multiplexer it is a hint: somebody
	// else may have been faster, so the call must be one that does not block.
	Ready(w *Watch, e selector.Events)
	// Closed: it is over, with the error that ended it, or nil after Close. It is the last call.
	Closed(w *Watch, err error)
}

// Watch takes over s, a connected or listening socket that nothing else of this loop is using: the Watch closes it at
// its end, as the loop does when that ends. For a socket that is somebody else's, give a duplicate ([sock.Socket.Dup]).
// With an error s is closed as well; on a [Network], whose loops wait for no descriptors, it is errors.ErrUnsupported.
func (l *Loop) Watch(s sock.Socket, h WatchHandler) (*Watch, error) {
	w := &Watch{loop: l, handler: h, sock: s}
	var err error
	switch {
	case h == nil:
		err = errNoHandler
	case l.closing.Load():
		err = ErrClosed
	case l.sys.network() != nil:
		err = errNoDescriptor
	default:
		err = l.driver.addWatch(w)
	}
	if err != nil {
		_ = s.Close() // err is the one to tell
		return nil, fmt.Errorf("loop: watch: %w", err)
	}
	if l.watches == nil {
		l.watches = make(map[*Watch]struct{})
	}
	l.watches[w] = struct{}{}
	return w, nil
}

// Await asks for one call of Ready as soon as the socket is ready in any of these ways, besides those that were asked
// for before. It never calls Ready itself. After the end it does nothing.
func (w *Watch) Await(e selector.Events) {
	if !w.ended {
		w.want |= e
		w.loop.driver.updateWatch(w)
	}
}

// Loop is the loop that the Watch belongs to.
func (w *Watch) Loop() *Loop { return w.loop }

// Close ends the Watch and closes its socket. Closed is called at the end of the turn.
func (w *Watch) Close() error {
	if w.ended {
		return ErrClosed
	}
	w.end(nil)
	return nil
}

// ready is the driver's word that the socket is ready.
func (w *Watch) ready(e selector.Events) {
	if e &= w.want; e != 0 {
		w.want &^= e
		w.handler.Ready(w, e)
	}
}

func (w *Watch) end(err error) {
	if w.ended {
		return
	}
	w.ended, w.want = true, 0
	w.loop.driver.releaseWatch(w)
	delete(w.loop.watches, w)
	w.loop.starved.fed()
	w.loop.Soon(func() { w.handler.Closed(w, err) })
}
