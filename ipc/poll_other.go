//go:build !unix

package ipc

// pollIn waits up to a millisecond until there is something to receive, where the system can; here it does not wait.
func pollIn(uintptr) {}
