//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// everything are options that this system has, each other than its default.
func everything() Options {
	o := Options{Delay: true, RecvBuffer: 30_000, SendBuffer: 40_000, Linger: 7 * time.Second}
	if system.keepTimes {
		o.KeepAlive = KeepAlive{Idle: 50 * time.Second, Interval: 6 * time.Second, Count: 4}
	}
	if system.userTimeout {
		o.UserTimeout = 12345 * time.Millisecond
	}
	return o
}

// expect reads the options of a connection back and compares.
func expect(t *testing.T, s Socket, o Options) {
	t.Helper()
	if v, err := s.NoDelay(); err != nil || v != !o.Delay {
		t.Errorf("NoDelay: got %v, %v, want %v", v, err, !o.Delay)
	}
	k, err := s.KeepAlive()
	if err != nil || k.Off != o.KeepAlive.Off {
		t.Errorf("KeepAlive: got %+v, %v, want %+v", k, err, o.KeepAlive)
	}
	if o.KeepAlive.Idle != 0 && k != o.KeepAlive {
		t.Errorf("KeepAlive: got %+v, want %+v", k, o.KeepAlive)
	}
	if v, err := s.RecvBuffer(); err != nil || o.RecvBuffer > 0 && v != bufferFactor*o.RecvBuffer {
		t.Errorf("RecvBuffer: got %d, %v, want %d × %d", v, err, bufferFactor, o.RecvBuffer)
	}
	if v, err := s.SendBuffer(); err != nil || o.SendBuffer > 0 && v != bufferFactor*o.SendBuffer {
		t.Errorf("SendBuffer: got %d, %v, want %d × %d", v, err, bufferFactor, o.SendBuffer)
	}
	if v, err := s.Linger(); err != nil || v != o.Linger {
		t.Errorf("Linger: got %v, %v, want %v", v, err, o.Linger)
	}
	if v, err := s.UserTimeout(); err != nil || v != o.UserTimeout {
		t.Errorf("UserTimeout: got %v, %v, want %v", v, err, o.UserTimeout)
	}
}

// The options of a listener are those of what it accepts, on Linux without a further call: Accept relies on
// it.
func TestOptionsOnBothSides(t *testing.T) {
	for _, row := range []struct {
		name string
		o    Options
	}{
		{"zero", Options{}},
		{"everything", everything()},
		{"no keep-alive", Options{KeepAlive: KeepAlive{Off: true}}},
		{"reset at close", Options{Linger: LingerReset}},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := addrOf(t, "tcp://127.0.0.1:0")
			l, err := Listen(a, row.o)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			at, err := l.LocalAddr()
			if err != nil {
				t.Fatal(err)
			}
			c := connect(t, at, row.o)
			s := accept(t, l)
			if runtime.GOOS != "linux" {
				if err := s.Inherit(a, row.o); err != nil {
					t.Fatal(err)
				}
			}
			expect(t, c, row.o)
			expect(t, s, row.o)
			if row.o.Linger > 0 { // or closing waits, should the peer not be there
				c.SetLinger(0)
				s.SetLinger(0)
			}
		})
	}
}

func TestOptionsOfListener(t *testing.T) {
	l, _ := listen(t, "tcp://127.0.0.1:0?reuseport")
	if v, err := l.ReusePort(); err != nil || !v {
		t.Errorf("ReusePort: got %v, %v, want true", v, err)
	}
	if v, err := unix.GetsockoptInt(l.FD(), unix.SOL_SOCKET, unix.SO_REUSEADDR); err != nil || v == 0 {
		t.Errorf("SO_REUSEADDR: got %d, %v, want it set", v, err)
	}
	if system.deferAccept {
		l, _ := listen(t, "tcp://127.0.0.1:0?deferaccept=3s")
		if v, err := l.DeferAccept(); err != nil || v < 3*time.Second {
			t.Errorf("DeferAccept: got %v, %v, want 3 s or what the kernel makes of it", v, err)
		}
	}
	if system.fastOpen {
		a := addrOf(t, "tcp://127.0.0.1:0")
		l, err := Listen(a, Options{FastOpen: 16})
		if off := fastOpenOff(); off != "" {
			var oe *OptionError
			if !errors.As(err, &oe) || oe.Option != "fastopen" || oe.Problem != off {
				t.Errorf("FastOpen where it is off (%s): got %v, want that", off, err)
			}
		} else if err != nil {
			t.Errorf("FastOpen: %v", err)
		} else {
			if v, err := l.FastOpen(); err != nil || v != 16 {
				t.Errorf("FastOpen: got %d, %v, want 16", v, err)
			}
			l.Close()
		}
	}
	needIPv6(t)
	l6, _ := listen(t, "tcp://[::]:0?v6only")
	if v, err := l6.V6Only(); err != nil || !v {
		t.Errorf("V6Only: got %v, %v, want true", v, err)
	}
	l6, _ = listen(t, "tcp://:0")
	if v, err := l6.V6Only(); err != nil || v {
		t.Errorf("V6Only on all addresses: got %v, %v, want false", v, err)
	}
}

// A setting for an accepted or connected socket alone, later.
func TestSetters(t *testing.T) {
	l, at := listen(t, "tcp://127.0.0.1:0")
	c := connect(t, at, Options{})
	accept(t, l)
	o := everything()
	for name, err := range map[string]error{
		"nodelay":   c.SetNoDelay(false),
		"keepalive": c.SetKeepAlive(o.KeepAlive),
		"rcvbuf":    c.SetRecvBuffer(o.RecvBuffer),
		"sndbuf":    c.SetSendBuffer(o.SendBuffer),
		"linger":    c.SetLinger(o.Linger),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if system.userTimeout {
		if err := c.SetUserTimeout(o.UserTimeout); err != nil {
			t.Error(err)
		}
	}
	expect(t, c, o)
	if err := c.SetLinger(0); err != nil {
		t.Error(err)
	}
	if v, err := c.Linger(); v != 0 || err != nil {
		t.Errorf("Linger unset: got %v, %v, want 0", v, err)
	}

	for name, err := range map[string]error{
		"linger":      c.SetLinger(time.Millisecond),
		"keepalive":   c.SetKeepAlive(KeepAlive{Idle: -1}),
		"usertimeout": c.SetUserTimeout(time.Microsecond),
		"deferaccept": c.SetDeferAccept(time.Millisecond),
		"fastopen":    c.SetFastOpen(-1),
		"rcvbuf":      c.SetRecvBuffer(1 << 30),
	} {
		var oe *OptionError
		if !errors.As(err, &oe) && !errors.Is(err, unix.ENOBUFS) {
			t.Errorf("%s with a wrong value: got %v, want an *OptionError", name, err)
		}
	}

	err := None.SetNoDelay(true)
	if !errors.Is(err, unix.EBADF) || err.Error() != "set nodelay: setsockopt: bad file descriptor" {
		t.Errorf("SetNoDelay of None: got %v, want EBADF with operation and call", err)
	}
	if _, err := None.NoDelay(); !errors.Is(err, unix.EBADF) {
		t.Errorf("NoDelay of None: got %v, want EBADF", err)
	}
}

// The traffic class is that of either family, and of one that is mapped into the other.
func TestTrafficClass(t *testing.T) {
	if !system.trafficClass {
		t.Skip("no traffic class here")
	}
	const expedited = 46 << 2 // RFC 3246
	for _, c := range []struct{ listens, dials string }{
		{"tcp://127.0.0.1:0", "127.0.0.1"}, {"tcp://[::1]:0", "::1"}, {"tcp://[::]:0", "127.0.0.1"},
	} {
		l, at := listen(t, c.listens)
		at.Host = c.dials
		connect(t, at, Options{})
		s := accept(t, l)
		if err := s.SetTrafficClass(expedited); err != nil {
			t.Errorf("%s: %v", c.listens, err)
		}
		if v, err := s.TrafficClass(); v != expedited || err != nil {
			t.Errorf("%s: got %d, %v, want %d", c.listens, v, err, expedited)
		}
		for _, class := range []int{-1, 256} {
			if _, ok := errors.AsType[*OptionError](s.SetTrafficClass(class)); !ok {
				t.Errorf("%s: %d was taken", c.listens, class)
			}
		}
	}
}

// Quick acknowledgements are told to the kernel, and what it answers is what was told last.
func TestQuickAck(t *testing.T) {
	l, at := listen(t, "tcp://127.0.0.1:0")
	connect(t, at, Options{})
	s := accept(t, l)
	for _, on := range []bool{false, true} {
		err := s.SetQuickAck(on)
		if !system.quickAck {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("got %v, want ErrUnsupported", err)
			}
			continue
		}
		if got, getErr := s.QuickAck(); got != on || err != nil || getErr != nil {
			t.Errorf("set %v, got %v: %v, %v", on, got, err, getErr)
		}
	}
}
