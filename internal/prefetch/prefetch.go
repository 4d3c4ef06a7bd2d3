// Package prefetch has the processor bring memory into its caches before it is needed.
//
// With thousands of connections what each consists of is in no near cache, and reading it, one pointer after the other,
// is a row of waits of 15 to 100 ns each. Hints for several connections at once wait together.
package prefetch

import "unsafe"

// line is how much a cache brings in at once, in bytes, on all processors that are of interest here.
const line = 64

// Bytes hints that the first n bytes at p will be read soon. It never faults and never waits for the memory, so p may
// be nil, or point to what is gone.
func Bytes(p unsafe.Pointer, n uintptr) { Lines(uintptr(p), int((n+line-1)/line)) }
