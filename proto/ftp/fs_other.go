//go:build !unix

package ftp

// openNonblock keeps an open from waiting, where there are FIFOs in the file system.
const openNonblock = 0

// errNoSpace are the errors of a file system that is full.
var errNoSpace = [...]error{ErrNoSpace}
