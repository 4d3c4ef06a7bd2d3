package plexor

import (
	"context"
	"net"
	"net/netip"

	"github.com/plexor-go/plexor/loop"
)

// A PacketHandler serves datagrams, each as a coroutine of its own.
type PacketHandler interface {
	// ServePacket serves one datagram. It may wait; others are served meanwhile, up to Limits.Packets.
	ServePacket(p *Packet)
}

// A PacketFunc is a PacketHandler that is a function. If it panics, that is logged with the coroutine's stack, and the
// server goes on.
type PacketFunc func(p *Packet)

// ServePacket calls f.
func (f PacketFunc) ServePacket(p *Packet) { f(p) }

// A Packet is a datagram that arrived, and the way to answer it. It is the handler's until that returns, for coroutines
// of its loop.
type Packet struct {
	Data []byte         // the handler's, to change too, until it returns
	Peer netip.AddrPort // who sent it
	// Local is the address of this machine that it was sent to, and that answers leave from: on a server that listens on
	// all addresses the one that the peer asked, else the server's. A link-local one has its interface for its zone. See
	// loop.PacketConn.Local for broadcasts and multicasts, and for systems other than Linux, which do not tell.
	Local     netip.AddrPort
	Truncated bool // it was longer, and this is its beginning

	w       *worker
	ep      *endpoint
	socket  *loop.PacketConn
	buf     *buffer
	ctx     context.Context
	expired bool
}

// Reply sends p to the peer; see WriteTo.
func (k *Packet) Reply(p []byte) error { return k.WriteTo(p, k.Peer) }

// WriteTo sends p from the socket that the datagram came to. It does not wait: the error is loop.ErrFull if too much
// waits to be sent, and the datagram is then dropped and counted, as UDP may; loop.ErrTooLarge if UDP can't carry it;
// or net.ErrClosed. p is the caller's again when it returns.
//
// What goes to Peer leaves from Local, whenever that is: from another address the peer takes no answer (RFC 1122
// section
// 4.1.3.5). What goes to others leaves from the server's address, or from one that the system chooses if that is all.
func (k *Packet) WriteTo(p []byte, peer netip.AddrPort) error {
	_, err := k.w.sched.Self("Packet.WriteTo")
	if err == nil && k.expired {
		err = ErrReturned
	}
	if err == nil {
		var from netip.Addr
		if peer == k.Peer {
			from = k.Local.Addr()
		}
		_, err = k.socket.WriteFrom(p, from, peer)
	}
	if err != nil {
		return &net.OpError{Op: "write", Net: "udp", Addr: net.UDPAddrFromAddrPort(peer), Err: err}
	}
	return nil
}

// LocalAddr is the address of the socket that the datagram came to: a *net.UDPAddr. That of a server that listens on
// all addresses is unspecified; Local is the one that was asked.
func (k *Packet) LocalAddr() net.Addr { return netAddr(k.socket.Addr()) }

// Context is the handler's context, for package coro's operations and for others that take one. It is cancelled when
// the handler has returned.
func (k *Packet) Context() context.Context { return k.ctx }

// packetEvents are the loop's calls for a datagram socket.
type packetEvents struct{ ep *endpoint }

func (e *packetEvents) Packet(s *loop.PacketConn, p []byte, peer netip.AddrPort, truncated bool) {
	srv := e.ep.srv
	w := srv.workers[s.Loop()]
	if w.packets >= srv.limits.Packets {
		srv.stats.packetsDropped.Add(1)
		return
	}
	w.packets++
	srv.stats.handlers.Add(1)
	k := &Packet{Peer: peer, Local: s.Local(), Truncated: truncated, w: w, ep: e.ep, socket: s,
		buf: w.buffers.get(len(p))}
	k.buf.b = append(k.buf.b, p...)
	k.Data = k.buf.b
	w.sched.Start(context.Background(), "plexor packet", k.run).OnEnd(k.ended)
}

func (k *Packet) run(ctx context.Context) error {
	k.ctx = ctx
	k.ep.packets.ServePacket(k)
	return nil
}

func (k *Packet) ended(err error) {
	k.expired = true
	k.w.packets--
	k.w.srv.stats.handlers.Add(-1)
	k.w.buffers.put(k.buf)
	k.buf = nil
	k.w.reportPanic("udp://"+k.Peer.String(), err)
}

// Refused: UDP promises nothing.
func (e *packetEvents) Refused(*loop.PacketConn, netip.AddrPort, error) {}

// Closed is the end of the socket; an error of its own is not to be missed.
func (e *packetEvents) Closed(s *loop.PacketConn, err error) {
	if err != nil && e.ep.srv.running() {
		e.ep.srv.log.Error("a datagram socket failed", "addr", s.Addr().String(), "err", err)
	}
}
