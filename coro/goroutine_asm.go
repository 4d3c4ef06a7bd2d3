//go:build amd64 || arm64 || 386

package coro

// goroutine identifies the calling goroutine while it lives: the address of its runtime.g.
func goroutine() uintptr
