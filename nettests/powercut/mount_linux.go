package powercut

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Mount shows a disk at a folder, which is there and empty, by FUSE: programs use it as any file system. It needs root
// and /dev/fuse. unmount ends it for those too that still use it.
func Mount(d *Disk, at string) (unmount func() error, err error) {
	srv, err := fs.Mount(at, &inode{d: d, n: d.root}, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "powercut", Name: "powercut"},
	})
	if err != nil {
		return nil, fmt.Errorf("powercut: mount: %w", err)
	}
	return func() error {
		// By force: what programs have open is no reason to wait, and their calls fail from then on.
		if err := unix.Unmount(at, unix.MNT_FORCE|unix.MNT_DETACH); err != nil {
			return fmt.Errorf("powercut: unmount %s: %w", at, err)
		}
		srv.Wait()
		return nil
	}, nil
}

// An inode is what the kernel knows a node by. It has no cache of its own, nor the kernel one of names and sizes.
type inode struct {
	fs.Inode
	d *Disk
	n *node
}

// An open is a file's handle.
type open struct {
	sync bool // O_SYNC or O_DSYNC
}

var (
	_ fs.NodeLookuper   = (*inode)(nil)
	_ fs.NodeReaddirer  = (*inode)(nil)
	_ fs.NodeCreater    = (*inode)(nil)
	_ fs.NodeMkdirer    = (*inode)(nil)
	_ fs.NodeMknoder    = (*inode)(nil)
	_ fs.NodeLinker     = (*inode)(nil)
	_ fs.NodeSymlinker  = (*inode)(nil)
	_ fs.NodeReadlinker = (*inode)(nil)
	_ fs.NodeUnlinker   = (*inode)(nil)
	_ fs.NodeRmdirer    = (*inode)(nil)
	_ fs.NodeRenamer    = (*inode)(nil)
	_ fs.NodeOpener     = (*inode)(nil)
	_ fs.NodeReader     = (*inode)(nil)
	_ fs.NodeWriter     = (*inode)(nil)
	_ fs.NodeFsyncer    = (*inode)(nil)
	_ fs.NodeGetattrer  = (*inode)(nil)
	_ fs.NodeSetattrer  = (*inode)(nil)
	_ fs.NodeStatfser   = (*inode)(nil)
	_ fs.NodeAllocater  = (*inode)(nil)
)

func (i *inode) child(ctx context.Context, n *node) *fs.Inode {
	return i.NewInode(ctx, &inode{d: i.d, n: n}, fs.StableAttr{Mode: n.kind(), Ino: n.ino})
}

func (i *inode) attr(out *fuse.Attr) {
	i.d.mu.Lock()
	defer i.d.mu.Unlock()
	i.n.attr(out)
}

// kind is what stat(2) says of it.
func (n *node) kind() uint32 {
	switch {
	case n.dir:
		return syscall.S_IFDIR
	case n.sock:
		return syscall.S_IFSOCK
	case n.leads != "":
		return syscall.S_IFLNK
	}
	return syscall.S_IFREG
}

func (n *node) attr(out *fuse.Attr) {
	out.Ino, out.Mode, out.Nlink, out.Size = n.ino, n.kind()|n.mode, uint32(n.links), uint64(len(n.now.data))
	out.SetTimes(&n.at, &n.at, &n.at)
	out.Blocks, out.Blksize = (out.Size+511)/512, block
}

func (i *inode) entry(ctx context.Context, n *node, out *fuse.EntryOut) *fs.Inode {
	i.d.mu.Lock()
	n.attr(&out.Attr)
	i.d.mu.Unlock()
	return i.child(ctx, n)
}

func (i *inode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n, errno := i.d.lookup(i.n, name)
	if errno != 0 {
		return nil, errno
	}
	return i.entry(ctx, n, out), 0
}

func (i *inode) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	i.d.mu.Lock()
	defer i.d.mu.Unlock()
	if i.d.off {
		return nil, syscall.EIO
	}
	var list []fuse.DirEntry
	for _, name := range slices.Sorted(maps.Keys(i.n.now.children)) {
		n := i.n.now.children[name]
		list = append(list, fuse.DirEntry{Name: name, Ino: n.ino, Mode: n.kind()})
	}
	return fs.NewListDirStream(list), 0
}

func (i *inode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode,
	fs.FileHandle, uint32, syscall.Errno) {
	n, errno := i.d.add(i.n, name, false, mode)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	return i.entry(ctx, n, out), opened(flags), 0, 0
}

func (i *inode) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n, errno := i.d.add(i.n, name, true, mode)
	if errno != 0 {
		return nil, errno
	}
	return i.entry(ctx, n, out), 0
}

// Mknod makes what bind(2) of a Unix socket leaves.
func (i *inode) Mknod(ctx context.Context, name string, mode, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if mode&syscall.S_IFMT != syscall.S_IFSOCK {
		return nil, syscall.EPERM
	}
	n, errno := i.d.add(i.n, name, false, mode)
	if errno != 0 {
		return nil, errno
	}
	n.sock = true
	return i.entry(ctx, n, out), 0
}

func (i *inode) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode,
	syscall.Errno) {
	n := target.(*inode).n
	if errno := i.d.link(n, i.n, name); errno != 0 {
		return nil, errno
	}
	return i.entry(ctx, n, out), 0
}

func (i *inode) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n, errno := i.d.symlink(target, i.n, name)
	if errno != 0 {
		return nil, errno
	}
	return i.entry(ctx, n, out), 0
}

func (i *inode) Readlink(context.Context) ([]byte, syscall.Errno) { return []byte(i.n.leads), 0 }

func (i *inode) Unlink(_ context.Context, name string) syscall.Errno {
	return i.d.remove(i.n, name, false)
}
func (i *inode) Rmdir(_ context.Context, name string) syscall.Errno {
	return i.d.remove(i.n, name, true)
}

func (i *inode) Rename(_ context.Context, name string, to fs.InodeEmbedder, newName string,
	flags uint32) syscall.Errno {
	if flags&^unix.RENAME_NOREPLACE != 0 {
		return syscall.EINVAL
	}
	return i.d.rename(i.n, name, to.(*inode).n, newName, flags != 0)
}

func opened(flags uint32) *open { return &open{sync: flags&syscall.O_DSYNC != 0} } // which O_SYNC has in it

func (i *inode) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return opened(flags), 0, 0
}

func (i *inode) Read(_ context.Context, _ fs.FileHandle, p []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	i.d.mu.Lock()
	defer i.d.mu.Unlock()
	if i.d.off {
		return nil, syscall.EIO
	}
	off = min(off, int64(len(i.n.now.data)))
	return fuse.ReadResultData(p[:copy(p, i.n.now.data[off:])]), 0
}

func (i *inode) Write(_ context.Context, h fs.FileHandle, p []byte, off int64) (uint32, syscall.Errno) {
	if errno := i.d.write(i.n, p, off); errno != 0 {
		return 0, errno
	}
	if o, ok := h.(*open); ok && o.sync {
		if errno := i.d.sync(i.n); errno != 0 {
			return 0, errno
		}
	}
	return uint32(len(p)), 0
}

func (i *inode) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno { return i.d.sync(i.n) }

func (i *inode) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	i.attr(&out.Attr)
	return 0
}

func (i *inode) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	i.d.mu.Lock()
	defer i.d.mu.Unlock()
	if i.d.off {
		return syscall.EIO
	}
	if mode, ok := in.GetMode(); ok {
		i.n.mode = mode & 0o7777
	}
	if size, ok := in.GetSize(); ok {
		if errno := i.d.resize(i.n, int64(size)); errno != 0 {
			return errno
		}
	}
	i.n.attr(&out.Attr)
	return 0
}

// Allocate is fallocate(2), of which only the size is of interest here.
func (i *inode) Allocate(_ context.Context, _ fs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	i.d.mu.Lock()
	defer i.d.mu.Unlock()
	switch {
	case i.d.off:
		return syscall.EIO
	case mode == unix.FALLOC_FL_KEEP_SIZE || off+size <= uint64(len(i.n.now.data)) && mode == 0:
		return 0
	case mode != 0:
		return syscall.EOPNOTSUPP
	}
	return i.d.resize(i.n, int64(off+size))
}

// Statfs tells of plenty of room, unless SetFull was called.
func (i *inode) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	i.d.mu.Lock()
	defer i.d.mu.Unlock()
	all := i.d.full
	if all == 0 {
		all = 64 << 30
	}
	out.Bsize, out.Frsize, out.NameLen = block, block, 255
	out.Blocks = uint64(all / block)
	out.Bfree = uint64(max(0, all-i.d.bytes) / block)
	out.Bavail, out.Files, out.Ffree = out.Bfree, 1<<20, 1<<20
	return 0
}
