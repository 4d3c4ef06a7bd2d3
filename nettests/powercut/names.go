package powercut

import (
	"syscall"
	"time"
)

// bind gives a folder's name to a node: a new one, one that has a name already, or, for nil, to none. It is one change
// with those of then. d.mu is held.
func (d *Disk) bind(c change) {
	for _, b := range c {
		b.dir.at = time.Now()
		if old := b.dir.now.children[b.name]; old != nil {
			if old.links--; old.links == 0 && !old.dir {
				d.bytes -= int64(len(old.now.data)) // as far as there is no handle of it
			}
		}
		if b.to == nil {
			delete(b.dir.now.children, b.name)
			continue
		}
		b.to.links++
		b.dir.now.children[b.name] = b.to
	}
	d.names = append(d.names, c)
}

// add makes a file or a folder.
func (d *Disk) add(dir *node, name string, folder bool, mode uint32) (*node, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.off:
		return nil, syscall.EIO
	case dir.now.children[name] != nil:
		return nil, syscall.EEXIST
	}
	n := d.newNode(folder, mode)
	d.bind(change{{dir, name, n}})
	return n, 0
}

// symlink makes a symbolic link. It is whole or not there after a failure, as on the file systems that keep where it
// leads in its inode.
func (d *Disk) symlink(leads string, dir *node, name string) (*node, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.off:
		return nil, syscall.EIO
	case dir.now.children[name] != nil:
		return nil, syscall.EEXIST
	}
	n := d.newNode(false, 0o777)
	n.leads = leads
	d.bind(change{{dir, name, n}})
	return n, 0
}

// link gives a file another name.
func (d *Disk) link(n, dir *node, name string) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.off:
		return syscall.EIO
	case dir.now.children[name] != nil:
		return syscall.EEXIST
	}
	d.bind(change{{dir, name, n}})
	return 0
}

// remove ends a name of a file, or of a folder that is empty.
func (d *Disk) remove(dir *node, name string, folder bool) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := dir.now.children[name]
	switch {
	case d.off:
		return syscall.EIO
	case n == nil:
		return syscall.ENOENT
	case folder && !n.dir:
		return syscall.ENOTDIR
	case !folder && n.dir:
		return syscall.EISDIR
	case len(n.now.children) > 0:
		return syscall.ENOTEMPTY
	}
	d.bind(change{{dir, name, nil}})
	return 0
}

// rename is renameat2(2); stay: not over what is there.
func (d *Disk) rename(from *node, name string, to *node, newName string, stay bool) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, there := from.now.children[name], to.now.children[newName]
	switch {
	case d.off:
		return syscall.EIO
	case n == nil:
		return syscall.ENOENT
	case there == n:
		return 0
	case there != nil && stay:
		return syscall.EEXIST
	case there != nil && there.dir && !n.dir:
		return syscall.EISDIR
	case there != nil && !there.dir && n.dir:
		return syscall.ENOTDIR
	case there != nil && len(there.now.children) > 0:
		return syscall.ENOTEMPTY
	}
	d.bind(change{{to, newName, n}, {from, name, nil}})
	return 0
}

// lookup is the node of a name; nil: there is none.
func (d *Disk) lookup(dir *node, name string) (*node, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := dir.now.children[name]
	switch {
	case d.off:
		return nil, syscall.EIO
	case n == nil:
		return nil, syscall.ENOENT
	}
	return n, 0
}
