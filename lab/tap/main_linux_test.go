package tap

import (
	"errors"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/internal/ownnet"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

var (
	kernel4, kernel6 = netip.MustParsePrefix("10.9.0.1/24"), netip.MustParsePrefix("fd09::1/64")
	host4, host6     = netip.MustParsePrefix("10.9.0.2/24"), netip.MustParsePrefix("fd09::2/64")
)

// enter goes on in a network of the test's own; see ownnet.Enter.
func enter(t *testing.T) bool { return ownnet.Enter(t) }

// device opens a device, or skips the test where there can be none.
func device(t *testing.T, o Options) *Device {
	t.Helper()
	dev, err := Open(o)
	for _, missing := range []error{unix.ENOENT, unix.EACCES, unix.EPERM, unix.ENODEV} {
		if errors.Is(err, missing) {
			t.Skipf("no TAP device can be had here: %v", err)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

// newHost is a host at a device of its own.
func newHost(t *testing.T, o HostOptions) *Host {
	t.Helper()
	return newHostAt(t, o, Options{})
}

// newHostAt is a host at a device of this kind.
func newHostAt(t *testing.T, o HostOptions, d Options) *Host {
	t.Helper()
	d.Addrs = []netip.Prefix{kernel4, kernel6}
	o.Addrs = append(o.Addrs, host4, host6)
	h, err := NewHost(device(t, d), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}
