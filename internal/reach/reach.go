// Package reach says what to do about a server that could not be reached.
package reach

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// wsaRefused is what Windows says for ECONNREFUSED.
const wsaRefused = syscall.Errno(10061)

// Advice wraps the error of a connection that could not be made with what its reader can do about it; program is what
// was to answer. Errors of another kind, and nil, come back as they are.
func Advice(program string, err error) error {
	var name *net.DNSError
	var late net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, wsaRefused):
		return fmt.Errorf("nobody listens there: is %s started, and are the URL's host and port right? %w", program, err)
	case errors.As(err, &name) && name.IsNotFound:
		return fmt.Errorf("there is no such host: is the URL's right? %w", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err // whoever called had no more time
	case errors.As(err, &late) && late.Timeout():
		return fmt.Errorf("no answer in time: does %s run, and does no firewall keep packets from it? %w", program, err)
	}
	return err
}
