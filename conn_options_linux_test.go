package plexor_test

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"golang.org/x/sys/unix"
)

// optioned is what has socket options while it lives.
type optioned interface {
	SetNoDelay(bool) error
	SetKeepAlive(bool) error
	SetKeepAlivePeriod(time.Duration) error
	SetKeepAliveConfig(net.KeepAliveConfig) error
	SetReadBuffer(int) error
	SetWriteBuffer(int) error
	SetUserTimeout(time.Duration) error
	SetLinger(int) error
	SetTrafficClass(int) error
	SetQuickAck(bool) error
}

// checkOptions sets each and asks the system for it.
func checkOptions(t *testing.T, c optioned, get func(level, opt int) (int, error)) {
	t.Helper()
	for _, o := range []struct {
		name       string
		err        error
		level, opt int
		want       int
	}{
		{"nodelay", c.SetNoDelay(false), unix.IPPROTO_TCP, unix.TCP_NODELAY, 0},
		{"keepalive", c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute, Count: -1}),
			unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
		{"period", c.SetKeepAlivePeriod(90 * time.Second), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 90},
		{"off", c.SetKeepAlive(false), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0},
		{"rcvbuf", c.SetReadBuffer(32 << 10), unix.SOL_SOCKET, unix.SO_RCVBUF, 64 << 10},
		{"sndbuf", c.SetWriteBuffer(48 << 10), unix.SOL_SOCKET, unix.SO_SNDBUF, 96 << 10},
		{"usertimeout", c.SetUserTimeout(1500 * time.Millisecond), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 1500},
		{"trafficclass", c.SetTrafficClass(46 << 2), unix.IPPROTO_IP, unix.IP_TOS, 46 << 2},
		{"quickack", c.SetQuickAck(false), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0},
		{"linger", errors.Join(c.SetLinger(-1), c.SetLinger(0)), unix.SOL_SOCKET, unix.SO_LINGER, 1},
	} {
		if got, err := get(o.level, o.opt); o.err != nil || err != nil || got != o.want {
			t.Errorf("%s: %v; the system has %d, %v, want %d", o.name, o.err, got, err, o.want)
		}
	}
	if err := c.SetWriteBuffer(1 << 30); err == nil || !strings.Contains(err.Error(), "the system grants") {
		t.Errorf("a buffer that the system does not grant: %v", err)
	}
}

// checkNoTCP: a unix socket has buffers, and of all else it says that it has it not.
func checkNoTCP(t *testing.T, c optioned) {
	t.Helper()
	for name, err := range map[string]error{"SetNoDelay": c.SetNoDelay(true), "SetKeepAlive": c.SetKeepAlive(true),
		"SetKeepAlivePeriod": c.SetKeepAlivePeriod(time.Second),
		"SetKeepAliveConfig": c.SetKeepAliveConfig(net.KeepAliveConfig{}),
		"SetUserTimeout":     c.SetUserTimeout(time.Second),
		"SetLinger":          c.SetLinger(0),
		"SetTrafficClass":    c.SetTrafficClass(0),
		"SetQuickAck":        c.SetQuickAck(true)} {
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "a unix socket does not have it") {
			t.Errorf("%s of a unix socket: %v, want one that is ErrUnsupported", name, err)
		}
	}
	if err := errors.Join(c.SetReadBuffer(32<<10), c.SetWriteBuffer(32<<10)); err != nil {
		t.Errorf("buffers of a unix socket: %v", err)
	}
}

// TestConnOptions: a handler sets the options of its connection, over TLS too, and a goroutine those of what Shared
// returns.
func TestConnOptions(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		shares := make(chan net.Conn, 1)
		b := p.serve(t, &plexor.Server{}, plexor.HandlerFunc(func(c *plexor.Conn) {
			if c.LocalAddr().Network() == "unix" {
				checkNoTCP(t, c)
			} else {
				checkOptions(t, c, func(level, opt int) (int, error) { return unix.GetsockoptInt(plexor.FD(c), level, opt) })
			}
			shares <- c.Shared()
			if err := c.SetNoDelay(true); !errors.Is(err, plexor.ErrGivenAway) {
				t.Errorf("SetNoDelay of a Conn that was given away: %v", err)
			}
		}))
		send(t, b.dialMessages(), "x")
		sh := receive(t, shares, "the handler")
		defer sh.Close()
		if sh.LocalAddr().Network() == "unix" {
			checkNoTCP(t, sh.(optioned))
			return
		}
		lower := sh
		if x, ok := sh.(interface{ NetConn() net.Conn }); ok {
			lower = x.NetConn()
		}
		raw, err := lower.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		checkOptions(t, sh.(optioned), func(level, opt int) (n int, err error) {
			if lost := raw.Control(func(fd uintptr) { n, err = unix.GetsockoptInt(int(fd), level, opt) }); lost != nil {
				return 0, lost
			}
			return n, err
		})
	})
}
