package tcp

import (
	"math"
	"time"
)

// A congestion says how much may be in flight: Reno (RFC 5681) or CUBIC (RFC 9438). All windows are bytes.
type congestion struct {
	window    int // cwnd
	threshold int // ssthresh
	cubic     bool
	acked     int // bytes since the window last grew, in Reno's avoidance

	// CUBIC's, in segments and seconds as in RFC 9438, section 4.2.
	max   float64 // W_max
	prior float64 // cwnd_prior: what the window was at the last loss
	k     float64 // the time that it takes to get back to max
	epoch time.Duration
	est   float64 // W_est: what Reno would have
	began bool
}

// CUBIC's constants (RFC 9438, sections 4.1 and 4.6).
const (
	cubicC    = 0.4
	cubicBeta = 0.7
)

// initialWindow is RFC 6928's ten segments.
func initialWindow(mss int) int { return min(10*mss, max(2*mss, 14600)) }

func newCongestion(mss int, cubic bool) congestion {
	return congestion{window: initialWindow(mss), threshold: math.MaxInt32, cubic: cubic}
}

// grew takes n bytes that were acknowledged while no recovery was going on and the window was in use.
func (g *congestion) grew(now time.Duration, n, mss int, smooth time.Duration) {
	if g.window < g.threshold {
		// Slow start, RFC 5681 (2), by all that is acknowledged, as Linux has it: RFC 3465's limit of two segments is of a
		// time when one acknowledgment was for two. Receivers take many segments at once now.
		rise := min(n, g.threshold-g.window)
		g.window += rise
		if n -= rise; n == 0 {
			return
		}
	}
	if g.cubic {
		g.cubicGrew(now, n, mss, smooth)
		return
	}
	if g.acked += n; g.acked >= g.window {
		g.acked -= g.window
		g.window += mss
	}
}

func (g *congestion) cubicGrew(now time.Duration, n, mss int, smooth time.Duration) {
	w := float64(g.window) / float64(mss)
	if !g.began {
		g.began, g.epoch, g.est = true, now, w
		if w >= g.max {
			g.max, g.k = w, 0
		} else {
			g.k = math.Cbrt((g.max - w) / cubicC)
		}
	}
	alpha := 3 * (1 - cubicBeta) / (1 + cubicBeta)
	if g.est >= g.prior {
		alpha = 1
	}
	acked := float64(n) / float64(mss)
	g.est += alpha * acked / w
	t := (now - g.epoch + smooth).Seconds() - g.k
	target := min(max(cubicC*t*t*t+g.max, w), 1.5*w)
	if g.est > target {
		w = g.est
	} else {
		w += (target - w) / w * acked
	}
	g.window = int(w * float64(mss))
}

// lost takes the first loss of a window of data: flight bytes were not acknowledged. Where they are more than the
// window, as one segment was lost again and again while others behind it came through, the window is what counts.
func (g *congestion) lost(flight, mss int) {
	flight = min(flight, g.window)
	if g.cubic {
		w := float64(g.window) / float64(mss)
		g.prior = w
		if w < g.max { // fast convergence, RFC 9438, section 4.7
			g.max = w * (1 + cubicBeta) / 2
		} else {
			g.max = w
		}
		g.began = false
		g.threshold = max(int(float64(flight)*cubicBeta), 2*mss)
	} else {
		g.threshold = max(flight/2, 2*mss) // RFC 5681 (4)
	}
	g.window, g.acked = g.threshold, 0
}

// idled takes a pause of longer than the timeout: what was learnt of the path is old (RFC 5681, section 4.1).
func (g *congestion) idled(mss int) { g.window, g.began = min(g.window, initialWindow(mss)), false }
