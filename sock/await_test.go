//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// ready waits until the socket has one of the events, at most for d.
func ready(s Socket, events int16, d time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(s), Events: events}}
	for until := time.Now().Add(d); ; {
		n, err := unix.Poll(fds, max(int(time.Until(until)/time.Millisecond), 0))
		if err != unix.EINTR {
			return err == nil && n > 0
		}
	}
}

func awaitReadable(t testing.TB, s Socket) {
	t.Helper()
	if !ready(s, unix.POLLIN, patience) {
		t.Fatalf("socket %d is not readable after %v", s, patience)
	}
}

func awaitWritable(t testing.TB, s Socket) {
	t.Helper()
	if !ready(s, unix.POLLOUT, patience) {
		t.Fatalf("socket %d is not writable after %v", s, patience)
	}
}

func addrOf(t testing.TB, text string) Addr {
	t.Helper()
	a, err := ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// listen listens on an address with its options, until the test ends.
func listen(t testing.TB, text string) (Socket, Addr) {
	t.Helper()
	a := addrOf(t, text)
	o, _, err := ParseOptions(a.Query)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(a, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	at, err := l.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	return l, at
}

// needIPv6 skips a test on a machine without the IPv6 loopback.
func needIPv6(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 loopback here: %v", err)
	}
	l.Close()
}

// connect connects and waits until that is done.
func connect(t testing.TB, a Addr, o Options) Socket {
	t.Helper()
	c, connected, err := Connect(a, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if !connected {
		awaitWritable(t, c)
	}
	if err := c.ConnectError(); err != nil {
		t.Fatal(err)
	}
	return c
}

func accept(t testing.TB, l Socket) Socket {
	t.Helper()
	awaitReadable(t, l)
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// streams makes both ends of a connection over each kind of stream, and runs the test on them.
func streams(t *testing.T, test func(t *testing.T, client, server Socket)) {
	for _, kind := range []string{"tcp", "tcp6", "unix", "pair"} {
		t.Run(kind, func(t *testing.T) {
			switch kind {
			case "pair":
				p, err := Pair()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { p[0].Close(); p[1].Close() })
				test(t, p[0], p[1])
				return
			case "tcp6":
				needIPv6(t)
			}
			text := map[string]string{"tcp": "tcp://127.0.0.1:0", "tcp6": "tcp://[::1]:0",
				"unix": "unix://" + socketPath(t)}[kind]
			l, at := listen(t, text)
			client := connect(t, at, Options{})
			test(t, client, accept(t, l))
		})
	}
}

// socketPath is a short path in a directory of the test's own: t.TempDir is often too long for sun_path.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// recvAll receives until the end of the stream.
func recvAll(s Socket) ([]byte, error) {
	var all []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := s.Recv(buf)
		all = append(all, buf[:n]...)
		switch {
		case err == io.EOF:
			return all, nil
		case err == ErrWouldBlock:
			if !ready(s, unix.POLLIN, patience) {
				return all, fmt.Errorf("nothing came for %v after %d bytes", patience, len(all))
			}
		case err != nil:
			return all, err
		}
	}
}

// sendAll sends all of p.
func sendAll(s Socket, p []byte) error {
	for len(p) > 0 {
		n, err := s.Send(p)
		p = p[n:]
		switch {
		case err == ErrWouldBlock:
			if !ready(s, unix.POLLOUT, patience) {
				return fmt.Errorf("no room for %v with %d bytes to go", patience, len(p))
			}
		case err != nil:
			return err
		}
	}
	return nil
}

// recvN receives exactly n bytes.
func recvN(t testing.TB, s Socket, n int) []byte {
	t.Helper()
	buf := make([]byte, n)
	for got := 0; got < n; {
		m, err := s.Recv(buf[got:])
		got += m
		if err == ErrWouldBlock {
			awaitReadable(t, s)
		} else if err != nil {
			t.Fatalf("received %d of %d bytes, then %v", got, n, err)
		}
	}
	return buf
}

func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
