package loop

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/plexor-go/plexor/sock"
)

// packetIO is what datagrams are read into and sent from, one for all sockets of a loop, made with the first of
// them. Untouched pages of the buffers take no memory.
type packetIO struct {
	in, out *sock.Batch
	ds      []sock.Datagram // each with its part of the read buffer
	outs    []sock.Datagram
	// What a refusal returns of a datagram: nobody asks for more than to whom it was.
	returned [64]byte
}

func newPacketIO(o *Options) *packetIO {
	pio := &packetIO{in: sock.NewBatch(o.PacketBatch), out: sock.NewBatch(o.PacketBatch)}
	buf := make([]byte, o.PacketBatch*o.PacketSize)
	pio.ds = make([]sock.Datagram, o.PacketBatch)
	for i := range pio.ds {
		pio.ds[i].Data = buf[i*o.PacketSize:][:o.PacketSize:o.PacketSize]
	}
	pio.outs = make([]sock.Datagram, o.PacketBatch)
	return pio
}

// receive handles one batch; it reports whether there may be more.
func (pio *packetIO) receive(s *PacketConn) bool {
	recv := pio.in.Recv
	if s.tells {
		recv = pio.in.RecvLocal
	}
	n, err := recv(s.sock, pio.ds)
	switch {
	case err == sock.ErrWouldBlock:
		pio.refusals(s) // ready, and yet nothing to receive: then that is what there is
		return false
	case err != nil:
		pio.receiveFailed(s, err)
		return false
	}
	if s.reads++; s.reads == 0 {
		pio.refusals(s) // a socket that is never read empty hears of them too
	}
	s.loop.stats.packetsIn.Add(int64(n))
	for i := range pio.ds[:n] {
		m := &pio.ds[i]
		s.received(m.Data[:m.N], m.Local, m.Peer, m.Truncated)
		if s.ended {
			return false
		}
	}
	return n == len(pio.ds)
}

// mostErrors bounds how many entries of the error queue one look reads.
const mostErrors = 64

// refusals reads off the system's queue which datagrams did not arrive, and why; it reports whether there were
// any. The handler is told at the end of the turn.
func (pio *packetIO) refusals(s *PacketConn) (any bool) {
	for range mostErrors {
		peer, _, cause, ok := s.sock.RecvError(pio.returned[:])
		if !ok {
			break
		}
		any = true
		s.refused(peer, cause)
	}
	return any
}

// receiveFailed: an error of receive is most often only the sign that a datagram was refused. Where the system
// keeps no queue of those it is all there is.
func (pio *packetIO) receiveFailed(s *PacketConn, err error) {
	switch {
	case errors.Is(err, syscall.EBADF), errors.Is(err, syscall.ENOTSOCK):
		s.end(fmt.Errorf("loop: datagram socket: receive: %w", err))
	case !pio.refusals(s):
		s.refused(netip.AddrPort{}, err)
	}
}

// send sends what waits, a batch a system call. A datagram that can't be sent is its own misfortune: the
// others go on.
func (pio *packetIO) send(s *PacketConn) {
	retried := -1
	for s.sent < len(s.out) {
		batch := pio.outs[:0]
		for _, o := range s.out[s.sent:min(s.sent+len(pio.outs), len(s.out))] {
			batch = append(batch, sock.Datagram{Data: s.data[o.from:o.to], Peer: o.peer, Local: o.local})
		}
		n, err := pio.out.Send(s.sock, batch)
		s.sent += n
		s.loop.stats.packetsOut.Add(int64(n))
		switch {
		case err == nil:
		case err == sock.ErrWouldBlock:
			s.blocked = true
			s.compact()
			s.loop.driver.updatePacket(s)
			return
		case retried != s.sent && pio.refusals(s):
			retried = s.sent // it was the refusal of an earlier one, which the system reports with the next call
		default:
			s.refused(s.out[s.sent].peer, err)
			s.sent++
		}
	}
	s.sentAll()
	s.loop.driver.updatePacket(s)
}
