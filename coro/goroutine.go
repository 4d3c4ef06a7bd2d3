package coro

import (
	"bytes"
	"runtime"
	"strconv"
)

// Who is calling? A coroutine may only be parked by itself: a switch from any other goroutine would leave two
// halves of the loop running at once, or end the process (see package iter's Pull and runtime's coroswitch), and no
// recover helps. So every wait first compares the calling goroutine with the one that it is about to park. That has
// to be as cheap as the switch itself is, hence not the number that the runtime prints in stacks, which takes more
// than a microsecond to get, but the address of the runtime's own record of the goroutine. It is taken as a number,
// is never followed, and is unique among the goroutines that live. Where there is no assembly for it
// (goroutine_other.go) the number does.

// goroutineNumber is the number of the calling goroutine, as the runtime prints it in stacks.
func goroutineNumber() int64 {
	var buf [64]byte
	return parseGoroutineNumber(buf[:runtime.Stack(buf[:], false)])
}

// parseGoroutineNumber reads the number off a stack's first line, "goroutine 7 [running]:"; 0 if there is none.
func parseGoroutineNumber(stack []byte) int64 {
	rest, ok := bytes.CutPrefix(stack, []byte("goroutine "))
	if !ok {
		return 0
	}
	number, _, _ := bytes.Cut(rest, []byte(" "))
	n, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
