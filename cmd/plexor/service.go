package main

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/plexor-go/plexor"
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
	target
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
	if o.target, err = parseTarget(address, "cert", "key"); err != nil {
		return offer{}, usagef("%q: %w", arg, err)
	}
	return o, nil
}

// open has srv serve the offer, and returns the address that it got.
func (o offer) open(srv *plexor.Server) (string, error) {
	var a net.Addr
	var err error
	if o.addr.Scheme == "udp" {
		a, err = srv.OpenPackets(o.address(), o.packet(srv.Log))
	} else {
		a, err = srv.Open(o.address(), o.handler())
	}
	if err != nil {
		return "", err
	}
	return o.listening(a), nil
}

// handler serves streams: each piece that arrives, or, with a codec, each message.
func (o offer) handler() plexor.Handler {
	if o.codec != nil {
		return plexor.Messages(o.codec, o.message)
	}
	if o.name == "echo" {
		return plexor.HandlerFunc(func(c *plexor.Conn) {
			_, _ = io.Copy(c, c) // that the connection broke is no news to anybody
		})
	}
	return plexor.HandlerFunc(func(c *plexor.Conn) {
		_, _ = io.Copy(replier{c, o.service}, c) // likewise
	})
}

// A reply is put together in here, and then copied by Write.
type scratch struct{ b []byte }

// Scratch beyond this size is not kept for the next one.
const keepScratch = 64 << 10

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// A replier writes the service's reply to what is written to it.
type replier struct {
	w       io.Writer
	service service
}

func (r replier) Write(p []byte) (int, error) {
	s := scratches.Get().(*scratch)
	s.b = r.service(append(s.b[:0], p...))
	_, err := r.w.Write(s.b)
	if cap(s.b) <= keepScratch {
		scratches.Put(s)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// message answers one message.
func (o offer) message(c *plexor.Conn, msg []byte) error {
	if err := c.Send(o.service(msg)); err != nil {
		return fmt.Errorf("%s: reply: %w", o.name, err)
	}
	return nil
}

// packet serves datagrams. One that can't be answered is dropped, as UDP does; the log hears of it once.
func (o offer) packet(log *slog.Logger) plexor.PacketHandler {
	var once sync.Once
	return plexor.PacketFunc(func(p *plexor.Packet) {
		if err := p.Reply(o.service(p.Data)); err != nil {
			once.Do(func() {
				log.Warn("datagram not answered; no more is said of these", "service", o.name, "peer", p.Peer, "err", err)
			})
		}
	})
}
