//go:build linux || darwin || freebsd

package loop_test

// child plays a part in a process of its own.
func child(part string) int { return 2 }
