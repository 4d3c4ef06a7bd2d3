package selector

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
)

var (
	// ErrClosed: the Selector is closed. It is also a [net.ErrClosed] and an os.ErrClosed.
	ErrClosed error = &alias{"the selector is closed", []error{net.ErrClosed, fs.ErrClosed}}
	// ErrInvalid: a descriptor or a set of events that cannot be. It is also an os.ErrInvalid.
	ErrInvalid error = &alias{"invalid argument", []error{fs.ErrInvalid}}
	// ErrRegistered: the descriptor is registered already; use Modify. It is also an os.ErrExist.
	ErrRegistered error = &alias{"it is registered already; Modify changes it", []error{fs.ErrExist}}
	// ErrNotRegistered: the descriptor is not registered. It is also an os.ErrNotExist.
	ErrNotRegistered error = &alias{"it is not registered", []error{fs.ErrNotExist}}
	// ErrLimit: this multiplexer cannot hold the descriptor, or not one more.
	ErrLimit = errors.New("beyond what the multiplexer can hold")
	// ErrBusy: another goroutine is in Select.
	ErrBusy = errors.New("another goroutine is in Select")
	// ErrUnavailable: there is no such multiplexer here. It is also an [errors.ErrUnsupported].
	ErrUnavailable error = &alias{"there is no such multiplexer", []error{errors.ErrUnsupported}}
)

// alias is an error that is also others, without their words.
type alias struct {
	text string
	is   []error
}

func (a *alias) Error() string   { return a.text }
func (a *alias) Unwrap() []error { return a.is }

// noFD stands for no descriptor; -1 may be what a caller gave.
const noFD = math.MinInt

// failed says what failed and where. fd is noFD where no descriptor is meant.
func (s *Selector) failed(op string, fd int, err error) error {
	if fd == noFD {
		return fmt.Errorf("selector: %s (%s): %w", op, s.name, err)
	}
	return fmt.Errorf("selector: %s descriptor %d (%s): %w", op, fd, s.name, err)
}
