//go:build !unix

package coro

// DumpOnQuit does nothing here: there is no SIGQUIT. See [Dump].
func DumpOnQuit() (stop func()) { return func() {} }
