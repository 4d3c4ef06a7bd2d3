package loop

import (
	"runtime"
	"time"
)

// spins tells whether to spin before a sleep is worth it: vain tries use up what those that met something have earned.
type spins int

const (
	mostSpins = 16 // vain tries until the next ones are left out
	spinAgain = 64 // then one of so many is made
)

// try is asked before.
func (s *spins) try() bool {
	if *s < 0 {
		if *s++; *s == 0 {
			*s = 1 // of the next vain one
		}
		return false
	}
	return true
}

// note is told how it went.
func (s *spins) note(worth bool) {
	if worth {
		*s = min(*s+1, mostSpins)
	} else if *s--; *s <= 0 {
		*s = -spinAgain
	}
}

// wait is the driver's, after spinning for as long as Options.Spin says.
func (l *Loop) wait(timeout time.Duration) error {
	if l.opt.Spin <= 0 || timeout == 0 || runtime.GOMAXPROCS(0) == 1 || !l.spins.try() {
		return l.driver.wait(timeout)
	}
	spin := l.opt.Spin
	if timeout > 0 {
		spin = min(spin, timeout)
	}
	for start := time.Now(); ; {
		if err := l.driver.wait(0); err != nil {
			return err
		}
		if l.driver.found() || !l.parked.Load() { // the wake of a post may be over by now
			l.spins.note(true)
			return nil
		}
		if time.Since(start) >= spin {
			break
		}
	}
	l.spins.note(false)
	return l.driver.wait(timeout)
}
