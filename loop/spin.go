package loop

import (
	"runtime"
	"time"
)

// wait is the driver's, after spinning for as long as Options.Spin says.
func (l *Loop) wait(timeout time.Duration) error {
	if l.opt.Spin <= 0 || timeout == 0 || runtime.GOMAXPROCS(0) == 1 || !l.spins.Try() {
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
			l.spins.Note(true)
			return nil
		}
		if time.Since(start) >= spin {
			break
		}
	}
	l.spins.Note(false)
	return l.driver.wait(timeout)
}
