//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStreamBasics(t *testing.T) {
	streams(t, func(t *testing.T, c, s Socket) {
		buf := make([]byte, 16)
		if n, err := s.Recv(buf); n != 0 || err != ErrWouldBlock {
			t.Errorf("Recv with nothing there: got %d, %v, want 0, ErrWouldBlock itself", n, err)
		}
		if n, err := s.Recv(nil); n != 0 || err != nil && err != ErrWouldBlock {
			t.Errorf("Recv into nothing: got %d, %v, want 0 and no end of stream", n, err)
		}
		if n, err := c.Send([]byte("hello")); n != 5 || err != nil {
			t.Fatalf("Send: got %d, %v, want 5", n, err)
		}
		awaitReadable(t, s)
		if n, err := s.Unread(); n != 5 || err != nil {
			t.Errorf("Unread: got %d, %v, want 5", n, err)
		}
		if n, err := s.Recv(buf[:2]); n != 2 || err != nil || string(buf[:2]) != "he" {
			t.Errorf("Recv of 2 bytes: got %d, %v, %q, want 2 and he", n, err, buf[:2])
		}
		if n, err := s.Recv(buf); n != 3 || err != nil || string(buf[:3]) != "llo" {
			t.Errorf("Recv of the rest: got %d, %v, %q, want 3 and llo", n, err, buf[:n])
		}

		// One half closed leaves the other open.
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		awaitReadable(t, s)
		if n, err := s.Recv(buf); n != 0 || err != io.EOF {
			t.Errorf("Recv after the peer's CloseWrite: got %d, %v, want 0, io.EOF", n, err)
		}
		if n, err := s.Recv(nil); n != 0 || err != nil {
			t.Errorf("Recv into nothing at the end: got %d, %v, want 0 and no error", n, err)
		}
		if n, err := s.Send([]byte("bye")); n != 3 || err != nil {
			t.Errorf("Send after the peer's CloseWrite: got %d, %v, want 3", n, err)
		}
		if got := recvN(t, c, 3); string(got) != "bye" {
			t.Errorf("got %q, want bye", got)
		}
		if n, err := c.Send([]byte("x")); n != 0 || err != syscall.EPIPE {
			t.Errorf("Send after CloseWrite: got %d, %v, want 0, EPIPE and no signal", n, err)
		}
		if err := s.CloseRead(); err != nil {
			t.Errorf("CloseRead: %v", err)
		}
	})
}

func TestSendUntilFull(t *testing.T) {
	streams(t, func(t *testing.T, c, s Socket) {
		rnd := rand.New(rand.NewPCG(1, 2))
		piece := make([]byte, 100<<10)
		for i := range piece {
			piece[i] = byte(rnd.Uint32())
		}
		var sent []byte
		for {
			n, err := c.Send(piece)
			sent = append(sent, piece[:n]...)
			if err == ErrWouldBlock && n == 0 {
				break
			}
			if err != nil || n == 0 {
				t.Fatalf("Send: got %d, %v, want bytes taken or 0, ErrWouldBlock", n, err)
			}
		}
		if n, ok := c.Unacked(); !ok || n == 0 {
			t.Errorf("Unacked with a full buffer: got %d, %v, want more than 0", n, ok)
		}
		done := make(chan struct{})
		var got []byte
		var err error
		go func() {
			defer close(done)
			got, err = recvAll(s)
		}()
		if err := c.CloseWrite(); err != nil {
			t.Error(err)
		}
		<-done
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("sent %d bytes, received %d (equal: %v), %v", len(sent), len(got), bytes.Equal(got, sent), err)
		}
		until := time.Now().Add(patience)
		n, ok := c.Unacked()
		for n > 0 && time.Now().Before(until) {
			n, ok = c.Unacked()
		}
		if n != 0 || !ok {
			t.Errorf("Unacked when all was read: got %d, %v, want 0", n, ok)
		}
	})
}

func TestSendV(t *testing.T) {
	many := make([][]byte, MaxPieces+10)
	for i := range many {
		many[i] = []byte{byte(i), byte(i >> 8)}
	}
	spread := make([][]byte, 100)
	spread[7], spread[99] = []byte("first"), []byte("last")
	for _, row := range []struct {
		name   string
		pieces [][]byte
		want   []byte
	}{
		{"none", nil, nil},
		{"all empty", [][]byte{{}, nil, {}}, nil},
		{"one", [][]byte{[]byte("one")}, []byte("one")},
		{"empty between", [][]byte{nil, []byte("a"), {}, []byte("bc"), nil}, []byte("abc")},
		{"few", [][]byte{[]byte("a"), []byte("b"), []byte("c"), []byte("d")}, []byte("abcd")},
		{"as many as on the stack", many[:fewOnStack], bytes.Join(many[:fewOnStack], nil)},
		{"one more", many[:fewOnStack+1], bytes.Join(many[:fewOnStack+1], nil)},
		{"many empty", spread, []byte("firstlast")},
		{"as many as go", many[:MaxPieces], bytes.Join(many[:MaxPieces], nil)},
		{"more than go", many, bytes.Join(many[:MaxPieces], nil)},
	} {
		t.Run(row.name, func(t *testing.T) {
			streams(t, func(t *testing.T, c, s Socket) {
				n, err := c.SendV(row.pieces)
				if n != len(row.want) || err != nil {
					t.Fatalf("SendV: got %d, %v, want %d", n, err, len(row.want))
				}
				if n == 0 {
					return
				}
				if got := recvN(t, s, n); !bytes.Equal(got, row.want) {
					t.Errorf("got %q, want %q", got, row.want)
				}
			})
		})
	}
}

const fewOnStack = 16

// A partial SendV tells how many bytes went, and nothing is lost or doubled over the seams.
func TestSendVPartial(t *testing.T) {
	streams(t, func(t *testing.T, c, s Socket) {
		pieces := make([][]byte, 64)
		var all []byte
		for i := range pieces {
			pieces[i] = bytes.Repeat([]byte{byte(i)}, 100_000+i)
			all = append(all, pieces[i]...)
		}
		done := make(chan struct{})
		var got []byte
		var err error
		go func() {
			defer close(done)
			got, err = recvAll(s)
		}()
		partial := false
		for sent := 0; sent < len(all); {
			var rest [][]byte
			skip := sent
			for _, p := range pieces {
				k := min(skip, len(p))
				rest = append(rest, p[k:])
				skip -= k
			}
			n, err := c.SendV(rest)
			sent += n
			partial = partial || sent < len(all)
			if err == ErrWouldBlock {
				awaitWritable(t, c)
			} else if err != nil {
				t.Errorf("SendV after %d bytes: %v", sent, err)
				break
			}
		}
		if err := c.CloseWrite(); err != nil {
			t.Error(err)
		}
		<-done
		if err != nil || !bytes.Equal(got, all) {
			t.Errorf("sent %d bytes, received %d (equal: %v), %v", len(all), len(got), bytes.Equal(got, all), err)
		}
		if !partial {
			t.Error("6 MB went in one call, so this test has tested nothing")
		}
	})
}

func TestAcceptNothing(t *testing.T) {
	l, _ := listen(t, "tcp://127.0.0.1:0")
	if s, err := l.Accept(); s != None || err != ErrWouldBlock {
		t.Errorf("Accept with none waiting: got %d, %v, want None, ErrWouldBlock itself", s, err)
	}
	c, _, err := Connect(addrOf(t, "tcp://127.0.0.1:1"), Options{})
	if err == nil {
		c.Close()
	}
	if s, err := None.Accept(); s != None || err != syscall.EBADF {
		t.Errorf("Accept of None: got %d, %v, want None, EBADF", s, err)
	}
}

// Whatever way a socket was made, it is non-blocking and closed on exec.
func TestBirth(t *testing.T) {
	streams(t, func(t *testing.T, c, s Socket) {
		for _, x := range []Socket{c, s} {
			fl, err := unix.FcntlInt(uintptr(x), unix.F_GETFL, 0)
			if err != nil || fl&unix.O_NONBLOCK == 0 {
				t.Errorf("flags of %d: %#x, %v, want O_NONBLOCK in it", x, fl, err)
			}
			fd, err := unix.FcntlInt(uintptr(x), unix.F_GETFD, 0)
			if err != nil || fd&unix.FD_CLOEXEC == 0 {
				t.Errorf("descriptor flags of %d: %#x, %v, want FD_CLOEXEC in it", x, fd, err)
			}
		}
	})
}

func TestAgainstNetClient(t *testing.T) {
	for _, row := range []struct{ name, listen, network, host, peer string }{
		{"IPv4", "tcp://127.0.0.1:0", "tcp4", "127.0.0.1", "127.0.0.1"},
		{"IPv6", "tcp://[::1]:0", "tcp6", "::1", "::1"},
		{"all, by IPv4", "tcp://:0", "tcp4", "127.0.0.1", "127.0.0.1"},
		{"all, by IPv6", "tcp://:0", "tcp6", "::1", "::1"},
		{"[::], by IPv4", "tcp://[::]:0", "tcp4", "127.0.0.1", "127.0.0.1"},
		{"0.0.0.0", "tcp://0.0.0.0:0", "tcp4", "127.0.0.1", "127.0.0.1"},
		{"name", "tcp://localhost:0", "tcp", "localhost", ""},
		{"unix", "unix", "unix", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			if strings.Contains(row.listen, "[") || row.network == "tcp6" {
				needIPv6(t)
			}
			text := row.listen
			if text == "unix" {
				text = "unix://" + socketPath(t)
			}
			l, at := listen(t, text)
			target := at.Path
			if at.Scheme != "unix" {
				target = (&net.TCPAddr{IP: nil, Port: at.Port}).String()
				target = net.JoinHostPort(row.host, target[1:])
			}
			c, err := net.Dial(row.network, target)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			s := accept(t, l)
			if row.peer != "" {
				got, err := s.RemoteAddrPort()
				want := c.LocalAddr().(*net.TCPAddr).AddrPort()
				want = netip.AddrPortFrom(want.Addr().Unmap(), want.Port())
				if err != nil || got != want || got.Addr().String() != row.peer {
					t.Errorf("RemoteAddrPort: got %v, %v, want %v", got, err, want)
				}
				if a, err := s.RemoteAddr(); err != nil || a.String() != "tcp://"+want.String() {
					t.Errorf("RemoteAddr: got %v, %v, want tcp://%v", a, err, want)
				}
				own, err := s.LocalAddrPort()
				if err != nil || own.Addr().String() != row.peer || int(own.Port()) != at.Port {
					t.Errorf("LocalAddrPort: got %v, %v, want %s and port %d", own, err, row.peer, at.Port)
				}
			}
			echo(t, c, s)
		})
	}
}

// echo sends a mebibyte from a net.Conn to s and back, and both ways ends.
func echo(t *testing.T, c net.Conn, s Socket) {
	t.Helper()
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	c.SetDeadline(time.Now().Add(patience))
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(want)
		wrote <- errors.Join(err, c.(interface{ CloseWrite() error }).CloseWrite())
	}()
	got, err := recvAll(s)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("received %d bytes (equal: %v), %v, want %d", len(got), bytes.Equal(got, want), err, len(want))
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	go func() {
		err := sendAll(s, want)
		wrote <- errors.Join(err, s.CloseWrite())
	}()
	back, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(back, want) {
		t.Errorf("net received %d bytes (equal: %v), %v, want %d", len(back), bytes.Equal(back, want), err, len(want))
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

func TestAgainstNetServer(t *testing.T) {
	for _, row := range []struct{ name, network, at string }{
		{"IPv4", "tcp4", "127.0.0.1:0"},
		{"IPv6", "tcp6", "[::1]:0"},
		{"empty host", "tcp4", "127.0.0.1:0"},
		{"unix", "unix", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.network == "tcp6" {
				needIPv6(t)
			}
			at := row.at
			if row.network == "unix" {
				at = socketPath(t)
			}
			l, err := net.Listen(row.network, at)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			a := Addr{Scheme: "unix", Path: at}
			if ta, ok := l.Addr().(*net.TCPAddr); ok {
				a = FromAddrPort("tcp", ta.AddrPort())
			}
			if row.name == "empty host" {
				a.Host = ""
			}
			s := connect(t, a, Options{})
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			echo(t, c, s)
		})
	}
}

func TestAbortResets(t *testing.T) {
	l, at := listen(t, "tcp://127.0.0.1:0")
	c, _, err := Connect(at, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := accept(t, l)
	if _, err := c.Send(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	awaitReadable(t, s)
	if err := c.Abort(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	for until := time.Now().Add(patience); err == nil && time.Now().Before(until); {
		awaitReadable(t, s)
		_, err = s.Recv(buf)
	}
	if err != syscall.ECONNRESET {
		t.Errorf("Recv after the peer's Abort: got %v, want ECONNRESET", err)
	}
	if _, err := s.Send(buf); err != syscall.EPIPE {
		t.Errorf("Send after the reset was told: got %v, want EPIPE", err)
	}
}

func TestAbortUnix(t *testing.T) {
	p, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer p[1].Close()
	if err := p[0].Abort(); err != nil {
		t.Errorf("Abort of a unix socket: %v, want it closed", err)
	}
	if n, err := p[1].Recv(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("Recv after it: got %d, %v, want io.EOF", n, err)
	}
}

// The hot calls allocate nothing, also when they fail as they do every day.
func TestNoAllocations(t *testing.T) {
	if !rawCalls {
		t.Skip("only the raw calls promise it")
	}
	l, at := listen(t, "tcp://127.0.0.1:0")
	c := connect(t, at, Options{})
	s := accept(t, l)
	buf := make([]byte, 4096)
	few := [][]byte{buf[:10], nil, buf[10:20]}
	many := make([][]byte, 100)
	for i := range many {
		many[i] = buf[i : i+1]
	}
	drain := func() {
		awaitReadable(t, s)
		for {
			if _, err := s.Recv(buf); err != nil {
				return
			}
		}
	}
	for _, row := range []struct {
		name string
		call func()
	}{
		{"Send and Recv", func() { c.Send(buf[:64]); drain() }},
		{"SendV of few", func() { c.SendV(few); drain() }},
		{"SendV of many", func() { c.SendV(many); drain() }},
		{"Recv of nothing", func() { s.Recv(buf) }},
		{"Accept of nothing", func() { l.Accept() }},
		{"RemoteAddrPort", func() { s.RemoteAddrPort() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(200, row.call); n > 0.1 {
				// A collection may empty the pool of SendV now and then; once in ten is not that.
				t.Errorf("%v allocations a call, want 0", n)
			}
		})
	}
}
