//go:build amd64 || arm64

package prefetch

// Lines is Bytes for n lines of a cache from the one at an address that may be none by now; at least one.
func Lines(at uintptr, n int)
