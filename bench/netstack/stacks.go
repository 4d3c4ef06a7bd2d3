//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	gtcp "gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/plexor-go/plexor/lab/tap"
	"github.com/plexor-go/plexor/lab/tcp"
)

// buffer is the size of each stack's buffers, in bytes.
const buffer = 8 << 20

// A dialer is a stack at a device.
type dialer struct {
	dial  func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	close func() error
}

func openPlexor(offload bool) func() (dialer, error) {
	return func() (d dialer, err error) {
		dev, err := tap.Open(tap.Options{Addrs: []netip.Prefix{kernels}, Offload: offload})
		if err != nil {
			return d, err
		}
		h, err := tap.NewHost(dev, tap.HostOptions{Addrs: []netip.Prefix{own},
			TCP: tcp.Options{Limits: tcp.Limits{SendBuffer: buffer, ReceiveBuffer: buffer}}})
		if err != nil {
			return d, errors.Join(err, dev.Close())
		}
		dial := func(ctx context.Context, to netip.AddrPort) (net.Conn, error) { return h.Dial(ctx, to) }
		return dialer{dial, h.Close}, nil
	}
}

func openGvisor() (d dialer, err error) {
	dev, err := tap.Open(tap.Options{Addrs: []netip.Prefix{kernels}})
	if err != nil {
		return d, err
	}
	raw, err := dev.SyscallConn()
	var fd int
	if err == nil {
		err = raw.Control(func(n uintptr) { fd = int(n) })
	}
	if err != nil {
		return d, errors.Join(err, dev.Close())
	}
	link, err := fdbased.New(&fdbased.Options{FDs: []int{fd}, MTU: uint32(dev.MTU()), EthernetHeader: true,
		Address: tcpip.LinkAddress("\x02\x00\x00\x00\x00\x07")})
	if err != nil {
		return d, errors.Join(err, dev.Close())
	}
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{gtcp.NewProtocolCUBIC},
	})
	sack := tcpip.TCPSACKEnabled(true)
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4096, Default: buffer, Max: buffer}
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: buffer, Max: buffer}
	address := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{
		Address: tcpip.AddrFrom4(own.Addr().As4()), PrefixLen: own.Bits()}}
	for _, failed := range []tcpip.Error{
		s.SetTransportProtocolOption(gtcp.ProtocolNumber, &sack),
		s.SetTransportProtocolOption(gtcp.ProtocolNumber, &send),
		s.SetTransportProtocolOption(gtcp.ProtocolNumber, &receive),
		s.CreateNIC(1, link),
		s.AddProtocolAddress(1, address, stack.AddressProperties{}),
	} {
		if failed != nil {
			return d, errors.Join(fmt.Errorf("gVisor: %v", failed), dev.Close())
		}
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}})
	dial := func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		return gonet.DialContextTCP(ctx, s, tcpip.FullAddress{NIC: 1, Addr: tcpip.AddrFrom4(to.Addr().As4()),
			Port: to.Port()}, ipv4.ProtocolNumber)
	}
	return dialer{dial, dev.Close}, nil
}

// transfer sends for d: from the stack to the kernel where out is true, else from the kernel.
func transfer(s dialer, out bool, d time.Duration) (r result, err error) {
	const patience = 10 * time.Second
	l, err := net.Listen("tcp4", netip.AddrPortFrom(kernels.Addr(), 0).String())
	if err != nil {
		return r, err
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ours, err := s.dial(ctx, l.Addr().(*net.TCPAddr).AddrPort())
	if err != nil {
		return r, err
	}
	kernel, err := l.Accept()
	if err != nil {
		return r, errors.Join(err, ours.Close())
	}
	from, to := kernel, ours
	if out {
		from, to = ours, kernel
	}
	k := kernel.(*net.TCPConn)
	err = errors.Join(k.SetReadBuffer(buffer), k.SetWriteBuffer(buffer), k.SetLinger(0),
		from.SetDeadline(time.Now().Add(d+patience)), to.SetReadDeadline(time.Now().Add(d)))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for b := make([]byte, 1<<18); ; {
			if _, err := from.Write(b); err != nil {
				return // the other one has closed: what it has read by then is the result
			}
		}
	}()
	total, before := 0, spent()
	for b := make([]byte, 1<<18); err == nil; {
		n, failed := to.Read(b)
		if total += n; failed != nil {
			break
		}
	}
	cpu := spent() - before
	err = errors.Join(err, to.Close(), from.Close())
	<-sent
	if err == nil && total == 0 {
		err = errors.New("nothing came")
	}
	return result{float64(total) / d.Seconds(), float64(cpu) / float64(total)}, err
}

// spent is the processor's time of this process, the kernel's on its behalf included.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it cannot fail with these arguments (getrusage(2))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
