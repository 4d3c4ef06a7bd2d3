//go:build !linux && !darwin && !dragonfly && !freebsd && !netbsd && !openbsd && !windows

package selector

import "errors"

// No multiplexer of this system is known.
var makers []maker

var errDead = errors.ErrUnsupported

func gone(error) bool { return false }

func somethingReady() (int, Events, func(), error) { return 0, 0, nil, errors.ErrUnsupported }
