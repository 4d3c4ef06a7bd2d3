//go:build !linux

package tap

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// A Device is a TAP device, which only Linux has here.
type Device struct {
	name    string
	offload bool
}

// Open fails with errors.ErrUnsupported.
func Open(o Options) (*Device, error) {
	return nil, fmt.Errorf("tap: %q: %w", o.Name, errors.ErrUnsupported)
}

func (d *Device) read([]byte, int, func(), func(), func([]byte)) error { return errors.ErrUnsupported }

// Read fails with errors.ErrUnsupported.
func (d *Device) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// SetReadDeadline fails with errors.ErrUnsupported.
func (d *Device) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

// Write fails with errors.ErrUnsupported.
func (d *Device) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

// SyscallConn fails with errors.ErrUnsupported.
func (d *Device) SyscallConn() (syscall.RawConn, error) { return nil, errors.ErrUnsupported }

// Name is the interface's.
func (d *Device) Name() string { return d.name }

// MAC is the link address of the kernel's side.
func (d *Device) MAC() wire.MAC { return wire.MAC{} }

// MTU is that of both sides, in bytes.
func (d *Device) MTU() int { return defaultMTU }

// Close ends the device.
func (d *Device) Close() error { return nil }
