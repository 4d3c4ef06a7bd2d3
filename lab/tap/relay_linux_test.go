package tap

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/lab/link"
)

// elsewhere calls f in a network namespace of its own, which is there for as long as what f opens in it.
func elsewhere(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is of no use to others, and ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = unpaced()
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// unpaced has the kernel begin with Reno in the network of this thread. Where BBR is the default, a socket's segments
// are paced from then on, whatever a later option says; and CUBIC, which that option asks for, may not be the default
// here.
func unpaced() error {
	return os.WriteFile("/proc/sys/net/ipv4/tcp_congestion_control", []byte("reno"), 0)
}

// kernels is a connection from the kernel in one namespace to the kernel in another one, through two devices and the
// lines between them: what the kernel does with a path.
func kernels(t *testing.T, there, back link.Line) (from, to *net.TCPConn) {
	t.Helper()
	var near, far *Device
	var l net.Listener
	err := elsewhere(func() (err error) {
		if far, err = Open(Options{Addrs: []netip.Prefix{host4}}); err == nil {
			l, err = net.Listen("tcp", netip.AddrPortFrom(host4.Addr(), 0).String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var a net.Conn
	err = elsewhere(func() (err error) {
		if near, err = Open(Options{Addrs: []netip.Prefix{kernel4}}); err != nil {
			return err
		}
		var wg sync.WaitGroup
		start := time.Now()
		wg.Go(func() { relay(near, far, there, start) })
		wg.Go(func() { relay(far, near, back, start) })
		t.Cleanup(func() {
			if err := errors.Join(near.Close(), far.Close(), l.Close()); err != nil {
				t.Error(err)
			}
			wg.Wait()
		})
		a, err = net.DialTimeout("tcp", l.Addr().String(), patience)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

// relay takes frames from one device to the other, through a line, until one is closed.
func relay(from, to *Device, line link.Line, start time.Time) {
	var pool link.Pool
	buf := make([]byte, from.MTU()+100)
	put := func(b []byte) { line.Put(time.Since(start), pool.Copy(b)) }
	for {
		var when time.Time
		if at, ok := line.Next(); ok {
			when = start.Add(at)
		}
		_ = from.SetReadDeadline(when) // it fails where the device is closed, and so does the read
		err := from.read(buf, defaultFrames, func() {}, func() {}, put)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		now := time.Since(start)
		for f := line.Take(now); f != nil; f = line.Take(now) {
			_, _ = to.Write(f.Bytes) // what is not taken is lost on the way
			f.Free()
		}
	}
}
