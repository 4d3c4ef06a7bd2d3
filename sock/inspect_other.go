//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package sock

import "errors"

func sysInspect(Socket) (Kind, error) {
	return Kind{}, &Error{Op: "look at a descriptor", Err: errors.ErrUnsupported}
}
