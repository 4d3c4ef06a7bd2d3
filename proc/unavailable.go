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

type keeper struct{}

func (p *Pool) match() {}

func (p *Pool) call(context.Context, string, []byte) (*task, error) { return nil, ErrUnavailable }

func isPackets(string) bool { return false }

// An Activation is the sockets that a service manager handed to this process: here there are none.
type Activation struct{}

// Activated takes what was handed over: nothing here.
func Activated() (*Activation, error) { return &Activation{}, nil }

// Sockets is how many were handed over: none.
func (a *Activation) Sockets() int { return 0 }

// Bind is not to be called where nothing was handed over.
func (a *Activation) Bind(addr string) (sock.Socket, error) { return sock.None, ErrUnavailable }

// CloseUnused has nothing to close.
func (a *Activation) CloseUnused() (unused int) { return 0 }

// Close has nothing to close.
func (a *Activation) Close() {}
