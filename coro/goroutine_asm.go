//go:build amd64 || arm64 || 386

package coro

// goroutine identifies the calling goroutine while it lives: the address of its runtime.g.
func goroutine() uintptr

// prefetchSwitch has the processor bring in what a switch to a coroutine needs, all at once: of its runtime.g, at gp,
// of its stack around sp, and at the addresses in cold. It only hints: an address at which nothing is, since the
// runtime has moved the stack, does no harm.
//
//go:noescape
func prefetchSwitch(gp, sp uintptr, cold *[4]uintptr)
