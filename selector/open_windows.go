package selector

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

var makers = []maker{{"select", newWinsock}}

// errDead is what a socket that was found closed is refused with.
var errDead = os.NewSyscallError("it was closed before it was unregistered", windows.WSAENOTSOCK)

// gone says whether err is Winsock's way to say that a handle is not what was registered.
func gone(err error) bool { return errors.Is(err, windows.WSAENOTSOCK) }

// somethingReady gives a socket that is ready, for what, and how to give it back: a datagram socket has
// room for one.
func somethingReady() (fd int, events Events, done func(), err error) {
	if err := startup(); err != nil {
		return 0, 0, nil, err
	}
	w, err := newWaker()
	if err != nil {
		return 0, 0, nil, err
	}
	return int(w.socket), Write, w.close, nil
}
