package frame

import (
	"math/bits"
	"sync"
)

// minBuffer is the smallest buffer made, in bytes: most messages that are split over two pieces fit, and it is
// not worth keeping smaller ones apart.
const minBuffer = 512

// largestClass bounds what the pools keep: buffers up to 1<<(largestClass+1) - 1 bytes, just under 32 MiB.
// Larger ones are left to the garbage collector.
const largestClass = 24

// A buffer is a pooled byte slice; the struct exists so that putting one back allocates nothing.
type buffer struct {
	b     []byte
	state State   // of a Resumer, for the frame that is gathered
	prev  *buffer // goes back together with this one, or earlier: see Decoder.keep
}

// pools[k] holds buffers whose capacity is at least 1<<k and less than 1<<(k+1).
var pools [largestClass + 1]sync.Pool

// getBuffer returns an empty buffer with room for n bytes. Its capacity is n rounded up to a power of two, but
// not more than limit; n may exceed limit, then it is n. It is never less than minBuffer.
func getBuffer(n, limit int) *buffer {
	size := max(n, minBuffer)
	if up := 1 << bits.Len(uint(size-1)); up > 0 && up <= limit {
		size = up
	} else if limit > size {
		size = limit
	}
	if k := class(size); k <= largestClass {
		// Sizes that are no power of two stem from limits. A program has few of those, so a buffer of
		// another size is rare here, and dropping it is cheaper than looking further.
		if b, _ := pools[k].Get().(*buffer); b != nil && cap(b.b) == size {
			return b
		}
	}
	return &buffer{b: make([]byte, 0, size)}
}

// putBuffer gives b back. Neither b nor a view of it may be used any more.
func putBuffer(b *buffer) {
	if b.prev != nil {
		putBuffer(b.prev)
		b.prev = nil
	}
	if k := class(cap(b.b)); k <= largestClass {
		b.b, b.state = b.b[:0], State{}
		pools[k].Put(b)
	}
}

// class is the index of the pool for buffers of capacity n, n > 0.
func class(n int) int { return bits.Len(uint(n)) - 1 }
