//go:build !race

package frame

// raced: see race_test.go.
const raced = false
