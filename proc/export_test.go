//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"sync"
	"time"
)

// TurnTicketsBy has this process's master turn the keys of session tickets over by the function that is returned, and
// by no clock. It reports whether the turning was this master's matter.
func TurnTicketsBy() func() bool {
	var mu sync.Mutex
	var turn func()
	turnAfter = func(_ time.Duration, f func()) *time.Timer {
		mu.Lock()
		defer mu.Unlock()
		turn = f
		return time.AfterFunc(time.Hour, func() {})
	}
	return func() bool {
		mu.Lock()
		f := turn
		turn = nil
		mu.Unlock()
		if f != nil {
			f()
		}
		return f != nil
	}
}
