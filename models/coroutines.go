package models

import (
	"context"
	"errors"
	"net"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/sock"
)

var coroutines = Model{
	Name:  "coroutines",
	Short: "Plexor's server: a coroutine for each client, on event loops",
	Doc: "Plexor's Server: event loops, one a core, on the best driver that the machine has, and on them a coroutine " +
		"for each connection. The code reads as that of blocking; a Read that would wait switches back to the loop, which " +
		"resumes it when its bytes have come. That is a function call's worth of work (some 100 ns) and no business of any " +
		"scheduler's, neither Go's nor the kernel's. Callbacks' speed, then, for straight-line code; what it costs over " +
		"them is a small stack a connection. What blocks otherwise, on a lock or a file, holds up its loop: such work is " +
		"handed away. One chooses it for many connections and for code that wants to be read.",
	Quadrant: Quadrant{Async: true, NonBlocking: true, Parallel: true},
	serve:    serveCoroutines,
}

func serveCoroutines(ctx context.Context, j Job) error {
	srv := &plexor.Server{Log: j.Log, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { serveConn(c, j.Service) })}
	defer srv.Close() // also if it can't listen: its loops run by then
	got, err := srv.Open(j.Addr.String(), nil)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	j.ready(sock.FromAddrPort("tcp", got.(*net.TCPAddr).AddrPort()))
	if err := srv.Wait(); !errors.Is(err, plexor.ErrServerClosed) {
		return err
	}
	return nil
}
