package plexor

import "math/bits"

// A bufferPool keeps a bounded number of free buffers of one loop, by size: powers of two from 512 bytes to 128 KiB.
// Larger ones, and those beyond the bound, are the collector's.
type bufferPool struct {
	free [bufferClasses][]*buffer
	out  int // buffers that were got and not put back
}

// A buffer holds bytes from[from:].
type buffer struct {
	b    []byte
	from int
}

const (
	smallestBuffer = 9  // log2
	largestBuffer  = 17 // likewise
	bufferClasses  = largestBuffer - smallestBuffer + 1
	keepBuffers    = 1 << 20 // bytes of each size that are kept
)

// classOf is the place of the smallest size that holds n bytes.
func classOf(n int) int {
	return max(bits.Len(uint(max(n, 1)-1)), smallestBuffer) - smallestBuffer
}

// get returns an empty buffer with room for n bytes.
func (p *bufferPool) get(n int) *buffer {
	p.out++
	k := classOf(n)
	if k >= bufferClasses {
		return &buffer{b: make([]byte, 0, n)}
	}
	if last := len(p.free[k]) - 1; last >= 0 {
		b := p.free[k][last]
		p.free[k][last] = nil
		p.free[k] = p.free[k][:last]
		return b
	}
	return &buffer{b: make([]byte, 0, 1<<(k+smallestBuffer))}
}

// put takes a buffer back, whose bytes nobody may use any more. One that grew by append finds its place too.
func (p *bufferPool) put(b *buffer) {
	p.out--
	size := cap(b.b)
	k := bits.Len(uint(size)) - 1 - smallestBuffer
	if k < 0 || k >= bufferClasses || size != 1<<(k+smallestBuffer) || len(p.free[k])*size >= keepBuffers {
		return
	}
	b.b, b.from = b.b[:0], 0
	p.free[k] = append(p.free[k], b)
}

// add appends p to b, which may be nil, and returns the buffer that holds both; b itself goes back if it was too small.
func (p *bufferPool) add(b *buffer, data []byte) *buffer {
	switch {
	case b == nil:
		b = p.get(len(data))
	case cap(b.b)-len(b.b) >= len(data):
	case cap(b.b)-len(b.b)+b.from >= len(data):
		b.b, b.from = b.b[:copy(b.b, b.b[b.from:])], 0
	default:
		old := b
		b = p.get(2 * (len(old.b) - old.from + len(data)))
		b.b = append(b.b, old.b[old.from:]...)
		p.put(old)
	}
	b.b = append(b.b, data...)
	return b
}
