//go:build !race

package frame

// raced: see race_on_test.go.
const raced = false
