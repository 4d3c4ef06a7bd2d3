package models

import "sync/atomic"

// A Counter counts the pieces that a model has answered, in memory that processes can share: with the workers of the
// model processes, and with whoever measures. Any goroutine may call Load.
type Counter struct {
	n *atomic.Uint64
	counterMemory
}

// Load is how many there were so far.
func (c *Counter) Load() uint64 { return c.n.Load() }
