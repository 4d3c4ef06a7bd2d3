//go:build race

package frame

// raced says that the race detector is on: sync.Pool then drops buffers at random, so allocations mean nothing.
const raced = true
