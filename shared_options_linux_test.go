package plexor_test

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"golang.org/x/sys/unix"
)

// TestSharedOptions: what libraries set on a net.TCPConn they set on a shared connection, over TLS too; after its end
// that is an error, whatever has the descriptor's number then.
func TestSharedOptions(t *testing.T) {
	eachShared(t, func(t *testing.T, pair makePair) {
		_, server, client := pair(t, &plexor.Server{})
		if client.RemoteAddr().Network() == "unix" {
			if err := server.(interface{ SetNoDelay(bool) error }).SetNoDelay(true); err == nil {
				t.Error("SetNoDelay of a unix socket succeeded")
			}
			return
		}
		tcp := server.(interface {
			syscall.Conn
			SetNoDelay(bool) error
			SetKeepAlive(bool) error
			SetKeepAlivePeriod(time.Duration) error
			SetKeepAliveConfig(net.KeepAliveConfig) error
		})
		raw, err := tcp.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		option := func(level, opt, want int) {
			t.Helper()
			got, err := 0, error(nil)
			if cerr := raw.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), level, opt) }); cerr != nil ||
				err != nil || got != want {
				t.Errorf("option %d/%d is %d, want %d; %v, %v", level, opt, got, want, cerr, err)
			}
		}
		set := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		set(tcp.SetNoDelay(false))
		option(unix.IPPROTO_TCP, unix.TCP_NODELAY, 0)
		set(tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 1500 * time.Millisecond, Interval: 0, Count: -1}))
		option(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 2)
		option(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15)
		set(tcp.SetKeepAlivePeriod(time.Minute))
		option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 60)
		set(tcp.SetKeepAlive(false))
		option(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0)

		// As go-sql-driver/mysql looks whether a connection that was idle still lives.
		n, rerr := 0, error(nil)
		look := func(fd uintptr) bool { n, rerr = syscall.Read(int(fd), make([]byte, 1)); return true }
		if err := raw.Read(look); err != nil || rerr != syscall.EAGAIN {
			t.Errorf("a look at one that lives: %d, %v, %v", n, rerr, err)
		}
		if err := raw.Read(func(uintptr) bool { return false }); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a wait for the descriptor: %v, want ErrUnsupported", err)
		}
		closeWrite(t, client)
		wantEnd(t, server)
		if err := raw.Read(look); err != nil || n != 0 || rerr != nil {
			t.Errorf("a look after the peer's end: %d, %v, %v", n, rerr, err)
		}
		server.Close()
		if err := raw.Control(func(uintptr) { t.Error("called after Close") }); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Control after Close: %v", err)
		}
		if err := tcp.SetNoDelay(true); !errors.Is(err, net.ErrClosed) {
			t.Errorf("SetNoDelay after Close: %v", err)
		}
	})
}

// TestSharedOptionsTLS: over TLS they are those of the connection below.
func TestSharedOptionsTLS(t *testing.T) {
	eachClient(t, func(t *testing.T, c *plexor.Client) {
		srv := &plexor.Server{Handler: plexor.HandlerFunc(func(c *plexor.Conn) { c.Read(make([]byte, 1)) })}
		a, err := srv.Open("tls://127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		conn, err := c.Dial(t.Context(), "tls://"+a.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.(interface{ SetNoDelay(bool) error }).SetNoDelay(false); err != nil {
			t.Error(err)
		}
		if err := conn.(interface {
			SetKeepAliveConfig(net.KeepAliveConfig) error
		}).SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute}); err != nil {
			t.Error(err)
		}
		raw, err := conn.(interface{ NetConn() net.Conn }).NetConn().(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			if v, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY); v != 0 || err != nil {
				t.Errorf("nodelay is %d, %v", v, err)
			}
		})
	})
}
