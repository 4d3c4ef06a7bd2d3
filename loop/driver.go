package loop

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/plexor-go/plexor/selector"
)

// A driver is what a loop waits on, and does its input and output. The loop keeps all policy (who may read, what
// is written when, deadlines, closing); a driver moves bytes and tells what happened. All methods but wake are
// called on the loop's goroutine.
//
// What a driver tells a loop, and in which order, whatever it waits on:
//
//	Conn.connected(err)   once for a connection that was being made
//	Conn.received(p)      bytes, in order; p is the driver's until the call returns. Never while the connection
//	                      does not want to read (Conn.wantsRead), and at most ReadBudget of them in a turn
//	Conn.receivedEOF()    the peer closed its half; all that it sent was received before
//	Conn.hungUp()         it is broken or closed, while Conn.wantsHangup
//	Conn.acked()          all that was written is acknowledged, the end too. Only virtual tells that; for the others
//	                      Close looks itself
//	Conn.sentSome()       some of Conn.out left after write had returned
//	Conn.fail(err)        the connection is broken
//	Listener.accept()     connections wait; Listener.accepted(s): one was accepted; Listener.refused(err): none
//	Watch.ready(e)        what the descriptor is ready for; what was not wanted is dropped
//	PacketHandler.Packet  a datagram; PacketConn.refused(peer, err): one did not arrive; PacketConn.end(err)
//
// A driver must drop whatever it still hears of an endpoint after release.
type driver interface {
	name() string
	// features are what the driver found here and uses, for people to read.
	features() []string

	// start is called once, by the goroutine that runs the loop, before anything else is asked for but add and its
	// kin. stop is called by the same goroutine at the end.
	start() error

	// wait returns when there is something to dispatch, wake was called, or the timeout passed: negative means
	// never, zero at once, and otherwise not earlier.
	wait(timeout time.Duration) error
	// found reports whether there is something to dispatch.
	found() bool
	// dispatch hands out what wait found.
	dispatch()
	// nextArena gives the memory for what the next turn writes, empty. The one before stays as it is until what was
	// written from it has been sent.
	nextArena() []byte
	// wake ends a wait, at once or the next one. Any goroutine may call it.
	wake() error
	// close gives back what the driver holds. Every endpoint was released before.
	close() error

	// add takes a connection in: established, or to be told when it is (c.connecting). An error leaves nothing
	// behind, and the socket open.
	add(c *Conn) error
	// update is told that what the connection wants (wantsRead, wantsWrite, wantsHangup) may have changed.
	update(c *Conn)
	// write sends the connection's output: first what c.out holds, then c's corked bytes, then extra. What it
	// can't send now moves to c.out, copied, or is on its way in memory of the driver's (c.flight). An error means
	// that the connection is broken.
	write(c *Conn, extra []byte) error
	// holds reports whether something of the connection's input, or its end, has arrived at the driver and was not
	// told yet.
	holds(c *Conn) bool
	// forget is release that leaves the socket open, for a connection that is to be lent. It reports whether that could
	// be: while something is under way, or held, it is not forgotten; the driver ends what it can, and lendSoon is called
	// when another try may succeed.
	forget(c *Conn) bool
	// release forgets the connection and closes its socket, by a reset if asked.
	release(c *Conn, reset bool)

	addListener(l *Listener) error
	// updateListener is told that l.paused may have changed.
	updateListener(l *Listener)
	// accepting reports whether a paused listener may still be given a connection; left is called when no more.
	accepting(l *Listener) bool
	releaseListener(l *Listener)

	addPacket(s *PacketConn) error
	// readPackets hands out one batch of what has arrived; it reports whether there may be more.
	readPackets(s *PacketConn) bool
	// writePacket sends what waits, and the rest when there is room.
	writePacket(s *PacketConn)
	// updatePacket is told that s.blocked may have changed: whether there is room is to be waited for.
	updatePacket(s *PacketConn)
	releasePacket(s *PacketConn)

	addWatch(w *Watch) error
	// updateWatch is told that w.want has grown. Ready is never called from within.
	updateWatch(w *Watch)
	releaseWatch(w *Watch)
}

// A DriverInfo tells whether a driver works here.
type DriverInfo struct {
	Name     string
	Err      error    // nil: it works; otherwise why it does not
	Features []string // what it found and uses, where drivers differ by that
}

// noIOUring is the environment variable with which an operator keeps io_uring from being used, whatever the program
// asks for, by setting it to anything but nothing.
const noIOUring = "PLEXOR_NO_IO_URING"

var errSwitchedOff = errors.New("switched off by the environment variable " + noIOUring)

// Drivers lists the drivers of this system, best first, each tried by doing what a loop needs of it.
func Drivers() []DriverInfo {
	ds := []DriverInfo{probeCompletion()}
	for _, a := range selector.Available() {
		ds = append(ds, DriverInfo{Name: a.Name, Err: a.Err})
	}
	return ds
}

// openDriver makes the driver of that name for a loop.
func openDriver(name string, l *Loop) (driver, error) {
	if l.sys.network() != nil {
		return newVirtual(l)
	}
	known := []string{"auto", completionName}
	for _, a := range selector.Available() {
		known = append(known, a.Name)
	}
	switch {
	case !slices.Contains(known, name):
		return nil, fmt.Errorf("loop: %w %q: there are %s", ErrUnknownDriver, name, strings.Join(known, ", "))
	case name == "auto":
		d, err := openDriver(completionName, l)
		if err == nil {
			return d, nil
		}
		s, selErr := selector.Default()
		if selErr != nil {
			return nil, fmt.Errorf("loop: no driver works here: %w; %w", err, selErr)
		}
		l.fallback = err
		return newReadiness(s, &l.opt), nil
	case name == completionName:
		if os.Getenv(noIOUring) != "" {
			return nil, fmt.Errorf("loop: driver %s: %w", name, errSwitchedOff)
		}
		d, err := newCompletion(l)
		if err != nil {
			return nil, fmt.Errorf("loop: driver %s does not work here: %w", name, err)
		}
		return d, nil
	}
	s, err := selector.Open(name)
	if err != nil {
		return nil, fmt.Errorf("loop: driver %s does not work here: %w", name, err)
	}
	return newReadiness(s, &l.opt), nil
}

const completionName = "io_uring"

// ErrUnknownDriver is a driver's name that there is not.
var ErrUnknownDriver = errors.New("unknown driver")
