//go:build unix

package coro

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// DumpOnQuit makes SIGQUIT print all coroutines (see [Dump]) to standard error before it does what it does without:
// the runtime prints all goroutines, and the process ends with status 2. stop takes it back. Where there is no
// SIGQUIT it does nothing.
func DumpOnQuit() (stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGQUIT)
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-quit:
			return
		case <-c:
		}
		_ = Dump(os.Stderr) // there is nowhere to report it to
		signal.Reset(syscall.SIGQUIT)
		_ = syscall.Kill(os.Getpid(), syscall.SIGQUIT) // to oneself it can't fail
	}()
	return sync.OnceFunc(func() {
		signal.Stop(c)
		close(quit)
		<-gone
	})
}
