// Package backlog is how connecting goes on by a unix socket whose backlog is full: it is tried again, at a pace, for
// nobody tells when there is room.
package backlog

import (
	"errors"
	"time"

	"github.com/plexor-go/plexor/sock"
)

// How soon it is tried again, and how long it takes at most until the next time.
const (
	first   = time.Millisecond
	longest = 64 * time.Millisecond
)

// Patience is for how long it is tried where nothing else ends the attempt: as long as Linux tries to connect by TCP.
const Patience = 127 * time.Second

// Full reports whether err is why a could not be connected to, and trying again may help: the backlog is full. Linux
// says EAGAIN (connect(2)), for unix sockets alone.
func Full(a sock.Addr, err error) bool {
	return err != nil && a.Scheme == "unix" && errors.Is(err, sock.ErrWouldBlock)
}

// A Pace is the pauses of one attempt to connect. The zero value is one that has not paused yet.
type Pace struct {
	Waited time.Duration // the sum of all pauses
	last   time.Duration
}

// Next is how long to pause now. It counts as waited.
func (p *Pace) Next() time.Duration {
	p.last = min(max(2*p.last, first), longest)
	p.Waited += p.last
	return p.last
}
