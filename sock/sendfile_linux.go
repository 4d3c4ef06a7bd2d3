package sock

import "golang.org/x/sys/unix"

// SendFile sends at most n bytes of the file, from off on, without a copy through this process (sendfile(2)), and
// returns how many: 0 and no error at the file's end. The socket is non-blocking, and ErrWouldBlock says that it has no
// room; the file may be slow, and the call then takes as long: see [ReadCached]. Other errors may be the socket's or
// the file's, and EINVAL says that the file's kind has no such way.
//
// What the file's pages hold when they leave is what the peer gets: who changes them meanwhile changes that too.
func (s Socket) SendFile(file uintptr, off int64, n int) (int, error) {
	for {
		m, err := unix.Sendfile(s.FD(), int(file), &off, n)
		switch err {
		case nil:
			return m, nil
		case unix.EINTR:
		default:
			return 0, bare(err)
		}
	}
}

// SendMore is Send for bytes behind which more come at once, so that both leave in one segment (MSG_MORE). If nothing
// comes, the kernel waits 200 ms for it.
func (s Socket) SendMore(p []byte) (int, error) {
	for {
		n, err := unix.SendmsgN(s.FD(), p, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT|unix.MSG_MORE)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		default:
			return 0, bare(err)
		}
	}
}

// ReadCached reads what the system has in memory of the file, from off on (preadv2(2) with RWF_NOWAIT, Linux 4.14):
// at least one byte, or 0 at the file's end, or ErrWouldBlock if a disk would have to be waited for. Other errors say
// that it can't be known, as with a file system that has no such reads.
func ReadCached(file uintptr, p []byte, off int64) (int, error) {
	for {
		n, err := unix.Preadv2(int(file), [][]byte{p}, off, unix.RWF_NOWAIT)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		default:
			return 0, bare(err)
		}
	}
}
