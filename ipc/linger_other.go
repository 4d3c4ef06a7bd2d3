//go:build !linux

package ipc

// prepare does nothing: RecvWait does not wait on this system.
func prepare(uintptr) error { return nil }
