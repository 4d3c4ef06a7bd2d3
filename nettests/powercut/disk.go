// Package powercut has a disk that forgets, at a power failure, what was not synced: to try what programs promise of
// the files they write. The failure is the end of the program (kill -9), and of what only memory had.
//
// It is as strict as POSIX lets a file system be, and stricter than those that people have: fsync(2) of a file keeps
// its bytes and its size, and not its name; fsync of a folder keeps the names in it, and not what the files have. As
// ext4 and XFS do it, fsync of a file keeps all changes of names before it, too: SetJournal. What is lost is all that
// was not synced, or, as a disk does it, a part of it chosen at random: blocks of a file in any order, its size, names
// in the order in which they were made.
package powercut

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"
)

// block is how many bytes of a file the disk keeps or loses together.
const block = 4096

// A Disk holds files and folders as programs see them, and as they are after a power failure. Its methods are for any
// number of goroutines.
type Disk struct {
	mu    sync.Mutex
	root  *node
	names []change // of folders, not kept yet, the oldest first
	off   bool     // the power is cut
	ino   uint64
	bytes int64 // of all files, as programs see them

	journal bool          // see SetJournal
	full    int64         // bytes that all files may have; 0: any number
	slow    time.Duration // what a sync takes
}

// A node is a file, a folder, the name of a Unix socket, or a symbolic link.
type node struct {
	ino   uint64
	dir   bool
	sock  bool
	leads string // where a link does; "": it is none
	mode  uint32
	links int       // names that it has
	at    time.Time // it was changed
	now   content
	safe  content        // after a power failure
	dirty map[int64]bool // blocks of a file that a sync has to keep
}

// A content is what a file or a folder has.
type content struct {
	data     []byte
	children map[string]*node
}

// A binding gives a folder's name to a node, or, if that is nil, ends the name.
type binding struct {
	dir  *node
	name string
	to   *node
}

// A change is what is kept or lost together: a rename is two bindings.
type change []binding

// NewDisk makes a disk with an empty folder.
func NewDisk() *Disk {
	d := &Disk{}
	d.root = d.newNode(true, 0o755)
	d.root.links = 1
	return d
}

func (d *Disk) newNode(dir bool, mode uint32) *node {
	d.ino++
	n := &node{ino: d.ino, dir: dir, mode: mode & 0o7777, at: time.Now()}
	if dir {
		n.now.children, n.safe.children = map[string]*node{}, map[string]*node{}
	} else {
		n.dirty = map[int64]bool{}
	}
	return n
}

// SetJournal makes the disk less strict: fsync of a file keeps the names of all files and folders as they are.
func (d *Disk) SetJournal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.journal = true
}

// SetFull makes the disk full at so many bytes: what would be more is ENOSPC. 0 is no bound.
func (d *Disk) SetFull(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = bytes
}

// SetSlow makes each sync take as long.
func (d *Disk) SetSlow(sync time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow = sync
}

// Cut cuts the power: from now on every call fails with EIO, and nothing more is kept. Restore brings the power back.
func (d *Disk) Cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
}

// Restore is the disk as it comes back after Cut. With a nil rng all that was not synced is lost, else a part of it.
// The Disk is not to be used any more.
func (d *Disk) Restore(rng *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	if rng != nil {
		d.keep(d.names[:rng.IntN(len(d.names)+1)])
	}
	back := &Disk{}
	seen := map[*node]*node{}
	var restore func(n *node) *node
	restore = func(n *node) *node {
		if r := seen[n]; r != nil {
			r.links++
			return r
		}
		r := back.newNode(n.dir, n.mode)
		r.sock, r.leads = n.sock, n.leads
		r.links = 1
		seen[n] = r
		if !n.dir {
			r.safe.data = n.survives(rng)
			r.now.data = slices.Clone(r.safe.data)
			back.bytes += int64(len(r.now.data))
			return r
		}
		for _, name := range slices.Sorted(maps.Keys(n.safe.children)) { // in an order, for the rng
			c := restore(n.safe.children[name])
			r.now.children[name], r.safe.children[name] = c, c
		}
		return r
	}
	back.root = restore(d.root)
	return back
}

// survives is what a file has after the failure.
func (n *node) survives(rng *rand.Rand) []byte {
	if rng == nil || len(n.dirty) == 0 {
		return slices.Clone(n.safe.data)
	}
	size := len(n.safe.data)
	if rng.IntN(2) == 0 {
		size = len(n.now.data)
	}
	left := make([]byte, size)
	copy(left, n.safe.data)
	for _, i := range slices.Sorted(maps.Keys(n.dirty)) {
		if rng.IntN(2) == 0 {
			copyBlock(left, n.now.data, i)
		}
	}
	return left
}

func copyBlock(to, from []byte, i int64) {
	begin, end := min(i*block, int64(len(to))), min((i+1)*block, int64(len(to)))
	n := 0
	if begin < int64(len(from)) {
		n = copy(to[begin:end], from[begin:])
	}
	clear(to[begin+int64(n) : end])
}

// keep makes changes of names safe, in their order.
func (d *Disk) keep(changes []change) {
	for _, c := range changes {
		for _, b := range c {
			if b.to == nil {
				delete(b.dir.safe.children, b.name)
			} else {
				b.dir.safe.children[b.name] = b.to
			}
		}
	}
}

// syncFile is fsync(2) of a file, with d.mu held.
func (n *node) syncFile() {
	size := len(n.now.data)
	if len(n.safe.data) > size {
		n.safe.data = n.safe.data[:size]
	} else {
		n.safe.data = append(n.safe.data, make([]byte, size-len(n.safe.data))...)
	}
	for i := range n.dirty {
		copyBlock(n.safe.data, n.now.data, i)
	}
	clear(n.dirty)
}

// syncFolder keeps the changes that touch a folder, and those before them on which they stand: of a name that was moved
// there from another folder, what had become of it there.
func (d *Disk) syncFolder(n *node) {
	touched := map[*node]bool{n: true}
	var kept, left []change
	for _, c := range slices.Backward(d.names) {
		if !slices.ContainsFunc(c, func(b binding) bool { return touched[b.dir] }) {
			left = append(left, c)
			continue
		}
		for _, b := range c {
			touched[b.dir] = true
		}
		kept = append(kept, c)
	}
	slices.Reverse(kept)
	slices.Reverse(left)
	d.keep(kept)
	d.names = left
}

// sync is fsync(2).
func (d *Disk) sync(n *node) syscall.Errno {
	d.mu.Lock()
	wait := d.slow
	d.mu.Unlock()
	if wait > 0 {
		time.Sleep(wait) // a disk that is slow
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.off:
		return syscall.EIO
	case n.dir:
		d.syncFolder(n)
	default:
		n.syncFile()
		if d.journal {
			d.keep(d.names)
			d.names = nil
		}
	}
	return 0
}

// resize makes a file as long, with d.mu held.
func (d *Disk) resize(n *node, size int64) syscall.Errno {
	have := int64(len(n.now.data))
	if grow := size - have; d.full > 0 && grow > 0 && d.bytes+grow > d.full {
		return syscall.ENOSPC
	}
	d.bytes += size - have
	n.at = time.Now()
	if size <= have {
		clear(n.now.data[size:])
		n.now.data = n.now.data[:size]
	} else {
		n.now.data = append(n.now.data, make([]byte, size-have)...)
	}
	// All that differs from what is safe: the block in which the end lies, and those that are new.
	for i := min(size, have) / block; i*block < max(size, have); i++ {
		n.dirty[i] = true
	}
	return 0
}

// write is pwrite(2).
func (d *Disk) write(n *node, p []byte, off int64) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return syscall.EIO
	}
	if end := off + int64(len(p)); end > int64(len(n.now.data)) {
		if errno := d.resize(n, end); errno != 0 {
			return errno
		}
	}
	copy(n.now.data[off:], p)
	n.at = time.Now()
	for i := off / block; i*block < off+int64(len(p)); i++ {
		n.dirty[i] = true
	}
	return 0
}
