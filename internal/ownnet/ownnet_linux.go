package ownnet

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func enter(t *testing.T) bool {
	if os.Getenv(variable) == t.Name() {
		if err := setUp(); errors.Is(err, unix.EAFNOSUPPORT) {
			t.Skip("there is no IPv6 here")
		} else if err != nil {
			t.Fatalf("setting up a network: %v", err)
		}
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", fmt.Sprintf("-test.short=%v", testing.Short()))
	if end, ok := t.Deadline(); ok { // before this process's: what it was at then is in its output
		left := time.Until(end)
		cmd.Args = append(cmd.Args, fmt.Sprintf("-test.timeout=%v", left-left/20))
	}
	cmd.Env = append(os.Environ(), variable+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if os.Geteuid() != 0 { // in a user namespace everybody may have networks, where the system lets them have those
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Skipf("no network of its own can be had here: %v", err)
	}
	switch err := cmd.Wait(); {
	case err != nil:
		t.Errorf("in a network of its own: %v\n%s", err, out.String())
	case skipped(out.String(), t.Name()):
		t.Skipf("in a network of its own:\n%s", out.String())
	case testing.Verbose():
		t.Logf("in a network of its own:\n%s", out.String())
	}
	return false
}

// skipped reports whether the whole test was, and not a part of it alone, by what it has printed.
func skipped(out, name string) bool { return strings.Contains(out, "--- SKIP: "+name+" (") }

// setUp brings lo up and gives it LinkLocal. Its index is 1 in each network.
func setUp() error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return os.NewSyscallError("SIOCSIFFLAGS", err)
	}
	return add(LinkLocal)
}

func add(addr string) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request := struct { // struct in6_ifreq of linux/ipv6.h
		addr   [16]byte
		prefix uint32
		index  int32
	}{netip.MustParseAddr(addr).As16(), 64, 1}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return os.NewSyscallError("SIOCSIFADDR", errno)
	}
	return awaitAddr(fd, netip.MustParseAddr(addr))
}

// usableWithin bounds the time that the kernel may take until a socket can be bound to a new address.
const usableWithin = 10 * time.Second

// awaitAddr waits until addr can be bound to. An address starts tentative (RFC 4862, 5.4), and even on lo, where
// nothing is looked for, a worker of the kernel's takes that flag away: a bind before it fails with EADDRNOTAVAIL. One
// that came through binds fd.
func awaitAddr(fd int, addr netip.Addr) error {
	for end := time.Now().Add(usableWithin); ; time.Sleep(time.Millisecond) {
		err := unix.Bind(fd, &unix.SockaddrInet6{ZoneId: 1, Addr: addr.As16()})
		if err == nil {
			return nil
		}
		if err != unix.EADDRNOTAVAIL || time.Now().After(end) {
			return fmt.Errorf("binding to the new address %s: %w", addr, os.NewSyscallError("bind", err))
		}
	}
}
