package main

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/sock"
)

// A target is an address of the command line: where to listen or connect, and how to talk there.
type target struct {
	addr    sock.Addr
	options sock.Options
	codec   frame.Codec // nil: bytes as they come
}

// parseTarget reads one.
func parseTarget(address string) (t target, err error) {
	if t.addr, err = sock.ParseAddr(address); err != nil {
		return t, err
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
		if key != "frame" {
			return t, fmt.Errorf("unknown option %q; there are %s", key, strings.Join(append(sock.OptionKeys(), "frame"), ", "))
		}
	}
	return t, nil
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

// address is the text that package plexor takes: without what only the command knows.
func (t target) address() string {
	a := t.addr
	a.Query = maps.Clone(a.Query)
	a.Query.Del("frame")
	return a.String()
}

// printable is an address of package net as it is written on the command line.
func printable(scheme string, a net.Addr) sock.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return sock.FromAddrPort(scheme, a.AddrPort())
	case *net.UDPAddr:
		return sock.FromAddrPort(scheme, a.AddrPort())
	case *net.UnixAddr:
		return sock.Addr{Scheme: scheme, Path: a.Name}
	}
	return sock.Addr{Scheme: scheme}
}
