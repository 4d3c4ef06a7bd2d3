//go:build linux && (386 || s390x)

package sock

import "golang.org/x/sys/unix"

const sendFlags = unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT

func acceptFD(fd int) (int, error) {
	nfd, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return nfd, err
}
