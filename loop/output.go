package loop

// An output is what the kernel did not take yet: a queue of blocks. The zero value is an empty one.
type output struct {
	blocks []block
	first  int // blocks before it are sent
	size   int // bytes in all
}

// A block's buffer is from the loop's pool; buf[from:] is what it holds.
type block struct {
	buf  []byte
	from int
}

// Two sizes, so that a slow peer with a short reply pending does not cost a large block.
const (
	smallBlock = 2 << 10
	largeBlock = 32 << 10
)

// append copies p to the end.
func (o *output) append(p []byte, pool *blockPool) {
	o.size += len(p)
	for len(p) > 0 {
		if o.first == len(o.blocks) || len(o.blocks[len(o.blocks)-1].buf) == cap(o.blocks[len(o.blocks)-1].buf) {
			if len(o.blocks) == cap(o.blocks) && o.first > len(o.blocks)/2 { // a queue that never empties
				n := copy(o.blocks, o.blocks[o.first:])
				clear(o.blocks[n:])
				o.blocks, o.first = o.blocks[:n], 0
			}
			o.blocks = append(o.blocks, block{buf: pool.get(len(p))})
		}
		b := &o.blocks[len(o.blocks)-1]
		n := min(cap(b.buf)-len(b.buf), len(p))
		b.buf = append(b.buf, p[:n]...)
		p = p[n:]
	}
}

// join takes all that p holds, and leaves it empty.
func (o *output) join(p *output) {
	o.blocks = append(o.blocks, p.blocks[p.first:]...)
	o.size += p.size
	clear(p.blocks)
	p.blocks, p.first, p.size = p.blocks[:0], 0, 0
}

// views appends at most limit pieces of what is to be sent to vs.
func (o *output) views(vs [][]byte, limit int) [][]byte {
	for _, b := range o.blocks[o.first:] {
		if limit == 0 {
			break
		}
		vs = append(vs, b.buf[b.from:])
		limit--
	}
	return vs
}

// consume takes n bytes off the front.
func (o *output) consume(n int, pool *blockPool) {
	if n > o.size {
		panic("loop: more was sent than there was")
	}
	o.size -= n
	for n > 0 {
		b := &o.blocks[o.first]
		left := len(b.buf) - b.from
		if n < left {
			b.from += n
			return
		}
		n -= left
		pool.put(b.buf)
		*b = block{}
		o.first++
	}
	if o.first == len(o.blocks) {
		o.blocks, o.first = o.blocks[:0], 0
	}
}

// drop gives all blocks back.
func (o *output) drop(pool *blockPool) {
	for i := o.first; i < len(o.blocks); i++ {
		pool.put(o.blocks[i].buf)
		o.blocks[i] = block{}
	}
	o.blocks, o.first, o.size = o.blocks[:0], 0, 0
}

// A blockPool keeps a bounded number of free blocks and queues; the rest is the collector's.
type blockPool struct {
	small, large [][]byte
	queues       []*output
}

const (
	keepSmall  = 256 // 512 KiB
	keepLarge  = 32  // 1 MiB
	keepQueues = 256
)

// get returns an empty block for n bytes; a small one if they fit.
func (p *blockPool) get(n int) []byte {
	free, size := &p.large, largeBlock
	if n <= smallBlock {
		free, size = &p.small, smallBlock
	}
	if last := len(*free) - 1; last >= 0 {
		b := (*free)[last]
		(*free)[last] = nil
		*free = (*free)[:last]
		return b
	}
	return make([]byte, 0, size)
}

func (p *blockPool) put(b []byte) {
	switch {
	case cap(b) == smallBlock && len(p.small) < keepSmall:
		p.small = append(p.small, b[:0])
	case cap(b) == largeBlock && len(p.large) < keepLarge:
		p.large = append(p.large, b[:0])
	}
}

func (p *blockPool) getQueue() *output {
	if last := len(p.queues) - 1; last >= 0 {
		q := p.queues[last]
		p.queues[last] = nil
		p.queues = p.queues[:last]
		return q
	}
	return new(output)
}

// putQueue takes an empty queue back; one that was long is not kept.
func (p *blockPool) putQueue(q *output) {
	if q.size != 0 {
		panic("loop: a queue with output was given back")
	}
	if len(p.queues) < keepQueues && cap(q.blocks) <= 64 {
		p.queues = append(p.queues, q)
	}
}
