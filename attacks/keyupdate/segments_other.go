//go:build !unix

package main

import "syscall"

// smallSegments is for systems whose loopback needs it.
func smallSegments(_, _ string, _ syscall.RawConn) error { return nil }
