package tap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/wire"
)

// A Device is a TAP device: the kernel's card, and this process's end of the cable. It is gone when it is closed. Its
// methods may be called from any goroutine.
type Device struct {
	file    *os.File
	raw     syscall.RawConn
	name    string
	mac     wire.MAC
	mtu     int
	offload bool
}

// Open makes a device in the network namespace of the calling thread, gives the kernel's side its addresses, and
// switches it on. Errors say the call that failed: EPERM where CAP_NET_ADMIN is missing, ENOENT and EACCES where
// /dev/net/tun is not there or not for this user.
func Open(o Options) (*Device, error) {
	// Before the first ioctl the descriptor is no device, and a poller would take it for one that is always ready: so
	// package os gets it afterwards.
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("tap: open /dev/net/tun: %w", err)
	}
	name := o.Name
	if name == "" {
		name = "tap%d" // the kernel counts
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI)
		if o.Offload {
			flags |= unix.IFF_VNET_HDR
		}
		req.SetUint16(flags)
		err = os.NewSyscallError("TUNSETIFF", unix.IoctlIfreq(fd, unix.TUNSETIFF, req))
	}
	if err == nil && o.Offload {
		can := unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6
		err = os.NewSyscallError("TUNSETOFFLOAD", unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, can))
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("tap: %q: %w", name, err)
	}
	d := &Device{file: os.NewFile(uintptr(fd), req.Name()), name: req.Name(), mtu: o.MTU,
		offload: o.Offload}
	if d.mtu == 0 {
		d.mtu = defaultMTU
	}
	if d.raw, err = d.file.SyscallConn(); err == nil {
		err = d.configure(o.Addrs)
	}
	if err != nil {
		_ = d.file.Close()
		return nil, fmt.Errorf("tap: %s: %w", d.name, err)
	}
	return d, nil
}

// configure sets the MTU, learns the address of the card, switches it on, and adds addrs.
func (d *Device) configure(addrs []netip.Prefix) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	call := func(what string, request uint, set func(*unix.Ifreq)) (*unix.Ifreq, error) {
		r, err := unix.NewIfreq(d.name)
		if err != nil {
			return nil, err
		}
		set(r)
		return r, os.NewSyscallError(what, unix.IoctlIfreq(fd, request, r))
	}
	_, mtuErr := call("SIOCSIFMTU", unix.SIOCSIFMTU, func(r *unix.Ifreq) { r.SetUint32(uint32(d.mtu)) })
	_, upErr := call("SIOCSIFFLAGS", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	})
	index, indexErr := call("SIOCGIFINDEX", unix.SIOCGIFINDEX, func(*unix.Ifreq) {})
	if err := errors.Join(mtuErr, upErr, indexErr); err != nil {
		return err
	}
	if d.mac, err = hardware(fd, d.name); err != nil {
		return err
	}
	for _, a := range addrs {
		if err := addAddr(int(index.Uint32()), a); err != nil {
			return fmt.Errorf("adding %v: %w", a, err)
		}
	}
	return nil
}

// hardware is the link address of the kernel's side.
func hardware(fd int, name string) (mac wire.MAC, err error) {
	r := struct { // struct ifreq with its union as a struct sockaddr
		name   [unix.IFNAMSIZ]byte
		family uint16
		data   [22]byte
	}{}
	copy(r.name[:unix.IFNAMSIZ-1], name)
	if errno := ioctl(fd, unix.SIOCGIFHWADDR, &r); errno != 0 {
		return mac, os.NewSyscallError("SIOCGIFHWADDR", errno)
	}
	copy(mac[:], r.data[:])
	return mac, nil
}

// addAddr gives an interface an address, by rtnetlink(7), which in contrast to the ioctls can say that nobody has to be
// asked whether he has it too (IFA_F_NODAD): else IPv6 would not use it for a second.
func addAddr(index int, prefix netip.Prefix) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	family := byte(unix.AF_INET)
	if prefix.Addr().Is6() {
		family = unix.AF_INET6
	}
	order := binary.NativeEndian
	var b []byte
	b = order.AppendUint32(b, 0) // the length, below
	b = order.AppendUint16(b, unix.RTM_NEWADDR)
	b = order.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	b = order.AppendUint32(b, 1)                                                         // the message's number
	b = order.AppendUint32(b, 0)                                                         // to the kernel
	b = append(b, family, byte(prefix.Bits()), unix.IFA_F_NODAD, unix.RT_SCOPE_UNIVERSE) // struct ifaddrmsg
	b = order.AppendUint32(b, uint32(index))
	ip := prefix.Addr().AsSlice()
	for _, kind := range []uint16{unix.IFA_LOCAL, unix.IFA_ADDRESS} {
		b = order.AppendUint16(b, uint16(unix.SizeofRtAttr+len(ip)))
		b = append(order.AppendUint16(b, kind), ip...)
	}
	order.PutUint32(b, uint32(len(b)))
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	answer := make([]byte, os.Getpagesize())
	n, _, err := unix.Recvfrom(fd, answer, unix.MSG_DONTWAIT) // it is there: sendto has done the work
	switch {
	case err != nil:
		return os.NewSyscallError("recvfrom", err)
	case n < unix.NLMSG_HDRLEN+4 || order.Uint16(answer[4:]) != unix.NLMSG_ERROR:
		return errors.New("RTM_NEWADDR: an answer that is none")
	}
	if code := int32(order.Uint32(answer[unix.NLMSG_HDRLEN:])); code != 0 {
		return os.NewSyscallError("RTM_NEWADDR", unix.Errno(-code))
	}
	return nil
}

// read takes frames for as long as there are some, at most so many, and waits for the first. each gets them, good until
// it returns. A wait ends with os.ErrDeadlineExceeded at the time of SetReadDeadline, and with os.ErrClosed.
func (d *Device) read(buf []byte, most int, begin, end func(), each func(frame []byte)) error {
	var failed error
	err := d.raw.Read(func(fd uintptr) bool {
		begun := false
		for range most {
			n, err := unix.Read(int(fd), buf)
			switch err {
			case nil:
				if !begun {
					begun = true
					begin()
				}
				each(buf[:n])
				continue
			case unix.EINTR:
				continue
			case unix.EAGAIN:
			default:
				failed = os.NewSyscallError("read", err)
			}
			break
		}
		if begun {
			end()
		}
		return begun || failed != nil
	})
	return errors.Join(err, failed)
}

// Read waits for a frame that the kernel sends, and takes it. Of one that is longer than b the rest is lost. It is for
// programs that have no Host on the device.
func (d *Device) Read(b []byte) (int, error) { return d.file.Read(b) }

// SetReadDeadline has a Read fail with os.ErrDeadlineExceeded from t on, also one that waits already.
func (d *Device) SetReadDeadline(t time.Time) error { return d.file.SetReadDeadline(t) }

// Write sends a frame to the kernel, which takes it at once.
func (d *Device) Write(frame []byte) (int, error) { return d.file.Write(frame) }

// SyscallConn is the device's descriptor, for a stack that reads and writes it by itself: it does not block. It is the
// device's, and good until Close.
func (d *Device) SyscallConn() (syscall.RawConn, error) { return d.file.SyscallConn() }

// Name is the interface's, as ip(8) shows it.
func (d *Device) Name() string { return d.name }

// MAC is the link address of the kernel's side.
func (d *Device) MAC() wire.MAC { return d.mac }

// MTU is that of both sides, in bytes.
func (d *Device) MTU() int { return d.mtu }

// Close ends the device: the kernel's interface is gone with it. A Host closes the one that it runs on.
func (d *Device) Close() error { return d.file.Close() }
