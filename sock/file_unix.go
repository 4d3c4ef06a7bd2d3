//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// lockWait is how long Listen waits for another one that is busy in the same directory. What it does there
// takes far less, even where eight do it on a machine with much else to do; a lock that is held longer belongs
// to some other program that locks directories (systemd-tmpfiles does), and then Listen goes on without.
const lockWait = 2 * time.Second

// sysLockDir takes the lock on a directory that those who make sockets in it share, and returns what gives it
// back. Where there is no lock to have, it returns all the same.
func sysLockDir(dir string) (unlock func()) {
	fd := -1
	err := again(func() (err error) { // it may block on a file system of the network or of FUSE, and a signal ends that
		fd, err = unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return func() {} // if the directory is not there, bind will say so
	}
	for until := time.Now().Add(lockWait); ; {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EWOULDBLOCK && err != unix.EINTR || time.Now().After(until) {
			return func() { _ = unix.Close(fd) } // which gives the lock back
		}
		time.Sleep(time.Millisecond)
	}
}

// again calls f until no signal has interrupted it, as internal/eintr does for packages that may import it.
func again(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// sysSocketMode sets permissions on a socket before it is bound. Where that is not possible, the chmod after
// bind does all of it.
func sysSocketMode(s Socket, mode fs.FileMode) { _ = unix.Fchmod(s.FD(), uint32(mode)) }

// osPath is the path of an address as the system's file calls take it.
func osPath(path string) string { return path }
