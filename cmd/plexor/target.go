package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/sock"
)

// A target is an address of the command line: where to listen or connect, and how to talk there.
type target struct {
	text    string    // as it was given
	addr    sock.Addr // of tls:// too its scheme is tcp
	secure  bool
	options sock.Options
	codec   frame.Codec // nil: bytes as they come
	own     []string    // options that only the command knows, besides frame
}

// parseTarget reads one. pair are the options of tls://; what their files hold is not looked at yet.
func parseTarget(address string, pair ...string) (target, error) {
	return parseTargetWith(address, nil, pair...)
}

// parseTargetWith is parseTarget where there are options of a service's own.
func parseTargetWith(address string, own []string, pair ...string) (t target, err error) {
	t.text, t.own = address, own
	if t.addr, t.secure, err = plexor.ParseAddr(address); err != nil {
		return t, err
	}
	if !t.secure {
		pair = nil
	}
	var rest url.Values
	if t.options, rest, err = sock.ParseOptions(t.addr.Query); err != nil {
		return t, err
	}
	if spec, ok := rest["frame"]; ok {
		if t.codec, err = parseCodec(t.addr, spec); err != nil {
			return t, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rest)) {
		switch {
		case key == "frame":
		case !slices.Contains(pair, key) && !slices.Contains(own, key):
			return t, fmt.Errorf("unknown option %q; there are %s", key,
				strings.Join(slices.Concat(sock.OptionKeys(), []string{"frame"}, own, pair), ", "))
		case len(rest[key]) > 1 || rest.Get(key) == "":
			return t, fmt.Errorf("option %s: want one value", key)
		}
	}
	if rest.Has("key") && !rest.Has("cert") {
		return t, fmt.Errorf("option key: it is of no use without cert")
	}
	if pin := rest.Get("fingerprint"); pin != "" {
		if b, err := hex.DecodeString(strings.ReplaceAll(pin, ":", "")); err != nil || len(b) != sha256.Size {
			return t, fmt.Errorf("option fingerprint: it is no SHA-256 in hexadecimal, as openssl x509 -fingerprint -sha256 " +
				"prints it")
		}
	}
	return t, t.options.Check(t.addr)
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

// ownCertificate reports whether it is tls:// without a certificate, so that the server makes one.
func (t target) ownCertificate() bool { return t.secure && !t.addr.Query.Has("cert") }

// address is the text that package plexor takes: without what only the command knows.
func (t target) address() string {
	a := t.addr
	a.Query = maps.Clone(a.Query)
	for _, key := range append([]string{"frame"}, t.own...) {
		a.Query.Del(key)
	}
	if len(a.Query) == len(t.addr.Query) {
		return t.text // so that errors have it as it was given
	}
	return t.print(a)
}

// peer is the address without options, as errors name it.
func (t target) peer() string {
	a := t.addr
	a.Query = nil
	return t.print(a)
}

// print is an address of this target's kind.
func (t target) print(a sock.Addr) string {
	if rest, ok := strings.CutPrefix(a.String(), "tcp://"); ok && t.secure {
		return "tls://" + rest
	}
	return a.String()
}

// listening is the address that a server got, as it is written on the command line.
func (t target) listening(got net.Addr) string {
	a := sock.Addr{Scheme: t.addr.Scheme}
	switch got := got.(type) {
	case *net.TCPAddr:
		a = sock.FromAddrPort("tcp", got.AddrPort())
	case *net.UDPAddr:
		a = sock.FromAddrPort("udp", got.AddrPort())
	case *net.UnixAddr:
		a.Path = got.Name
	}
	return t.print(a)
}
