package main

import (
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A service is what is done with what arrives: it returns the reply, which may reuse p.
type service func(p []byte) []byte

var services = map[string]service{
	"echo":  func(p []byte) []byte { return p },
	"upper": upper,
}

// upper turns a to z into A to Z, and leaves all other bytes alone.
func upper(p []byte) []byte {
	for i, b := range p {
		if 'a' <= b && b <= 'z' {
			p[i] = b - ('a' - 'A')
		}
	}
	return append(p, "_SB"...)
}

// An offer is one SERVICE=ADDRESS of the command line.
type offer struct {
	name    string
	service service
	addr    sock.Addr
	options sock.Options
	codec   frame.Codec // nil: the service works on pieces as they come
}

// parseOffer reads one, all of it, so that nothing is listening yet when something is wrong.
func parseOffer(arg string) (offer, error) {
	name, address, ok := strings.Cut(arg, "=")
	known := strings.Join(slices.Sorted(maps.Keys(services)), ", ")
	if !ok {
		return offer{}, usagef("%q: want SERVICE=ADDRESS, such as echo=tcp://127.0.0.1:9000", arg)
	}
	o := offer{name: name, service: services[name]}
	if o.service == nil {
		return offer{}, usagef("%q: unknown service %q; there are %s", arg, name, known)
	}
	var err error
	if o.addr, err = sock.ParseAddr(address); err != nil {
		return offer{}, usagef("%q: %w", arg, err)
	}
	var rest map[string][]string
	if o.options, rest, err = sock.ParseOptions(o.addr.Query); err != nil {
		return offer{}, usagef("%q: %w", arg, err)
	}
	if spec, ok := rest["frame"]; ok {
		delete(rest, "frame")
		if o.codec, err = parseCodec(o.addr, spec); err != nil {
			return offer{}, usagef("%q: %w", arg, err)
		}
	}
	if len(rest) > 0 {
		return offer{}, usagef("%q: unknown option %q; there are %s", arg,
			slices.Sorted(maps.Keys(rest))[0], strings.Join(append(sock.OptionKeys(), "frame"), ", "))
	}
	if err := o.options.Check(o.addr); err != nil {
		return offer{}, usagef("%q: %w", arg, err)
	}
	return o, nil
}

// parseCodec reads the option frame.
func parseCodec(a sock.Addr, specs []string) (frame.Codec, error) {
	switch {
	case a.Scheme == "udp":
		return nil, fmt.Errorf("option frame: a datagram is a message already")
	case len(specs) != 1:
		return nil, fmt.Errorf("option frame: it is given %d times", len(specs))
	}
	c, err := frame.Parse(specs[0])
	if err != nil {
		return nil, fmt.Errorf("option frame: %w", err)
	}
	return c, nil
}

// accept is what serves a new connection.
func (o offer) accept(log *slog.Logger) loop.AcceptFunc {
	if o.codec != nil {
		return func(*loop.Conn) loop.Handler { return newFramed(o, log) }
	}
	h := loop.HandlerFunc(o.stream)
	return func(*loop.Conn) loop.Handler { return h }
}

// stream serves connections. A reply is taken whole: data only comes while there is room.
func (o offer) stream(c *loop.Conn, p []byte) {
	if _, err := c.Write(o.service(p)); err != nil {
		c.CloseWithError(fmt.Errorf("%s: reply: %w", o.name, err))
	}
}

// packet serves datagrams. One that can't be answered is dropped, as UDP does; the log hears of it once.
func (o offer) packet(log *slog.Logger) loop.PacketFunc {
	var once sync.Once
	return func(s *loop.PacketConn, p []byte, peer netip.AddrPort, _ bool) {
		if _, err := s.WriteTo(o.service(p), peer); err != nil {
			once.Do(func() {
				log.Warn("datagram not answered; no more is said of these", "service", o.name, "peer", peer, "err", err)
			})
		}
	}
}
