//go:build darwin || freebsd

package loop_test

// littleMemory is for Linux, whose limits are known.
func littleMemory(string) int { return 1 }
