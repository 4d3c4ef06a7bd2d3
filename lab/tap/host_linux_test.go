package tap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab/ip"
)

// patience is how long what must come may take on a busy machine.
const patience = 20 * time.Second

// halfCloser is a connection of either side.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// pair is a connection between the host and the kernel; the host has dialled where out is true.
func pair(t testing.TB, h *Host, addrs [2]netip.Prefix, out bool) (ours *Conn, kernels *net.TCPConn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var l net.Listener
	var err error
	if out {
		l, err = net.Listen("tcp", netip.AddrPortFrom(addrs[0].Addr(), 0).String())
	} else {
		l, err = h.Listen(netip.AddrPortFrom(addrs[1].Addr(), uint16(1024+rand.IntN(30000))))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	take := func() (c net.Conn) {
		select {
		case c = <-accepted:
		case <-ctx.Done():
		}
		if c == nil {
			t.Fatal("no connection was accepted")
		}
		return c
	}
	to := l.Addr().(*net.TCPAddr).AddrPort()
	if out {
		if ours, err = h.Dial(ctx, to); err != nil {
			t.Fatal(err)
		}
		kernels = take().(*net.TCPConn)
	} else {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		kernels = c.(*net.TCPConn)
		ours = take().(*Conn)
	}
	t.Cleanup(func() { ours.Close(); kernels.Close() })
	deadline := time.Now().Add(patience)
	if err := errors.Join(ours.SetDeadline(deadline), kernels.SetDeadline(deadline)); err != nil {
		t.Fatal(err)
	}
	return ours, kernels
}

// swap sends there from a to b and back from b to a at once, ends both halves, and compares every byte.
func swap(t testing.TB, a, b halfCloser, there, back []byte) {
	t.Helper()
	var wg sync.WaitGroup
	send := func(c halfCloser, text []byte) {
		n, err := c.Write(text)
		if err = errors.Join(err, c.CloseWrite()); err != nil || n != len(text) {
			t.Errorf("%T: wrote %d of %d bytes: %v", c, n, len(text), err)
		}
	}
	receive := func(c halfCloser, want []byte) {
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%T: read %d of %d bytes, %v, equal: %v", c, len(got), len(want), err, bytes.Equal(got, want))
		}
	}
	wg.Go(func() { send(a, there) })
	wg.Go(func() { send(b, back) })
	wg.Go(func() { receive(a, back) })
	wg.Go(func() { receive(b, there) })
	wg.Wait()
}

func TestStreams(t *testing.T) {
	t.Parallel()
	if !enter(t) {
		return
	}
	for _, offload := range []bool{false, true} {
		t.Run(fmt.Sprintf("offload=%v", offload), func(t *testing.T) { streams(t, offload) })
	}
}

func streams(t *testing.T, offload bool) {
	h := newHostAt(t, HostOptions{}, Options{Offload: offload})
	for _, row := range []struct {
		name  string
		addrs [2]netip.Prefix
		out   bool
	}{
		{"IPv4, to the kernel", [2]netip.Prefix{kernel4, host4}, true},
		{"IPv4, from the kernel", [2]netip.Prefix{kernel4, host4}, false},
		{"IPv6, to the kernel", [2]netip.Prefix{kernel6, host6}, true},
		{"IPv6, from the kernel", [2]netip.Prefix{kernel6, host6}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			ours, kernels := pair(t, h, row.addrs, row.out)
			swap(t, ours, kernels, noise(1, 3<<20), noise(2, 3<<20))
		})
	}
	if n := h.Refused(); n != 0 {
		t.Errorf("the kernel did not take %d frames", n)
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	if !enter(t) {
		return
	}
	h := newHost(t, HostOptions{})
	four := [2]netip.Prefix{kernel4, host4}
	var b [1]byte

	ours, kernels := pair(t, h, four, false)
	if err := ours.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read beyond its deadline: %v", err)
	}
	for range 100 { // one that has passed counts at once, though there is room
		ours.SetWriteDeadline(time.Unix(1, 0))
		if n, err := ours.Write(b[:]); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a write beyond its deadline: %d, %v", n, err)
		}
	}
	ours.SetDeadline(time.Time{})
	if _, err := kernels.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(ours, b[:]); err != nil || b[0] != 'x' {
		t.Errorf("after the deadline was taken away: %q, %v", b, err)
	}
	ours.Abort()
	if _, err := kernels.Read(b[:]); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the kernel's socket, after a reset: %v", err)
	}
	if _, err := ours.Read(b[:]); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Abort: %v", err)
	}

	ours, kernels = pair(t, h, four, true)
	kernels.SetLinger(0)
	kernels.Close()
	if _, err := ours.Read(b[:]); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after the kernel's reset: %v", err)
	}

	nobody := netip.AddrPortFrom(kernel4.Addr(), 9)
	if _, err := h.Dial(t.Context(), nobody); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a dial to nobody: %v", err)
	}
	if _, err := net.Dial("tcp", netip.AddrPortFrom(host4.Addr(), 9).String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the kernel's dial to nobody: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	silent := netip.AddrPortFrom(netip.MustParseAddr("10.9.0.77"), 9)
	if _, err := h.Dial(ctx, silent); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a dial to an address that nobody has: %v", err)
	}
}

// TestHostCloses ends all that waits.
func TestHostCloses(t *testing.T) {
	t.Parallel()
	if !enter(t) {
		return
	}
	h, err := NewHost(device(t, Options{Addrs: []netip.Prefix{kernel4, kernel6}}),
		HostOptions{Addrs: []netip.Prefix{host4}})
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := pair(t, h, [2]netip.Prefix{kernel4, host4}, true)
	l, err := h.Listen(netip.AddrPortFrom(host4.Addr(), 80))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Listen(netip.AddrPortFrom(host4.Addr(), 80)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second listener: %v", err)
	}
	ends := make(chan error, 2)
	go func() { _, err := l.Accept(); ends <- err }()
	go func() { _, err := ours.Read(make([]byte, 1)); ends <- err }()
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-ends; !errors.Is(err, net.ErrClosed) {
			t.Errorf("what waited ended with %v", err)
		}
	}
	if _, err := h.Dial(t.Context(), netip.AddrPortFrom(kernel4.Addr(), 9)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a dial of a host that is closed: %v", err)
	}
}

// TestKernelAnswers has the host ask the kernel.
func TestKernelAnswers(t *testing.T) {
	t.Parallel()
	if !enter(t) {
		return
	}
	h := newHost(t, HostOptions{})
	for _, to := range []netip.Prefix{kernel4, kernel6} {
		for seq, size := range []int{0, 1472, 1473, 9000, 60000} {
			data := noise(uint64(seq), size)
			h.Do(func(now time.Duration, host *ip.Host) {
				if err := host.Ping(now, ip.Echo{Addr: to.Addr(), ID: 7, Seq: uint16(seq), Data: data}); err != nil {
					t.Error(err)
				}
			})
			var got ip.Echo
			for ok, end := false, time.Now().Add(patience); !ok && time.Now().Before(end); time.Sleep(time.Millisecond) {
				h.Do(func(_ time.Duration, host *ip.Host) { got, ok = host.Reply() })
			}
			if got.Addr != to.Addr() || got.Err != nil || got.Seq != uint16(seq) || !bytes.Equal(got.Data, data) {
				t.Errorf("%d bytes to %v: %v, %v", size, to, got.Addr, got.Err)
			}
		}
	}
}
