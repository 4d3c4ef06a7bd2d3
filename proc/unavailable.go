//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package proc

import (
	"context"

	"github.com/plexor-go/plexor/sock"
)

// Elsewhere no process is ever started as a worker.

type control struct{}

func begin() {}

func (c *Master) run(context.Context) error { return ErrUnavailable }

// Ready tells the master that the worker serves.
func (w *Worker) Ready(status string) error { return ErrUnavailable }

// Bind gives the descriptor that is bound to one of Addrs.
func (w *Worker) Bind(addr string) (sock.Socket, error) { return sock.None, ErrUnavailable }

func (p *Pool) start() error { return ErrUnavailable }

func isPackets(string) bool { return false }
