//go:build !race

package wire

// raceEnabled: the race detector is built in.
const raceEnabled = false
