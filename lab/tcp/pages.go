package tcp

// pageSize is how many bytes a page holds: what one byte out of order costs at most.
const pageSize = 4096

type page [pageSize]byte

// maxFreePages is how many pages a pool keeps that nobody uses: 1 MiB.
const maxFreePages = 256

// maxFreeLists is how many lists of pages a pool keeps that nobody uses, and mostListed how many pages one of them has
// room for.
const maxFreeLists, mostListed = 64, 64

// A pool has the pages that no buffer uses. It belongs to a stack.
type pool struct {
	free  []*page
	lists [][]*page // empty ones
	used  int
}

func (p *pool) get() *page {
	p.used++
	if n := len(p.free); n > 0 {
		got := p.free[n-1]
		p.free = p.free[:n-1]
		return got
	}
	return new(page)
}

func (p *pool) put(g *page) {
	p.used--
	if len(p.free) < maxFreePages {
		p.free = append(p.free, g)
	}
}

// pages are bytes at places counted from a beginning that moves: a queue with holes. A page that nobody has written to
// is not there.
type pages struct {
	list  []*page
	start int // of the beginning in the first page
}

// write puts b at place off.
func (g *pages) write(p *pool, off int, b []byte) {
	if n := len(p.lists); g.list == nil && n > 0 {
		g.list, p.lists = p.lists[n-1], p.lists[:n-1]
	}
	for off += g.start; len(b) > 0; {
		i := off / pageSize
		for i >= len(g.list) {
			g.list = append(g.list, nil)
		}
		if g.list[i] == nil {
			g.list[i] = p.get()
		}
		n := copy(g.list[i][off%pageSize:], b)
		off, b = off+n, b[n:]
	}
}

// read copies what is at place off. All of it has been written.
func (g *pages) read(off int, b []byte) {
	for off += g.start; len(b) > 0; {
		n := copy(b, g.list[off/pageSize][off%pageSize:])
		off, b = off+n, b[n:]
	}
}

// discard moves the beginning by n bytes, and gives pages back that lie before it.
func (g *pages) discard(p *pool, n int) {
	g.start += n
	whole := min(g.start/pageSize, len(g.list))
	for i, old := range g.list[:whole] {
		if old != nil {
			p.put(old)
		}
		g.list[i] = nil
	}
	if whole == len(g.list) {
		g.list = g.list[:0]
	} else if whole > 0 {
		g.list = append(g.list[:0], g.list[whole:]...)
	}
	g.start -= whole * pageSize
}

// release gives all pages back; nothing is in them any more.
func (g *pages) release(p *pool) {
	for i, old := range g.list {
		if old != nil {
			p.put(old)
		}
		g.list[i] = nil
	}
	if n := cap(g.list); n > 0 && n <= mostListed && len(p.lists) < maxFreeLists {
		p.lists = append(p.lists, g.list[:0])
	}
	*g = pages{}
}
