//go:build unix

package ftp

import "syscall"

// openNonblock keeps an open from waiting: a FIFO would have it wait for its other end.
const openNonblock = syscall.O_NONBLOCK

// errNoSpace are the errors of a file system that is full, or whose quota is.
var errNoSpace = [...]error{ErrNoSpace, syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}
