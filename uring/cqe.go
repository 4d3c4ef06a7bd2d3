package uring

import "syscall"

// A CQE is a completion, laid out as the kernel writes it (16 bytes).
type CQE struct {
	UserData uint64   // of the submission
	Res      int32    // as of the system call: a count, a descriptor, …; negative: minus the errno
	Flags    CQEFlags //
}

// Err is nil, or the [syscall.Errno] with which the operation failed. It does not allocate for the common ones.
func (c *CQE) Err() error {
	if c.Res >= 0 {
		return nil
	}
	return syscall.Errno(-c.Res)
}

// Errno is 0, or the errno with which the operation failed.
func (c *CQE) Errno() syscall.Errno {
	if c.Res >= 0 {
		return 0
	}
	return syscall.Errno(-c.Res)
}

// More reports whether the same submission will complete again: a multishot operation goes on, or a zero-copy
// send's notification is still to come. Without it the kernel is done with the submission and with its memory.
func (c *CQE) More() bool { return c.Flags&CQEMore != 0 }

// Notif reports whether this is a zero-copy send's second completion: its memory may be used again.
func (c *CQE) Notif() bool { return c.Flags&CQENotif != 0 }

// NonEmpty reports whether the socket had more to read when this receive completed.
func (c *CQE) NonEmpty() bool { return c.Flags&CQENonEmpty != 0 }

// HasBuffer reports whether a provided buffer was used: [CQE.BufferID].
func (c *CQE) HasBuffer() bool { return c.Flags&CQEBuffer != 0 }

// BufferID is the identity of the provided buffer that was used, the first one of a bundle.
func (c *CQE) BufferID() uint16 { return uint16(c.Flags >> 16) }
