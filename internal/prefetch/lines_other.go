//go:build !amd64 && !arm64

package prefetch

// Lines does nothing here.
func Lines(at uintptr, n int) {}
