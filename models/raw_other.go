//go:build !linux

package models

import (
	"context"
	"fmt"
	"runtime"
)

// checkRaw is why blocking system calls can't be used here.
func checkRaw() error {
	return fmt.Errorf("it waits in blocking system calls, which shutdown(2) ends on Linux and not on %s", runtime.GOOS)
}

func checkProcesses() error { return checkRaw() }

func serveBlocking(context.Context, Job) error  { return checkRaw() }
func serveThreads(context.Context, Job) error   { return checkRaw() }
func serveProcesses(context.Context, Job) error { return checkRaw() }

// RunWorker turns this process into a worker of the model processes, and does not return, if a master started it as
// one; otherwise, and always on this system, it returns at once. A program that serves that model calls it first thing
// in main.
func RunWorker() {}
