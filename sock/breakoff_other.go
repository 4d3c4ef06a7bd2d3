//go:build !linux

package sock

import "errors"

func sysBreakOff(s Socket) error { return errors.Join(s.CloseRead(), s.CloseWrite()) }
