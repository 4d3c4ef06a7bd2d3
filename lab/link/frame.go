package link

import "time"

// A Frame is one on its way: an Ethernet frame, without its check sequence.
type Frame struct {
	Bytes []byte

	pool  *Pool
	since time.Duration // when it came into the queue, or when it arrives: of the line that has it
}

// maxFree is how many frames a pool keeps that nobody uses: 1.5 MiB of full ones.
const maxFree = 1024

// A Pool has the frames that nobody uses. Its zero value is empty. It is for one goroutine at a time.
type Pool struct{ free []*Frame }

// Copy is a frame with these bytes.
func (p *Pool) Copy(b []byte) *Frame {
	var f *Frame
	if n := len(p.free); n > 0 {
		f = p.free[n-1]
		p.free = p.free[:n-1]
	} else {
		f = &Frame{pool: p}
	}
	f.Bytes = append(f.Bytes[:0], b...)
	return f
}

// Free gives the frame back to its pool. Nobody may use it any more.
func (f *Frame) Free() {
	if f.pool != nil && len(f.pool.free) < maxFree {
		f.pool.free = append(f.pool.free, f)
	}
}

// A fifo is frames in the order in which they came.
type fifo struct {
	list []*Frame
	from int
}

func (q *fifo) len() int { return len(q.list) - q.from }

func (q *fifo) first() *Frame { return q.list[q.from] }

func (q *fifo) push(f *Frame) {
	if q.from > 32 && q.from > len(q.list)/2 {
		n := copy(q.list, q.list[q.from:])
		clear(q.list[n:])
		q.list, q.from = q.list[:n], 0
	}
	q.list = append(q.list, f)
}

func (q *fifo) pop() *Frame {
	f := q.list[q.from]
	q.list[q.from] = nil
	if q.from++; q.from == len(q.list) {
		q.list, q.from = q.list[:0], 0
	}
	return f
}
