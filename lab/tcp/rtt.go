package tcp

import "time"

// The bounds of the retransmission timeout. RFC 6298 wants at least a second (2.4), as clocks were coarse and delayed
// acknowledgments took 200 ms; Linux takes 200 ms, and so is this, with the timer of the delayed acknowledgment (40 ms)
// well below. The first, before there is a measurement, is the RFC's second (2.1).
const (
	minRTO     = 200 * time.Millisecond
	maxRTO     = 120 * time.Second // RFC 6298 (2.5): at least 60 s
	initialRTO = time.Second
)

// rtt estimates the round-trip time, and from it the retransmission timeout (RFC 6298, section 2).
type rtt struct {
	smooth, vary time.Duration
	min          time.Duration // the least that was ever measured: RACK's reordering window comes from it
	timeout      time.Duration // without backoff
}

// measured takes a round trip. Of a segment that was sent twice, there is none to take (Karn's algorithm, MUST-18),
// unless a timestamp tells which was acknowledged.
func (r *rtt) measured(d time.Duration) {
	if d < 0 {
		return
	}
	if r.smooth == 0 {
		r.smooth, r.vary, r.min = max(d, 1), d/2, d
	} else {
		r.vary = (3*r.vary + (r.smooth - d).Abs()) / 4
		r.smooth = max((7*r.smooth+d)/8, 1)
		r.min = min(r.min, d)
	}
	// (2.3) with G, the clock's granularity, 1 ns: K*RTTVAR alone. Linux bounds this part from below and not the sum,
	// so that a path without any variation does not time out at each delayed acknowledgment; so does this.
	r.timeout = min(r.smooth+max(4*r.vary, minRTO), maxRTO)
}

// after is the timeout after so many in a row (5.5): doubled each time, up to maxRTO.
func (r *rtt) after(backoff int) time.Duration {
	d := r.timeout
	if d == 0 {
		d = initialRTO
	}
	for range min(backoff, 16) {
		if d *= 2; d >= maxRTO {
			return maxRTO
		}
	}
	return d
}
