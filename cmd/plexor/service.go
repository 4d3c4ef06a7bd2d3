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
	"github.com/plexor-go/plexor/web"
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
	site    *site     // of http
	ftp     *ftpSite  // of ftp
	mail    *mailSite // of smtp
	target
}

// address is that of the target, where the service has no other.
func (o offer) address() string {
	if o.ftp != nil {
		return o.ftp.address(o.target)
	}
	return o.target.address()
}

// ownCertificate reports whether a certificate has to be made for it.
func (o offer) ownCertificate() bool {
	if o.ftp != nil {
		return o.ftp.cert == nil
	}
	if o.mail != nil && !o.secure {
		return o.mail.fingerprint != ""
	}
	return o.target.ownCertificate()
}

// parseOffer reads one, all of it, so that nothing is listening yet when something is wrong.
func parseOffer(arg string) (offer, error) {
	name, address, ok := strings.Cut(arg, "=")
	known := strings.Join(append(slices.Sorted(maps.Keys(services)), ftpService, httpService, smtpService), ", ")
	if !ok {
		return offer{}, usagef("%q: want SERVICE=ADDRESS, such as echo=tcp://127.0.0.1:9000", arg)
	}
	o := offer{name: name, service: services[name]}
	var own []string
	pair := []string{"cert", "key"}
	switch {
	case name == httpService:
		own = httpOptions
	case name == ftpService:
		own, pair = ftpOptions, nil
	case name == smtpService:
		own = smtpOwn(address)
	case o.service == nil:
		return offer{}, usagef("%q: unknown service %q; there are %s", arg, name, known)
	}
	var err error
	if o.target, err = parseTargetWith(address, own, pair...); err != nil {
		return offer{}, usagef("%q: %w", arg, err)
	}
	switch name {
	case httpService:
		o.site, err = o.parseSite()
	case ftpService:
		o.ftp, err = o.parseFTP()
	case smtpService:
		o.mail, err = o.parseSMTP()
	}
	if err != nil {
		return offer{}, usagef("%q: %w", arg, err)
	}
	return o, nil
}

// open has srv serve the offer, and returns the address that it got.
func (o offer) open(srv *plexor.Server, inStreams bool) (string, error) {
	var a net.Addr
	var err error
	switch {
	case o.ftp != nil:
		return o.ftp.open(srv, o)
	case o.mail != nil:
		return o.mail.open(srv, o)
	case o.site != nil:
		h, options := o.site.handler(srv.Log)
		a, err = srv.Open(o.address(), web.Handler(h, options))
	case o.addr.Scheme == "udp":
		a, err = srv.OpenPackets(o.address(), o.packet(srv.Log))
	default:
		a, err = srv.Open(o.address(), o.handler(inStreams))
	}
	if err != nil {
		return "", err
	}
	return o.listening(a), nil
}

// handler serves streams message by message, or in turns piece by piece if there is no codec: a connection that waits
// for the next one holds no coroutine. With inStreams a coroutine stays with each connection.
func (o offer) handler(inStreams bool) plexor.Handler {
	switch {
	case o.codec != nil:
		return plexor.Messages(o.codec, o.message)
	case inStreams && o.name == "echo":
		return plexor.HandlerFunc(copyBack)
	case inStreams:
		return plexor.HandlerFunc(o.stream)
	}
	return plexor.Turns(o.piece)
}

// copyBack is the echo of a coroutine that stays. It is a function of its own, with nothing on its stack, for 2 KiB
// more are held for each connection once 2 do not suffice.
func copyBack(c *plexor.Conn) {
	_, _ = io.Copy(c, c) // how it ended is no news to anybody
}

// stream answers each piece until the connection ends; how it ended is no news to anybody.
func (o offer) stream(c *plexor.Conn) {
	for b := make([]byte, 16<<10); ; {
		n, err := c.Read(b[:8<<10])
		if err != nil {
			return
		}
		if _, err := c.Write(o.service(b[:n])); err != nil {
			return
		}
	}
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
