package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// mostDatagram is the longest line that is sent, in bytes: what UDP over IPv4 carries (RFC 768).
const mostDatagram = 65507

// mostUnprinted is how many datagrams may wait to be printed; more are lost, as in a socket's own buffer.
const mostUnprinted = 1024

// defaultQuiet is how long an answer is waited for, behind the end of the input.
const defaultQuiet = time.Second

// A datagrams is a socket, and what came to it. As nc -u it sends and prints bytes as they are; but each line of the
// input is one datagram, with its line feed, where nc makes one of whatever a read of the input gives. UDP tells of no
// end, so behind that of the input it waits until nothing has come for a while.
type datagrams struct {
	c     *console
	peer  netip.AddrPort
	sock  *loop.PacketConn
	queue *coro.Queue[arrival]
}

// An arrival is a datagram, or an error, or, without either, the end of the input.
type arrival struct {
	b   []byte
	err error
}

// packets connects standard input and output to a udp address.
func (d *dialCmd) packets(ctx context.Context, to target, c *console) error {
	t, err := coro.Self(ctx, "dial")
	if err != nil {
		return err
	}
	addrs, err := coro.Await(ctx, func() ([]sock.Addr, error) { return to.addr.Resolve(ctx) })
	if err != nil {
		return err
	}
	ap, _ := addrs[0].AddrPort() // it is a literal, since Resolve made it
	if ap.Addr().IsUnspecified() {
		ap = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ap.Port()) // this machine
	}
	local := netip.IPv4Unspecified()
	if ap.Addr().Is6() {
		local = netip.IPv6Unspecified()
	}
	p := &datagrams{c: c, peer: sock.AsPeer(ap), queue: coro.NewQueue[arrival](mostUnprinted)}
	p.sock, err = t.Scheduler().Loop().ListenPacket(sock.FromAddrPort("udp", netip.AddrPortFrom(local, 0)), to.options, p)
	if err != nil {
		return err
	}
	defer p.sock.Close()
	quiet := d.Timeout
	if quiet == 0 {
		quiet = defaultQuiet
	}
	return coro.Group(ctx, func(g *coro.Tasks) error {
		g.GoNamed("send", p.send)
		g.GoNamed("receive", func(ctx context.Context) error { return p.receive(ctx, quiet) })
		return nil
	})
}

// send makes each line a datagram. The last one needs no line feed.
func (p *datagrams) send(ctx context.Context) error {
	lines := bufio.NewReaderSize(p.c.in, mostDatagram+1)
	for number := 1; ; number++ {
		end := false
		line, err := coro.Await(ctx, func() ([]byte, error) {
			line, err := lines.ReadSlice('\n')
			switch {
			case err == io.EOF:
				end, err = true, nil
			case errors.Is(err, bufio.ErrBufferFull):
				err = fmt.Errorf("it is longer than the %d bytes of a datagram", mostDatagram)
			}
			return line, err
		})
		if err == nil && len(line) > 0 {
			_, err = p.sock.WriteTo(line, p.peer)
		}
		if err != nil {
			return fmt.Errorf("line %d of standard input: %w", number, err)
		}
		if end {
			return p.queue.Put(ctx, arrival{})
		}
	}
}

// receive prints what comes.
func (p *datagrams) receive(ctx context.Context, quiet time.Duration) error {
	ended := false
	next := func(ctx context.Context) (a arrival, err error) { return p.queue.Get(ctx) }
	for {
		var a arrival
		var err error
		if ended {
			err = coro.Timeout(ctx, quiet, func(ctx context.Context) error { a, err = next(ctx); return err })
			if errors.Is(err, context.DeadlineExceeded) {
				return nil
			}
		} else {
			a, err = next(ctx)
		}
		switch {
		case err != nil:
			return err
		case a.err != nil:
			return fmt.Errorf("udp://%s: %w", p.peer, a.err)
		case a.b == nil:
			ended = true
			continue
		}
		if _, err := coro.Await(ctx, func() (int, error) { return p.c.out.Write(a.b) }); err != nil {
			return fmt.Errorf("standard output: %w", err)
		}
	}
}

// Packet is of loop.PacketHandler. What others than the peer send is not for us.
func (p *datagrams) Packet(_ *loop.PacketConn, b []byte, peer netip.AddrPort, _ bool) {
	if peer.Port() == p.peer.Port() && peer.Addr().WithZone("") == p.peer.Addr().WithZone("") {
		// What finds no room is lost, as a datagram may be. An empty one is no end.
		_ = p.queue.TryPut(arrival{b: append(make([]byte, 0, len(b)+1), b...)})
	}
}

// Refused is of loop.PacketHandler: nobody is there.
func (p *datagrams) Refused(_ *loop.PacketConn, _ netip.AddrPort, err error) {
	_ = p.queue.TryPut(arrival{err: err})
}

// Closed is of loop.PacketHandler.
func (p *datagrams) Closed(_ *loop.PacketConn, err error) {
	if err != nil {
		_ = p.queue.TryPut(arrival{err: err})
	}
}
