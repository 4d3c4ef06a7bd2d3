package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"strings"
	"time"
)

// Options are what can be set on a socket before it listens or connects. The zero value is what a server
// wants: no delay, keep-alive on, the system's sizes and times.
//
// [ParseOptions] reads them from the query of an address; the key is named with each.
type Options struct {
	// ReusePort (reuseport) lets several sockets listen on the same tcp or udp address, all of the same user.
	// Linux (3.9) and FreeBSD (SO_REUSEPORT_LB) spread what comes in over them; elsewhere it is only allowed.
	ReusePort bool
	// Backlog (backlog) is how many connections may wait to be accepted, 0 for as many as the system lets
	// (somaxconn). More than somaxconn is refused.
	Backlog int
	// Delay (nodelay=no) turns Nagle's algorithm on for tcp: small pieces wait for the acknowledgement of the
	// one before (RFC 1122 section 4.2.3.4). As in Go's net, the zero value is TCP_NODELAY.
	Delay bool
	// KeepAlive is how a tcp connection notices that its peer is gone.
	KeepAlive KeepAlive
	// RecvBuffer (rcvbuf) and SendBuffer (sndbuf) are sizes in bytes of the kernel's buffers, 0 for the
	// system's own. On tcp, leaving them alone lets the kernel tune them by what is needed. More than the
	// system grants (net.core.rmem_max, wmem_max) is an error, where Linux itself would take less without a
	// word.
	RecvBuffer, SendBuffer int
	// Linger (linger) is how long Close waits for what is not yet acknowledged, in whole seconds; 0 leaves
	// the system's way, which sends on after Close has returned; LingerReset discards it and resets the
	// connection. Mind that Close then really waits, even though the socket is non-blocking (socket(7)).
	Linger time.Duration
	// V6Only (v6only) is IPV6_V6ONLY: whether a socket bound to [::] leaves IPv4 alone. Unset means no, so
	// that all addresses are all addresses.
	V6Only Choice
	// UserTimeout (usertimeout) is how long sent data may stay unacknowledged, in whole milliseconds, before
	// the connection fails with ETIMEDOUT (RFC 5482); 0 for the system's time. Linux.
	UserTimeout time.Duration
	// DeferAccept (deferaccept) lets a listener wake only when data has come, and wait that long for it, in
	// whole seconds, which the kernel stretches to a retransmission's time. Linux.
	DeferAccept time.Duration
	// FastOpen (fastopen) is how many connections a listener may hold that sent data with their SYN (RFC
	// 7413), 0 for none. Linux, FreeBSD.
	FastOpen int
	// Mode (mode) are the permissions of a unix socket's file, 0 for those that the umask leaves.
	Mode fs.FileMode
}

// KeepAlive are the times of tcp keep-alive (RFC 1122 section 4.2.3.6). The zero value is on, with the
// system's times (on Linux 2 h, then 9 probes 75 s apart).
type KeepAlive struct {
	// Off (keepalive=no) turns it off; the others must be zero then.
	Off bool
	// Idle (keepidle) is how long a connection is silent before it is probed, and Interval (keepintvl) the
	// time between two probes, both in whole seconds; 0 for the system's.
	Idle, Interval time.Duration
	// Count (keepcnt) is how many probes without an answer end the connection; 0 for the system's.
	Count int
}

// LingerReset is the Linger that discards what was not sent and resets the connection at Close.
const LingerReset time.Duration = -1

// Choice is a yes or no that can be left to the default.
type Choice int8

// The choices. Unset is the zero value.
const (
	Unset Choice = iota
	Yes
	No
)

// OptionError is an option that cannot be had, or not like this. Where the system or this kind of socket does
// not have it at all, errors.Is finds [errors.ErrUnsupported].
type OptionError struct {
	Option  string // its key in a query
	Problem string
	Err     error // errors.ErrUnsupported or nil
}

func (e *OptionError) Error() string { return "option " + e.Option + ": " + e.Problem }

// Unwrap gives errors.ErrUnsupported or nil.
func (e *OptionError) Unwrap() error { return e.Err }

// features are the options that not every system has; each system's file fills them in.
type features struct {
	reusePort, userTimeout, deferAccept, fastOpen, keepTimes, mode bool
	dualStack                                                      bool // one socket can have IPv4 and IPv6
	// an accepted socket has all options of its listener
	inherits bool
	// of a connection that lives
	trafficClass, quickAck bool
}

// Check tells whether the options can be had on such an address on this system, without making a socket. The
// error is an [*OptionError]; Listen and Connect check too, and know a few more that only the kernel can
// tell.
func (o Options) Check(a Addr) error {
	if err := o.checkValues(); err != nil {
		return err
	}
	for _, c := range o.uses() {
		if !c.asked {
			continue
		}
		if !c.lives(a.Scheme) {
			return &OptionError{c.key, fmt.Sprintf("a %s socket does not have it", a.Scheme), errors.ErrUnsupported}
		}
		if !c.here {
			return &OptionError{c.key, runtime.GOOS + " does not have it", errors.ErrUnsupported}
		}
	}
	if o.V6Only != Unset {
		if ap, ok := a.AddrPort(); ok && ap.Addr().Is4() {
			return &OptionError{"v6only", fmt.Sprintf("%s is an IPv4 address", a.Host), nil}
		}
	}
	if o.Mode != 0 && strings.HasPrefix(a.Path, "@") {
		return &OptionError{"mode", "an abstract name has no file, and so no permissions", nil}
	}
	return nil
}

// use is one option: whether it is asked for, on which schemes it lives, whether this system has it.
type use struct {
	key   string
	asked bool
	on    string
	here  bool
}

func (u use) lives(scheme string) bool {
	return scheme == u.on || u.on == "all" || u.on == "ip" && scheme != "unix" || u.on == "listeners" && scheme != "udp"
}

func (o Options) uses() []use {
	k := o.KeepAlive
	return []use{
		{"reuseport", o.ReusePort, "ip", system.reusePort},
		{"backlog", o.Backlog != 0, "listeners", true},
		{"nodelay", o.Delay, "tcp", true},
		{"keepalive", k.Off, "tcp", true},
		{"keepidle", k.Idle != 0, "tcp", system.keepTimes},
		{"keepintvl", k.Interval != 0, "tcp", system.keepTimes},
		{"keepcnt", k.Count != 0, "tcp", system.keepTimes},
		{"rcvbuf", o.RecvBuffer != 0, "all", true},
		{"sndbuf", o.SendBuffer != 0, "all", true},
		{"linger", o.Linger != 0, "tcp", true},
		{"v6only", o.V6Only != Unset, "ip", o.V6Only != No || system.dualStack},
		{"usertimeout", o.UserTimeout != 0, "tcp", system.userTimeout},
		{"deferaccept", o.DeferAccept != 0, "tcp", system.deferAccept},
		{"fastopen", o.FastOpen != 0, "tcp", system.fastOpen},
		{"mode", o.Mode != 0, "unix", system.mode},
	}
}

// checkConnect refuses what only a listener has.
func (o Options) checkConnect() error {
	for _, u := range o.uses() {
		switch u.key {
		case "reuseport", "backlog", "deferaccept", "fastopen", "mode", "v6only":
			if u.asked {
				return &OptionError{u.key, "only a socket that listens has it", errors.ErrUnsupported}
			}
		}
	}
	return nil
}

// checkValues holds each value to what the kernel can keep exactly: nothing is rounded in silence.
func (o Options) checkValues() error {
	k := o.KeepAlive
	for _, n := range []struct {
		key string
		n   int
	}{
		{"backlog", o.Backlog}, {"rcvbuf", o.RecvBuffer}, {"sndbuf", o.SendBuffer},
		{"keepcnt", k.Count}, {"fastopen", o.FastOpen},
	} {
		if n.n < 0 || int64(n.n) > math.MaxInt32 {
			return &OptionError{n.key, fmt.Sprintf("%d is out of range: it is 1 to %d, or 0 for the system's own", n.n,
				math.MaxInt32), nil}
		}
	}
	for _, t := range []struct {
		key  string
		d    time.Duration
		unit time.Duration
		max  time.Duration
	}{
		{"keepidle", k.Idle, time.Second, 32767 * time.Second},
		{"keepintvl", k.Interval, time.Second, 32767 * time.Second},
		{"linger", o.Linger, time.Second, 32767 * time.Second},
		{"usertimeout", o.UserTimeout, time.Millisecond, math.MaxInt32 * time.Millisecond},
		{"deferaccept", o.DeferAccept, time.Second, 32767 * time.Second},
	} {
		switch {
		case t.key == "linger" && t.d == LingerReset:
		case t.d < 0 || t.d > t.max:
			return &OptionError{t.key, fmt.Sprintf("%v is out of range: it is %v to %v", t.d, t.unit, t.max), nil}
		case t.d%t.unit != 0:
			return &OptionError{t.key, fmt.Sprintf("%v is no multiple of %v, and the system keeps no finer time", t.d, t.unit),
				nil}
		}
	}
	if k.Count > 127 {
		return &OptionError{"keepcnt", fmt.Sprintf("%d is out of range: it is 1 to 127", k.Count), nil}
	}
	if k.Off && k != (KeepAlive{Off: true}) {
		return &OptionError{"keepalive", "it is off, and yet its times are given", nil}
	}
	if o.V6Only < Unset || o.V6Only > No {
		return &OptionError{"v6only", fmt.Sprintf("the choice %d is neither Yes nor No nor Unset", o.V6Only), nil}
	}
	if o.Mode&^fs.ModePerm != 0 {
		return &OptionError{"mode", fmt.Sprintf("%v has more in it than permissions (0 to 0777)", o.Mode), nil}
	}
	return nil
}
