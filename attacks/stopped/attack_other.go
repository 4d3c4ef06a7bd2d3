//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package main

import (
	"time"

	"github.com/plexor-go/plexor/proc"
)

func register() {}

func beMaster() bool { return false }

func attack(string, int, time.Duration) (time.Duration, error) { return 0, proc.ErrUnavailable }
