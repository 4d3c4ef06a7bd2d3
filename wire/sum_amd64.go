package wire

import "golang.org/x/sys/cpu"

var hasAVX2 = cpu.X86.HasAVX2

// sumAVX2 is sumBlocks for processors that have AVX2: p is where the blocks begin, n how many there are, at least one.
//
//go:noescape
func sumAVX2(p *byte, n int) uint64
