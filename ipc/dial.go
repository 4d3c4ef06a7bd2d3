package ipc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/plexor-go/plexor/internal/backlog"
	"github.com/plexor-go/plexor/sock"
)

// dial connects, to a path if the network is unix.
func dial(ctx context.Context, op, network, address string) (nc net.Conn, err error) {
	err = await(ctx, op, func(ctx context.Context) error {
		var full error
		for pace := new(backlog.Pace); ; {
			var err error
			var d net.Dialer
			nc, err = d.DialContext(ctx, network, address)
			if _, limited := ctx.Deadline(); limited && isTimeout(err) {
				<-ctx.Done() // the dialer looks at the deadline itself, and may be first
			}
			if err != nil && ctx.Err() == nil {
				if network != "unix" || !errors.Is(err, sock.ErrWouldBlock) {
					return err
				}
				full = fmt.Errorf("the server's backlog is full: it does not accept as fast as clients come: %w", err)
				if pace.Waited >= backlog.Patience {
					return full
				}
				if pauseFor(ctx, pace.Next()) {
					continue
				}
			}
			switch {
			case err == nil:
				return nil
			case full != nil:
				return fmt.Errorf("%w: %w", context.Cause(ctx), full)
			}
			return context.Cause(ctx)
		}
	})
	return nc, err
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout() && !errors.Is(err, sock.ErrWouldBlock)
}

// pauseFor waits; false says that ctx has ended.
func pauseFor(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
