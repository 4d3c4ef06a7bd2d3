package wait

import "time"

// A Pulse beats by the system's clock, also in a bubble of testing/synctest, whose time stands still as long as a
// goroutine of it waits for something outside. There a timer is of no use: one that was made in the bubble goes by its
// time, and so does the Reset of one that was not. Make it by NewPulse.
type Pulse struct {
	every time.Duration
	tick  *time.Ticker // nil in a bubble
}

// NewPulse returns one that beats every so often. It is one goroutine's, which stops it in the end.
func NewPulse(every time.Duration) *Pulse {
	p := &Pulse{every: every}
	if !Bubbled() {
		p.tick = time.NewTicker(every)
	}
	return p
}

// Stop ends the pulse.
func (p *Pulse) Stop() {
	if p.tick != nil {
		p.tick.Stop()
	}
}

// bubbleLook is how often Next looks in a bubble whether it is to end.
const bubbleLook = time.Millisecond

// Next waits for the next beat, and reports false if end was closed before, which may be nil.
func (p *Pulse) Next(end <-chan struct{}) bool {
	if p.tick != nil {
		select {
		case <-p.tick.C:
			return true
		case <-end:
			return false
		}
	}
	for left := p.every; left > 0; left -= bubbleLook {
		systemSleep(min(left, bubbleLook))
		select {
		case <-end:
			return false
		default:
		}
	}
	return true
}
