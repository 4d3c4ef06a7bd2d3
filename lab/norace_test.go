//go:build !race

package lab_test

// raceEnabled: the race detector is built in.
const raceEnabled = false
