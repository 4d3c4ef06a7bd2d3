package shm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/stack"
)

// Dir is where named rings are files: the memory file system that Linux has for this (shm_overview(7)).
const Dir = "/dev/shm"

// Available is why rings can't be used here, found out by using one: nil if they can. Otherwise it is an
// [ErrUnavailable].
func Available() error {
	r, err := New(Options{Slots: 1})
	if err == nil {
		_, err = r.TryPut(nil)
		err = errors.Join(err, r.Close())
	}
	if err != nil {
		return &Error{Op: "try a ring", Err: ErrUnavailable, Hint: err.Error()}
	}
	return nil
}

// New makes a ring without a name, in memory of memfd_create(2): others get it as a descriptor ([Ring.File],
// [OpenFile]). It is gone when no process has it open any more. All its memory is taken from the system at once.
func New(o Options) (*Ring, error) {
	s, err := o.shape()
	if err != nil {
		return nil, err
	}
	const op = "make a ring"
	flags := unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("plexor-ring", flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("plexor-ring", flags)
	}
	if err != nil {
		return nil, &Error{Op: op, Call: "memfd_create", Err: err}
	}
	if err := prepare(fd, op, s, o.mode()); err != nil {
		_ = unix.Close(fd) // that error is the first
		return nil, err
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS,
		unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		_ = unix.Close(fd) // likewise
		return nil, &Error{Op: op, Call: "fcntl(F_ADD_SEALS)", Err: err}
	}
	return attach(fd, op)
}

// Create makes a ring with a name: a file in [Dir], which appears there when it is ready for use. It stays, with its
// items, until [Remove], whatever becomes of the processes that use it. If there is one already the error is an
// fs.ErrExist. All its memory is taken from the system at once.
func Create(name string, o Options) (*Ring, error) {
	if err := checkName("create", name); err != nil {
		return nil, err
	}
	s, err := o.shape()
	if err != nil {
		return nil, err
	}
	op := fmt.Sprintf("create %s/%s", Dir, name)
	// It gets its name last, so a maker that is killed leaves nothing behind, and who opens it finds it whole.
	fd, err := unix.Open(Dir, unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &Error{Op: op, Call: "open(O_TMPFILE)", Err: err}
	}
	if err := prepare(fd, op, s, o.mode()); err != nil {
		_ = unix.Close(fd) // that error is the first
		return nil, err
	}
	r, err := attach(fd, op)
	if err != nil {
		return nil, err
	}
	r.step("create: to be named")
	if err := unix.Linkat(unix.AT_FDCWD, procPath(fd), unix.AT_FDCWD, Dir+"/"+name, unix.AT_SYMLINK_FOLLOW); err != nil {
		_ = r.Close() // likewise
		hint := ""
		if errors.Is(err, unix.EEXIST) {
			hint = "open it, or remove it if nobody needs what is in it"
		}
		return nil, &Error{Op: op, Call: "linkat", Err: err, Hint: hint}
	}
	return r, nil
}

// Open opens a ring by its name.
func Open(name string) (*Ring, error) {
	if err := checkName("open", name); err != nil {
		return nil, err
	}
	op := fmt.Sprintf("open %s/%s", Dir, name)
	fd, err := unix.Open(Dir+"/"+name, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &Error{Op: op, Call: "open", Err: err}
	}
	return attach(fd, op)
}

// OpenFile opens a ring by a descriptor of its file, such as one that came from a parent ([Ring.File], os/exec's
// ExtraFiles) or over a Unix socket. f stays the caller's, and can be closed as soon as OpenFile returns.
func OpenFile(f *os.File) (*Ring, error) {
	const op = "open a descriptor"
	stack.Given("shm: "+op, "the file", f != nil)
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	var r *Ring
	if e := raw.Control(func(fd uintptr) {
		var own int
		if own, err = reopen(int(fd), op); err == nil {
			r, err = attach(own, op)
		}
	}); e != nil {
		return nil, &Error{Op: op, Err: os.ErrClosed} // which it says in words of its own, and for nothing else
	}
	return r, err
}

// Remove takes a ring's name away: nobody can open it by that any more. Who has it open goes on; the memory, and the
// items in it, are gone when the last one has closed it.
func Remove(name string) error {
	if err := checkName("remove", name); err != nil {
		return err
	}
	if err := unix.Unlink(Dir + "/" + name); err != nil {
		return &Error{Op: fmt.Sprintf("remove %s/%s", Dir, name), Call: "unlink", Err: err}
	}
	return nil
}

// File is a descriptor of the ring's file, to be handed to another process, which opens it with [OpenFile]. It belongs
// to the caller, who closes it.
func (r *Ring) File() (*os.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed.Load() {
		return nil, failed("File", ErrClosed)
	}
	// Not a duplicate: that would be the same open file, and whoever has it would keep this party alive.
	fd, err := reopen(r.fd, "File")
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "ring"), nil
}

func procPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// reopen opens the file of a descriptor once more.
func reopen(fd int, op string) (int, error) {
	own, err := unix.Open(procPath(fd), unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		hint := ""
		switch {
		case errors.Is(err, unix.ENOENT):
			hint = "/proc has to be mounted"
		case errors.Is(err, unix.EACCES):
			hint = "its maker did not allow this user: see Options.Mode"
		}
		return -1, &Error{Op: op, Call: "open " + procPath(fd), Err: err, Hint: hint}
	}
	return own, nil
}

// prepare makes an empty file a ring.
func prepare(fd int, op string, s shape, mode uint32) error {
	if err := unix.Fchmod(fd, mode); err != nil {
		return &Error{Op: op, Call: "fchmod", Err: err}
	}
	// fallocate takes the memory now: a hole that is filled when there is none left raises SIGBUS.
	for {
		err := unix.Fallocate(fd, 0, 0, int64(s.size()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			hint := fmt.Sprintf("it takes %d bytes of shared memory", s.size())
			return &Error{Op: op, Call: "fallocate", Err: err, Hint: hint}
		}
		break
	}
	mem, err := unix.Mmap(fd, 0, int(s.size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return &Error{Op: op, Call: "mmap", Err: err}
	}
	r := ringOver(mem, s)
	h := r.head
	h.version.Store(version)
	h.slots.Store(s.slots)
	h.slotSize.Store(s.slotSize)
	h.maxItem.Store(s.maxItem)
	h.readyHead.set(none)
	h.readyTail.set(none)
	for i := range s.slots {
		r.slot(i).link.set(i + 1)
	}
	r.slot(s.slots - 1).link.set(none)
	h.free.Store(s.slots)
	h.magic.Store(magic)
	if err := unix.Munmap(mem); err != nil {
		return &Error{Op: op, Call: "munmap", Err: err}
	}
	return nil
}

// ringOver is a Ring that is no party yet, over memory of that shape.
func ringOver(mem []byte, s shape) *Ring {
	r := &Ring{shape: s, dataAt: s.dataAt(), mem: mem, base: addressOf(mem)}
	r.head = (*header)(r.at(0))
	return r
}

// attach makes a party of an open file, which is its own from now on, and closed if there is an error.
func attach(fd int, op string) (r *Ring, err error) {
	defer func() {
		if err != nil {
			_ = unix.Close(fd) // that error is the first
		}
	}()
	s, err := readShape(fd, op)
	if err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(fd, 0, int(s.size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, &Error{Op: op, Call: "mmap", Err: err}
	}
	r = ringOver(mem, s)
	r.fd = fd
	if err := r.register(); err != nil {
		_ = unix.Munmap(mem) // likewise
		return nil, err
	}
	return r, nil
}

// readShape reads a ring's bounds off its file, and checks them against the file's size, before anything is mapped.
func readShape(fd int, op string) (shape, error) {
	refuse := func(format string, args ...any) (shape, error) {
		return shape{}, &Error{Op: op, Err: ErrCorrupt, Hint: fmt.Sprintf(format, args...)}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return shape{}, &Error{Op: op, Call: "fstat", Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return refuse("it is no regular file")
	}
	if st.Size < slotsAt || st.Size > math.MaxInt32 {
		return refuse("it has %d bytes, and a ring has %d to %d", st.Size, slotsAt, MaxMemory)
	}
	var b [32]byte // the first fields of header
	if n, err := unix.Pread(fd, b[:], 0); err != nil || n < len(b) {
		return shape{}, &Error{Op: op, Call: "pread", Err: errors.Join(err, ErrCorrupt)}
	}
	if m := binary.NativeEndian.Uint64(b[:]); m != magic {
		return refuse("it begins with %#x, and a ring with %#x", m, uint64(magic))
	}
	number := func(at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }
	if v := number(8); v != version {
		return refuse("it is of version %d, and this program knows %d", v, version)
	}
	s := shape{slots: number(12), slotSize: number(16), maxItem: number(20)}
	if why := s.check(); why != "" {
		return refuse("%s", why)
	}
	if s.size() != uint64(st.Size) {
		return refuse("it has %d bytes, and a ring of %d slots of %d bytes has %d", st.Size, s.slots, s.slotSize, s.size())
	}
	return s, nil
}
