//go:build !linux

package loop

import "time"

// A starvation is how long the loop's thread could have run and had no processor: this system does not tell.
type starvation struct{}

func (*starvation) look(int64, time.Duration) (most, ran time.Duration) { return 0, -1 }
