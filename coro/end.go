package coro

import (
	"errors"
	"net/netip"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// How the scheduler learns that its loop ends. That has to be told by the loop's own goroutine, before it is gone: a
// coroutine that was made by a goroutine that is locked to its thread can be resumed on that thread alone, and what
// is parked must be resumed once more to end. A loop tells the handlers of its sockets, so the scheduler keeps a
// socket on the loop for that: a datagram socket on the loopback, that nobody knows and nothing is read from.

// farewell is the handler of that socket.
type farewell struct{ s *Scheduler }

func (farewell) Packet(*loop.PacketConn, []byte, netip.AddrPort, bool) {}

func (farewell) Refused(*loop.PacketConn, netip.AddrPort, error) {}

// Closed comes with ErrLoopClosed at the end. A graceful shutdown of a group closes all sockets that listen earlier
// than that, while connections and their coroutines go on.
func (f farewell) Closed(_ *loop.PacketConn, err error) {
	if errors.Is(err, loop.ErrLoopClosed) {
		f.s.end()
		return
	}
	f.s.awaitEnd()
}

func (s *Scheduler) awaitEnd() {
	var err error
	for _, host := range []string{"127.0.0.1", "::1"} {
		if _, err = s.loop.ListenPacket(sock.Addr{Scheme: "udp", Host: host}, sock.Options{}, farewell{s}); err == nil {
			return
		}
	}
	if errors.Is(err, loop.ErrClosed) {
		s.end()
		return
	}
	s.opt.Log.Warn("the end of a loop will not end its coroutines: no socket to learn of it with; trying again", "err", err)
	s.loop.AfterFunc(retryEnd, s.awaitEnd)
}
