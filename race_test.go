//go:build race

package plexor_test

const raceEnabled = true
