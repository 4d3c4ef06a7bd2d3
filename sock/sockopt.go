package sock

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// The setters and getters of single options. Their levels and numbers are constants of each system's file;
// where it has an option not at all, its number is 0 and its feature false. Errors are *Error, or
// *OptionError where the system has no such option.

func (s Socket) set(key string, level, opt, value int) error {
	if err := sysSetInt(s, level, opt, value); err != nil {
		return &Error{Op: "set " + key, Call: "setsockopt", Err: err}
	}
	return nil
}

func (s Socket) get(key string, level, opt int) (int, error) {
	v, err := sysGetInt(s, level, opt)
	if err != nil {
		return 0, &Error{Op: "get " + key, Call: "getsockopt", Err: err}
	}
	return v, nil
}

func lacks(key string) error {
	return &OptionError{key, runtime.GOOS + " does not have it", errors.ErrUnsupported}
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// SetNoDelay sets TCP_NODELAY: small pieces leave at once (tcp(7)).
func (s Socket) SetNoDelay(on bool) error { return s.set("nodelay", ipprotoTCP, tcpNoDelay, toInt(on)) }

// NoDelay tells whether Nagle's algorithm is off.
func (s Socket) NoDelay() (bool, error) {
	v, err := s.get("nodelay", ipprotoTCP, tcpNoDelay)
	return v != 0, err
}

// SetReusePort sets SO_REUSEPORT (on FreeBSD SO_REUSEPORT_LB), before bind.
func (s Socket) SetReusePort(on bool) error {
	if !system.reusePort {
		return lacks("reuseport")
	}
	return s.set("reuseport", solSocket, soReusePort, toInt(on))
}

// ReusePort tells whether it is set.
func (s Socket) ReusePort() (bool, error) {
	if !system.reusePort {
		return false, nil
	}
	v, err := s.get("reuseport", solSocket, soReusePort)
	return v != 0, err
}

// SetV6Only sets IPV6_V6ONLY on an IPv6 socket, before bind (RFC 3493 section 5.3).
func (s Socket) SetV6Only(on bool) error { return s.set("v6only", ipprotoIPv6, ipv6Only, toInt(on)) }

// V6Only tells whether an IPv6 socket leaves IPv4 alone.
func (s Socket) V6Only() (bool, error) {
	v, err := s.get("v6only", ipprotoIPv6, ipv6Only)
	return v != 0, err
}

// SetRecvBuffer sets SO_RCVBUF, in bytes. It is an error if the system grants less.
func (s Socket) SetRecvBuffer(n int) error { return s.setBuffer("rcvbuf", soRecvBuffer, n) }

// SetSendBuffer sets SO_SNDBUF, in bytes. It is an error if the system grants less.
func (s Socket) SetSendBuffer(n int) error { return s.setBuffer("sndbuf", soSendBuffer, n) }

func (s Socket) setBuffer(key string, opt, n int) error {
	if err := s.set(key, solSocket, opt, n); err != nil {
		return err
	}
	got, err := s.get(key, solSocket, opt)
	if err != nil {
		return err
	}
	if got /= bufferFactor; got < n {
		return &OptionError{key, fmt.Sprintf("asked for %d bytes, and the system grants %d: ask for less, or raise %s", n,
			got, bufferLimit(key)), nil}
	}
	return nil
}

// RecvBuffer is the size of the kernel's receive buffer in bytes, as the system counts it (Linux: twice what
// was set, for the overhead).
func (s Socket) RecvBuffer() (int, error) { return s.get("rcvbuf", solSocket, soRecvBuffer) }

// SendBuffer is the same for what is sent.
func (s Socket) SendBuffer() (int, error) { return s.get("sndbuf", solSocket, soSendBuffer) }

// SetLinger sets SO_LINGER: see [Options]. 0 turns it off.
func (s Socket) SetLinger(d time.Duration) error {
	if err := (Options{Linger: d}).checkValues(); err != nil {
		return err
	}
	if err := sysSetLinger(s, d != 0, int(max(d, 0)/time.Second)); err != nil {
		return &Error{Op: "set linger", Call: "setsockopt", Err: err}
	}
	return nil
}

// Linger is what SetLinger set: 0, a time, or LingerReset.
func (s Socket) Linger() (time.Duration, error) {
	on, seconds, err := sysLinger(s)
	switch {
	case err != nil:
		return 0, &Error{Op: "get linger", Call: "getsockopt", Err: err}
	case on && seconds == 0:
		return LingerReset, nil
	case on:
		return time.Duration(seconds) * time.Second, nil
	}
	return 0, nil
}

// SetKeepAlive turns keep-alive on or off, and sets those of its times that are not zero.
func (s Socket) SetKeepAlive(k KeepAlive) error {
	o := Options{KeepAlive: k}
	if err := o.checkValues(); err != nil {
		return err
	}
	if !system.keepTimes && (k.Idle != 0 || k.Interval != 0 || k.Count != 0) {
		return lacks("keepidle")
	}
	if err := s.set("keepalive", solSocket, soKeepAlive, toInt(!k.Off)); err != nil {
		return err
	}
	for _, t := range []struct {
		key    string
		opt, v int
	}{
		{"keepidle", tcpKeepIdle, int(k.Idle / time.Second)},
		{"keepintvl", tcpKeepInterval, int(k.Interval / time.Second)},
		{"keepcnt", tcpKeepCount, k.Count},
	} {
		if t.v != 0 {
			if err := s.set(t.key, ipprotoTCP, t.opt, t.v); err != nil {
				return err
			}
		}
	}
	return nil
}

// KeepAlive is what holds for the socket: the system's own times where none were set (zero on a system that
// cannot tell them). When it is off, that is all it says.
func (s Socket) KeepAlive() (k KeepAlive, err error) {
	on, err := s.get("keepalive", solSocket, soKeepAlive)
	if err != nil || on == 0 {
		return KeepAlive{Off: err == nil}, err
	}
	if !system.keepTimes {
		return KeepAlive{}, nil
	}
	idle, err := s.get("keepidle", ipprotoTCP, tcpKeepIdle)
	if err != nil {
		return KeepAlive{}, err
	}
	interval, err := s.get("keepintvl", ipprotoTCP, tcpKeepInterval)
	if err != nil {
		return KeepAlive{}, err
	}
	count, err := s.get("keepcnt", ipprotoTCP, tcpKeepCount)
	if err != nil {
		return KeepAlive{}, err
	}
	return KeepAlive{Idle: time.Duration(idle) * time.Second, Interval: time.Duration(interval) * time.Second,
		Count: count}, nil
}

// SetUserTimeout sets TCP_USER_TIMEOUT, in whole milliseconds; 0 is the system's own (tcp(7)).
func (s Socket) SetUserTimeout(d time.Duration) error {
	if !system.userTimeout {
		return lacks("usertimeout")
	}
	if err := (Options{UserTimeout: d}).checkValues(); err != nil {
		return err
	}
	return s.set("usertimeout", ipprotoTCP, tcpUserTimeout, int(d/time.Millisecond))
}

// UserTimeout is what was set, 0 for the system's own.
func (s Socket) UserTimeout() (time.Duration, error) {
	if !system.userTimeout {
		return 0, nil
	}
	v, err := s.get("usertimeout", ipprotoTCP, tcpUserTimeout)
	return time.Duration(v) * time.Millisecond, err
}

// SetDeferAccept sets TCP_DEFER_ACCEPT, in whole seconds; 0 turns it off (tcp(7)).
func (s Socket) SetDeferAccept(d time.Duration) error {
	if !system.deferAccept {
		return lacks("deferaccept")
	}
	if err := (Options{DeferAccept: d}).checkValues(); err != nil {
		return err
	}
	return s.set("deferaccept", ipprotoTCP, tcpDeferAccept, int(d/time.Second))
}

// DeferAccept is the time that the kernel made of the one that was set: the next retransmission's at or after
// it.
func (s Socket) DeferAccept() (time.Duration, error) {
	if !system.deferAccept {
		return 0, nil
	}
	v, err := s.get("deferaccept", ipprotoTCP, tcpDeferAccept)
	return time.Duration(v) * time.Second, err
}

// SetFastOpen sets TCP_FASTOPEN on a listener: how many connections may wait that sent data with their SYN
// (RFC 7413). Where the system's administrator has turned it off for servers it is an error, and not, as in
// the kernel, without effect.
func (s Socket) SetFastOpen(queue int) error {
	if !system.fastOpen {
		return lacks("fastopen")
	}
	if err := (Options{FastOpen: queue}).checkValues(); err != nil {
		return err
	}
	if problem := fastOpenOff(); problem != "" && queue > 0 {
		return &OptionError{"fastopen", problem, errors.ErrUnsupported}
	}
	return s.set("fastopen", ipprotoTCP, tcpFastOpen, queue)
}

// FastOpen is the length of that queue.
func (s Socket) FastOpen() (int, error) {
	if !system.fastOpen {
		return 0, nil
	}
	return s.get("fastopen", ipprotoTCP, tcpFastOpen)
}

// SetTrafficClass sets the traffic class of what is sent, 0 to 255: IP_TOS and IPV6_TCLASS, each where the socket has
// it (ip(7); RFC 3542 section 6.5). Its upper six bits are the code point (RFC 2474); of the lower two, which are for
// congestion (RFC 3168), the kernel keeps its own over tcp.
func (s Socket) SetTrafficClass(class int) error {
	if !system.trafficClass {
		return lacks("trafficclass")
	}
	if class < 0 || class > 255 {
		return &OptionError{"trafficclass", fmt.Sprintf("%d is out of range: it is from 0 to 255", class), nil}
	}
	v6 := s.set("trafficclass", ipprotoIPv6, ipv6TClass, class)
	v4 := s.set("trafficclass", ipprotoIP, ipTOS, class)
	if v6 == nil || v4 == nil {
		return nil
	}
	return v4
}

// TrafficClass is what holds for the socket.
func (s Socket) TrafficClass() (int, error) {
	if !system.trafficClass {
		return 0, nil
	}
	if v, err := s.get("trafficclass", ipprotoIPv6, ipv6TClass); err == nil {
		return v, nil
	}
	return s.get("trafficclass", ipprotoIP, ipTOS)
}

// SetQuickAck sets TCP_QUICKACK: whether acknowledgements leave at once. It is no state that stays: the kernel goes
// back to its own judgement as the connection goes on (tcp(7)).
func (s Socket) SetQuickAck(on bool) error {
	if !system.quickAck {
		return lacks("quickack")
	}
	return s.set("quickack", ipprotoTCP, tcpQuickAck, toInt(on))
}

// QuickAck tells whether they do now.
func (s Socket) QuickAck() (bool, error) {
	if !system.quickAck {
		return false, nil
	}
	v, err := s.get("quickack", ipprotoTCP, tcpQuickAck)
	return v != 0, err
}
