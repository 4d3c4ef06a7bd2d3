//go:build linux || darwin || freebsd

package loop_test

// Mistakes that were made here once, each with the test that found it.
