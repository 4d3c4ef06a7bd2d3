package uring

import (
	"fmt"
	"math/bits"
	"os"
	"slices"
	"unsafe"
)

// A Pool hands out blocks of one size, outside Go's heap, and takes them back in any order: buffers for what is to be
// sent. It belongs to one goroutine at a time.
//
// It maps 64 blocks at a time when it needs more, up to its bound, and gives out those of low chunks first, so that
// after a burst the high ones become empty and [Pool.Trim] can free them.
type Pool struct {
	block, bound int
	used         int
	chunks       []*poolChunk // by address
	room         int          // no chunk before this one has a free block
}

type poolChunk struct {
	mem  *Memory
	base uintptr
	used uint64 // a bit a block
	n    int    // blocks
}

const poolChunkBlocks = 64

// NewPool makes a pool of blocks of that many bytes, at most bound of them at a time.
func NewPool(block, bound int) (*Pool, error) {
	if block < 1 || bound < 1 || block > maxInt/poolChunkBlocks {
		return nil, &Error{Op: fmt.Sprintf("make a pool of %d × %d bytes", bound, block), Err: os.ErrInvalid,
			Hint: "both are at least 1"}
	}
	return &Pool{block: block, bound: bound}, nil
}

// Get hands out a block, with what was in it last; nil if the bound is reached or the system has no memory.
func (p *Pool) Get() []byte {
	for ; p.room < len(p.chunks); p.room++ {
		c := p.chunks[p.room]
		if i := bits.TrailingZeros64(^c.used); i < c.n {
			c.used |= 1 << i
			p.used++
			at := i * p.block
			return c.mem.data[at : at+p.block : at+p.block]
		}
	}
	if !p.grow() {
		return nil
	}
	return p.Get()
}

func (p *Pool) grow() bool {
	n := min(poolChunkBlocks, p.bound-p.blocks())
	if n <= 0 {
		return false
	}
	mem, err := Map(n * p.block)
	if err != nil {
		return false // the caller is told by the nil, and does with less
	}
	c := &poolChunk{mem: mem, base: uintptr(unsafe.Pointer(unsafe.SliceData(mem.data))), n: n}
	i, _ := slices.BinarySearchFunc(p.chunks, c.base, byBase)
	p.chunks = slices.Insert(p.chunks, i, c)
	p.room = i
	return true
}

func byBase(c *poolChunk, base uintptr) int {
	switch {
	case c.base < base:
		return -1
	case c.base > base:
		return 1
	}
	return 0
}

func (p *Pool) blocks() (n int) {
	for _, c := range p.chunks {
		n += c.n
	}
	return n
}

// Put takes a block back: the slice that Get gave, or a part of it with the same beginning. It panics on anything else,
// and on a block that has been put back already.
func (p *Pool) Put(b []byte) {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	i, found := slices.BinarySearchFunc(p.chunks, at, byBase)
	if !found {
		i--
	}
	if i < 0 || b == nil {
		panic("uring: Pool.Put of what is not the pool's")
	}
	c := p.chunks[i]
	n, off := (at-c.base)/uintptr(p.block), (at-c.base)%uintptr(p.block)
	if n >= uintptr(c.n) || off != 0 {
		panic("uring: Pool.Put of what is not a block of the pool")
	}
	if c.used>>n&1 == 0 {
		panic("uring: Pool.Put of a block that is not out")
	}
	c.used &^= 1 << n
	p.used--
	p.room = min(p.room, i)
}

// Used is how many blocks are out.
func (p *Pool) Used() int { return p.used }

// Mapped is how many bytes are mapped.
func (p *Pool) Mapped() (n int) {
	for _, c := range p.chunks {
		n += len(c.mem.data)
	}
	return n
}

// Trim unmaps the chunks of which no block is out, but keeps one.
func (p *Pool) Trim() {
	kept := false
	p.chunks = slices.DeleteFunc(p.chunks, func(c *poolChunk) bool {
		if c.used != 0 {
			return false
		}
		if !kept {
			kept = true
			return false
		}
		return c.mem.Free() == nil
	})
	p.room = 0
}

// Free unmaps all of the pool, with the blocks that are out.
func (p *Pool) Free() (err error) {
	for _, c := range p.chunks {
		if e := c.mem.Free(); e != nil {
			err = e
		}
	}
	p.chunks, p.used, p.room = nil, 0, 0
	return err
}
