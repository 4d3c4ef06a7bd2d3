package plexor

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// An endpoint is what a server listens on.
type endpoint struct {
	srv     *Server
	text    string // as it was given
	addr    sock.Addr
	options sock.Options
	handler Handler       // of streams
	rest    *messages     // what handler is underneath; nil: its connections do not rest
	packets PacketHandler // of datagrams
	shared  *Listener     // in place of handler: connections go to its Accept
	foreign bool          // the socket, and a unix one's file, belong to somebody else: a net.Listener of Serve

	pair KeyPair     // of a tls address: its own
	pin  []byte      // of one that is dialled: the SHA-256 of the certificate that is trusted
	tls  *tls.Config // of a tls address

	ownTickets bool                       // tls has keys of its own for tickets, or wants none
	tickets    atomic.Pointer[[][32]byte] // those of the server that tls has by now; nil: none

	local net.Addr // before it listens, and never changed
	ended atomic.Bool
	open  atomic.Int64 // connections
	came  atomic.Int64 // likewise, all that were accepted
	no    atomic.Int64 // of them: refused
	ln    *loop.GroupListener
	pc    *loop.PacketConn
}

// parseEndpoint reads an address.
func parseEndpoint(text string) (*endpoint, error) {
	ep := &endpoint{text: text}
	var err error
	secure := false
	if ep.addr, secure, err = ParseAddr(text); err != nil {
		return nil, fmt.Errorf("plexor: %w", err)
	}
	if secure {
		ep.tls = new(tls.Config) // until secureWith
		if ep.pair, err = cutPair(ep.addr.Query); err == nil {
			ep.pin, err = cutFingerprint(ep.addr.Query)
		}
		if err != nil {
			return nil, fmt.Errorf("plexor: %s: %w", text, err)
		}
	}
	var rest map[string][]string
	if ep.options, rest, err = sock.ParseOptions(ep.addr.Query); err != nil {
		return nil, fmt.Errorf("plexor: %s: %w", text, err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("plexor: %s: unknown option %q; there are %s",
			text, slices.Sorted(maps.Keys(rest))[0], strings.Join(sock.OptionKeys(), ", "))
	}
	if err := ep.options.Check(ep.addr); err != nil {
		return nil, fmt.Errorf("plexor: %s: %w", text, err)
	}
	return ep, nil
}

// ParseAddr reads an address as Server and Dial take it: one of sock.ParseAddr's, or one that begins with tls://, which
// is a tcp address that speaks TLS. The error is a *sock.AddrError. Options of the query are left alone.
func ParseAddr(text string) (a sock.Addr, secure bool, err error) {
	tcp, secure := cutTLS(text)
	a, err = sock.ParseAddr(tcp)
	if e, ok := errors.AsType[*sock.AddrError](err); ok {
		e.Addr = text
		switch {
		case secure:
			e.Problem = strings.ReplaceAll(e.Problem, "tcp://", tlsScheme)
		case e.Scheme != "":
			e.Problem = fmt.Sprintf("unknown scheme %q: it is tcp, tls, udp or unix", e.Scheme)
		default: // package sock knows no TLS
			e.Problem = strings.ReplaceAll(e.Problem, "write tcp://host:port, ", "write tcp://host:port, tls://host:port, ")
		}
	}
	return a, secure, err
}

// secure reports whether the connections begin with a TLS handshake.
func (ep *endpoint) secure() bool { return ep.tls != nil }

// check finds what is wrong before anything listens.
func (ep *endpoint) check() error {
	udp := ep.addr.Scheme == "udp"
	switch {
	case udp && ep.packets == nil && ep.handler != nil:
		return fmt.Errorf("plexor: %s: datagrams need a PacketHandler (Server.Packets, or OpenPackets)", ep.text)
	case udp && ep.packets == nil:
		return fmt.Errorf("plexor: %s: no handler for datagrams (Server.Packets)", ep.text)
	case udp:
		return nil
	case ep.shared != nil:
		return nil
	case ep.handler == nil && ep.packets != nil:
		return fmt.Errorf("plexor: %s: streams need a Handler (Server.Handler, or Open)", ep.text)
	case ep.handler == nil:
		return fmt.Errorf("plexor: %s: no handler (Server.Handler)", ep.text)
	}
	if r, ok := ep.handler.(rester); ok {
		ep.rest = r.rests()
		if err := ep.rest.check(); err != nil {
			return err
		}
	}
	return ep.checkIdle()
}

// bind makes the sockets, or has them given.
func (ep *endpoint) bind() ([]sock.Socket, error) {
	if ep.srv.Bind == nil {
		return ep.srv.group.Bind(ep.addr, ep.options)
	}
	s, err := ep.srv.Bind(ep.text)
	if err != nil {
		return nil, fmt.Errorf("plexor: %s: %w", ep.text, err)
	}
	return []sock.Socket{s}, nil
}

// discard closes sockets of bind that are not used after all.
func (ep *endpoint) discard(sockets []sock.Socket) {
	if ep.srv.Bind == nil {
		ep.srv.group.Discard(sockets...)
		return
	}
	for _, s := range sockets {
		_ = s.Close() // what led here is told
	}
}

// listen takes over the sockets, which are bound.
func (ep *endpoint) listen(sockets []sock.Socket) (err error) {
	g := ep.srv.group
	if ep.addr.Scheme == "udp" {
		take := g.ListenPacketOn
		if ep.srv.Bind != nil {
			take = g.ListenPacketShared
		}
		if ep.pc, err = take(sockets[0], &packetEvents{ep: ep}); err != nil {
			return err
		}
		ep.local = netAddr(ep.pc.Addr())
		return nil
	}
	at, err := g.LocalAddr(sockets[0])
	if err != nil {
		ep.discard(sockets)
		return fmt.Errorf("plexor: %s: %w", ep.text, err)
	}
	ep.local = netAddr(at)
	if others := ep.srv.Bind != nil || ep.foreign; ep.shared != nil && !ep.secure() && borrows && !keepOnLoop &&
		ep.srv.Network == nil {
		ep.ln, err = g.ListenLent(ep.options, ep.accept, others, sockets...)
	} else if others {
		ep.ln, err = g.ListenShared(ep.options, ep.accept, sockets[0])
	} else {
		ep.ln, err = g.ListenOn(ep.options, ep.accept, sockets...)
	}
	if err != nil {
		return err
	}
	ep.srv.enroll(ep)
	return nil
}

// close stops listening; connections go on. Its error is a *loop.HeldError, or several: what a handler holds up was
// broken off, then.
func (ep *endpoint) close() error {
	ep.ended.Store(true)
	var err error
	switch {
	case ep.ln != nil:
		err = ep.ln.Close()
	case ep.pc != nil:
		err = ep.pc.CloseFrom()
	}
	if held(err) {
		return err
	}
	return nil // a loop that has ended listens no more
}

// inherit listens by a duplicate of ln's descriptor.
func (ep *endpoint) inherit(ln net.Listener) error {
	if ep.srv.Network != nil {
		return fmt.Errorf("plexor: Serve: the server stands on a Network, and %s is the kernel's: %w", ln.Addr(),
			errors.ErrUnsupported)
	}
	f, ok := ln.(interface{ File() (*os.File, error) })
	if !ok {
		return fmt.Errorf("plexor: Serve: a %T has no descriptor for the loops to accept from: "+
			"give it a *net.TCPListener or *net.UnixListener", ln)
	}
	ep.text, ep.foreign = ln.Addr().String(), true
	if err := ep.check(); err != nil {
		return err
	}
	s := ep.srv
	if err := s.start(); err != nil {
		return err
	}
	file, err := f.File()
	if err != nil {
		return fmt.Errorf("plexor: Serve: %w", err)
	}
	dup, err := takeSocket(file)
	if err = errors.Join(err, file.Close()); err == nil {
		if err = checkServes(dup, ln.Addr().Network()); err != nil {
			_ = dup.Close() // err is the one to tell
		}
	}
	if err != nil {
		return fmt.Errorf("plexor: Serve: %s: %w", ep.text, err)
	}
	s.mu.Lock()
	s.files = append(s.files, ln)
	s.mu.Unlock()
	if err = ep.listen([]sock.Socket{dup}); err != nil {
		s.mu.Lock()
		s.files = slices.DeleteFunc(s.files, func(f net.Listener) bool { return f == ln }) // it is the caller's again
		s.mu.Unlock()
	}
	return s.closedOr(err)
}

// checkServes checks what a net.Listener is made of, where the system tells: net.FileListener makes one of a socket of
// messages (unixpacket), and of one that is bound and does not listen.
func checkServes(s sock.Socket, network string) error {
	scheme := "tcp"
	if strings.HasPrefix(network, "unix") {
		scheme = "unix"
	}
	if err := sock.CheckServes(s, scheme); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// accept is the loop's: it makes a connection of ours, or refuses it by nil.
func (ep *endpoint) accept(lc *loop.Conn) loop.Handler {
	w := ep.srv.workers[lc.Loop()]
	peer := peerOf(lc)
	ep.came.Add(1)
	if !ep.srv.admit(peer) {
		ep.no.Add(1)
		return nil
	}
	ep.open.Add(1)
	if ep.shared != nil && !ep.secure() {
		return ep.shared.accepted(w, lc, peer)
	}
	if ep.rest != nil {
		return ep.rest.accept(ep, w, lc, peer)
	}
	c := newConn(ep)
	c.raw = w.newStream(lc, peer, accepted)
	lc.ReadOn() // it is the handler who does not read while it waits to write, if it is written so
	switch {
	case greeter(ep.handler):
		w.enlist(c)
	case ep.secure():
		c.raw.above |= unshaken
		w.enlist(c) // shook begins to await its first byte
	default:
		w.await(c)
	}
	return (*events)(c)
}

var _ io.Closer = (*Server)(nil)
