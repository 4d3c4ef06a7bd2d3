package memcache

import (
	"math"
	"testing"
	"time"
)

// TestExpiration: no value goes before its time, however memcached counts.
func TestExpiration(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	const second = time.Second
	for expiry, want := range map[time.Duration]int32{
		0: 0, second: 2, second + 1: 3, month - second: 30 * 86400, month: 1_800_000_000 + 30*86400 + 1,
		347_483_646 * second: math.MaxInt32, 347_483_647 * second: 0, 100 * 365 * 24 * time.Hour: 0,
	} {
		if got := expiration(expiry, now); got != want {
			t.Errorf("%v is %d, want %d", expiry, got, want)
		}
	}
}
