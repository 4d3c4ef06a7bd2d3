package mq

import (
	"math/rand/v2"
	"time"
)

// A Pause is how long after the failure of a try, numbered from 1, the next one is.
type Pause func(try int, err error) time.Duration

// Constant pauses are all the same.
func Constant(d time.Duration) Pause { return func(int, error) time.Duration { return d } }

// Exponential pauses are first after the first failure, and twice as long each time, up to most.
func Exponential(first, most time.Duration) Pause {
	return func(try int, _ error) time.Duration {
		d := first
		for range try - 1 {
			if d *= 2; d >= most || d <= 0 {
				return most
			}
		}
		return min(d, most)
	}
}

// Jitter makes pauses longer or shorter at random, by up to the share (0 to 1) of each: so that what failed at once
// does not come again at once.
func Jitter(share float64, p Pause) Pause {
	return func(try int, err error) time.Duration {
		d := p(try, err)
		return max(0, d+time.Duration(share*(2*rand.Float64()-1)*float64(d)))
	}
}
