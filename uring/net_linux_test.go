package uring

import (
	"errors"
	"net/netip"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// newPair gives two connected Unix stream sockets, closed at the test's end.
func newPair(t testing.TB) (a, b int) { return pairOf(t, unix.SOCK_STREAM) }

func pairOf(t testing.TB, kind int) (a, b int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	ok(t, err)
	own(t, p[0])
	own(t, p[1])
	return p[0], p[1]
}

// own closes a descriptor at the end of the test, unless that has been done.
func own(t testing.TB, fd int) int {
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

func write(t testing.TB, fd int, text string) {
	t.Helper()
	if n, err := unix.Write(fd, []byte(text)); n != len(text) || err != nil {
		t.Fatalf("write %q: %d, %v", text, n, err)
	}
}

func wantRead(t testing.TB, fd int, want string) {
	t.Helper()
	b := make([]byte, len(want)+100)
	n := 0
	for n < len(want) {
		m, err := unix.Read(fd, b[n:])
		if m <= 0 || err != nil {
			t.Fatalf("read %q, then %d, %v; want %q", b[:n], m, err, want)
		}
		n += m
	}
	if string(b[:n]) != want {
		t.Fatalf("read %q, want %q", b[:n], want)
	}
}

// newListener gives a TCP listener on the loopback and its address.
func newListener(t testing.TB) (int, netip.AddrPort) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	ok(t, err)
	own(t, fd)
	ok(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	ok(t, unix.Listen(fd, 128))
	return fd, nameOf(t, fd)
}

func nameOf(t testing.TB, fd int) netip.AddrPort {
	t.Helper()
	name, err := unix.Getsockname(fd)
	ok(t, err)
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	t.Fatalf("socket %d has the name %v", fd, name)
	return netip.AddrPort{}
}

// dial connects a blocking socket.
func dial(t testing.TB, to netip.AddrPort) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	ok(t, err)
	own(t, fd)
	ok(t, unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}))
	return fd
}

func newArena(t testing.TB) *Arena {
	t.Helper()
	a, err := NewArena(1 << 16)
	ok(t, err)
	t.Cleanup(func() { a.Free() })
	return a
}

func TestAcceptConnect(t *testing.T) {
	for _, family := range []struct {
		name   string
		domain int
		ip     string
	}{{"IPv4", unix.AF_INET, "127.0.0.1"}, {"IPv6", unix.AF_INET6, "::1"}} {
		t.Run(family.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, r *Ring) {
				needs(t, r, OpSocket, OpConnect, OpAccept, OpShutdown, OpClose)
				arena := newArena(t)
				get(t, r, 1).Socket(family.domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				l := own(t, int(wantOK(t, r, 1).Res))
				any := netip.AddrPortFrom(netip.MustParseAddr(family.ip), 0)
				if r.Supports(OpBind) {
					s := get(t, r, 2)
					addr, err := r.Sockaddr(any)
					ok(t, err)
					s.Bind(l, addr)
					c := next(t, r)
					if c.Errno() == unix.EADDRNOTAVAIL {
						t.Skip("no " + family.name + " here")
					} else if c.Res != 0 {
						t.Fatal(c.Err())
					}
					get(t, r, 3).Listen(l, 16)
					wantRes(t, r, 3, 0)
				} else {
					t.Skip("no bind operation here (Linux 6.11)")
				}
				get(t, r, 4).Socket(family.domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				client := own(t, int(wantOK(t, r, 4).Res))
				from := Alloc[Sockaddr](arena)
				get(t, r, 5).Accept(l, from, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
				s := get(t, r, 6)
				to, err := r.Sockaddr(nameOf(t, l))
				ok(t, err)
				s.Connect(client, to)
				got := collect(t, r, 2)
				if c := got[6]; c.Res != 0 {
					t.Fatalf("connect: %v", c.Err())
				}
				conn := own(t, int(got[5].Res))
				if want := nameOf(t, client); from.AddrPort() != want {
					t.Errorf("accepted from %v, want %v", from.AddrPort(), want)
				}
				if flags, err := unix.FcntlInt(uintptr(conn), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
					t.Errorf("flags of the connection: %#x, %v", flags, err)
				}
				get(t, r, 7).Shutdown(client, unix.SHUT_WR)
				wantRes(t, r, 7, 0)
				buf := bytesOf(t, 8)
				get(t, r, 8).Recv(conn, buf, 0)
				wantRes(t, r, 8, 0)
				get(t, r, 9).Close(client)
				wantRes(t, r, 9, 0)
				if _, err := unix.FcntlInt(uintptr(client), unix.F_GETFD, 0); err != unix.EBADF {
					t.Errorf("a closed descriptor: %v, want EBADF", err)
				}
			})
		})
	}
}

func TestConnectRefused(t *testing.T) {
	r := newRing(t, loopOptions())
	l, addr := newListener(t)
	unix.Close(l)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	ok(t, err)
	own(t, fd)
	s := get(t, r, 1)
	to, err := r.Sockaddr(addr)
	ok(t, err)
	s.Connect(fd, to)
	wantRes(t, r, 1, -int(unix.ECONNREFUSED))
}

func TestUnixSockets(t *testing.T) {
	for _, row := range []struct{ name, path string }{
		{"path", filepath.Join(t.TempDir(), "s")},
		{"abstract", "@plexor-uring-" + t.Name()},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRing(t, loopOptions())
			needs(t, r, OpBind, OpListen)
			arena := newArena(t)
			fds := [2]int{}
			for i := range fds {
				fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				ok(t, err)
				fds[i] = own(t, fd)
			}
			s := get(t, r, 1)
			addr, err := r.SockaddrUnix(row.path)
			ok(t, err)
			s.Bind(fds[0], addr)
			wantRes(t, r, 1, 0)
			get(t, r, 2).Listen(fds[0], 1)
			wantRes(t, r, 2, 0)
			s = get(t, r, 3)
			addr, err = r.SockaddrUnix(row.path)
			ok(t, err)
			s.Connect(fds[1], addr)
			wantRes(t, r, 3, 0)
			from := Alloc[Sockaddr](arena)
			get(t, r, 4).Accept(fds[0], from, unix.SOCK_CLOEXEC)
			own(t, int(wantOK(t, r, 4).Res))
			if from.Family() != unix.AF_UNIX || from.Unix() != "" {
				t.Errorf("the peer is %q of family %d, want a nameless Unix socket", from.Unix(), from.Family())
			}
			name := Alloc[Sockaddr](arena)
			ok(t, name.SetUnix(row.path))
			if name.Unix() != row.path {
				t.Errorf("SetUnix(%q), then Unix = %q", row.path, name.Unix())
			}
		})
	}
}

func TestSockaddr(t *testing.T) {
	var s Sockaddr
	for _, text := range []string{"127.0.0.1:80", "[::1]:65535", "[fe80::1%7]:1", "[::ffff:10.0.0.1]:5", "0.0.0.0:0"} {
		a := netip.MustParseAddrPort(text)
		if err := s.SetAddrPort(a); err != nil || s.AddrPort() != a {
			t.Errorf("%s: %v, %v", text, s.AddrPort(), err)
		}
	}
	if err := s.SetAddrPort(netip.MustParseAddrPort("[fe80::1%lo]:1")); err != nil || s.AddrPort().Addr().Zone() != "1" {
		t.Errorf("the zone lo: %v, %v", s.AddrPort(), err)
	}
	for _, a := range []netip.AddrPort{{}, netip.MustParseAddrPort("[fe80::1%no-such]:1")} {
		if err := s.SetAddrPort(a); err == nil || s.Len != 0 || s.AddrPort().IsValid() {
			t.Errorf("%v: no error", a)
		}
	}
	if err := s.SetUnix(string(make([]byte, 108))); !errors.Is(err, unix.ENAMETOOLONG) {
		t.Errorf("a long path: %v", err)
	}
	if err := s.SetUnix(""); err != nil || s.Len != 2 || s.Unix() != "" {
		t.Errorf("no path: %v", err)
	}
}

func TestAcceptMultishot(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		l, addr := newListener(t)
		get(t, r, 1).AcceptMultishot(l, unix.SOCK_CLOEXEC)
		for range 10 {
			_, err := r.Submit()
			ok(t, err)
			dial(t, addr)
			c := wantOK(t, r, 1)
			own(t, int(c.Res))
			if !c.More() {
				t.Fatal("the accept has ended")
			}
		}
		get(t, r, 2).CancelFD(l, CancelAll)
		got := collect(t, r, 2)
		if c := got[2]; c.Res != 1 {
			t.Errorf("cancelled %d (%v), want 1", c.Res, c.Err())
		}
		if c := got[1]; c.Errno() != unix.ECANCELED || c.More() {
			t.Errorf("the accept completes with %v, more %v; want ECANCELED and no more", c.Err(), c.More())
		}
	})
}

func TestSendRecv(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		a, b := newPair(t)
		in, out := bytesOf(t, 64), bytesOf(t, 64)
		copy(out, "to and fro")
		get(t, r, 1).Recv(a, in, 0)
		quiet(t, r)
		get(t, r, 2).Send(b, out[:10], unix.MSG_NOSIGNAL)
		got := collect(t, r, 2)
		if one, two := got[1], got[2]; one.Res != 10 || two.Res != 10 || string(in[:10]) != "to and fro" {
			t.Errorf("received %d, sent %d: %q", one.Res, two.Res, in[:10])
		}
		// MSG_WAITALL goes on where there is no room.
		big := bytesOf(t, 1<<21)
		for i := range big {
			big[i] = byte(i * 7)
		}
		get(t, r, 3).Send(b, big, unix.MSG_WAITALL|unix.MSG_NOSIGNAL)
		quiet(t, r)
		back := bytesOf(t, 1<<21)
		get(t, r, 4).Recv(a, back, unix.MSG_WAITALL)
		got = collect(t, r, 2)
		if three, four := got[3], got[4]; int(three.Res) != len(big) || int(four.Res) != len(big) ||
			string(back) != string(big) {
			t.Errorf("sent %d, received %d of %d", three.Res, four.Res, len(big))
		}
		unix.Close(a)
		get(t, r, 5).Send(b, out[:1], unix.MSG_NOSIGNAL)
		wantRes(t, r, 5, -int(unix.EPIPE))
		get(t, r, 6).Recv(9999, in, 0)
		wantRes(t, r, 6, -int(unix.EBADF))
	})
}

func TestSendZC(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		needs(t, r, OpSendZC, OpSendmsgZC)
		l, addr := newListener(t)
		client := dial(t, addr)
		server, _, err := unix.Accept(l)
		ok(t, err)
		own(t, server)
		buf := bytesOf(t, 1<<14)
		for i := range buf {
			buf[i] = byte(i)
		}
		arena := newArena(t)
		m := Alloc[Message](arena)
		m.SetBuffers(buf[:1<<13], buf[1<<13:])
		ok(t, r.RegisterBuffers(buf))
		for name, prepare := range map[string]func(*SQE){
			"send": func(s *SQE) { s.SendZC(server, buf, unix.MSG_WAITALL) },
			"fixed": func(s *SQE) {
				s.SendZC(server, buf, unix.MSG_WAITALL)
				s.IOPrio |= FixedBuf | ReportUsage
				s.BufIndex = 0
			},
			"sendmsg": func(s *SQE) { s.SendmsgZC(server, m, unix.MSG_WAITALL) },
		} {
			prepare(get(t, r, 1))
			c := wantRes(t, r, 1, len(buf))
			if !c.More() || c.Notif() {
				t.Errorf("%s: first completion %+v, want one with more to come", name, c)
			}
			wantRead(t, client, string(buf))
			c = next(t, r)
			if c.UserData != 1 || !c.Notif() || c.More() || c.Res != 0 && c.Res != UsageCopied {
				t.Errorf("%s: second completion %+v, want a notification", name, c)
			}
		}
		quiet(t, r)
	})
}

func TestSendVector(t *testing.T) {
	r := newRing(t, loopOptions())
	a, b := newPair(t)
	buf := bytesOf(t, 4096)
	copy(buf, "one two")
	list := Alloc[[2]Iovec](newArena(t))
	list[0].Set(buf[4:7])
	list[1].Set(buf[:4])
	get(t, r, 1).SendVector(b, list[:], 0)
	c := next(t, r)
	if c.Errno() == unix.EINVAL {
		t.Skip("no vectorized send here (Linux 6.17)")
	}
	if c.Res != 7 {
		t.Fatal(c.Err())
	}
	wantRead(t, a, "twoone ")
}

func TestMessages(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		arena := newArena(t)
		var fds [2]int
		for i := range fds {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			ok(t, err)
			fds[i] = own(t, fd)
			ok(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		}
		one, two := nameOf(t, fds[0]), nameOf(t, fds[1])
		buf := bytesOf(t, 100)
		copy(buf, "a datagram")
		out := Alloc[Message](arena)
		out.SetBuffers(buf[:2], buf[2:10])
		ok(t, out.Sockaddr().SetAddrPort(two))
		out.UseAddress()
		in := Alloc[Message](arena)
		in.SetBuffers(buf[50:52], buf[60:68])
		in.ReceiveAddress()
		get(t, r, 1).Recvmsg(fds[1], in, 0)
		get(t, r, 2).Sendmsg(fds[0], out, 0)
		collect(t, r, 2)
		if got := string(buf[50:52]) + string(buf[60:68]); got != "a datagram" || in.Address() != one || in.Flags() != 0 {
			t.Errorf("received %q from %v, flags %#x; want a datagram from %v", got, in.Address(), in.Flags(), one)
		}
		// sendto, and a message that is too long for the room
		s := get(t, r, 3)
		to, err := r.Sockaddr(two)
		ok(t, err)
		s.SendTo(fds[0], buf[:10], 0, to)
		if c := next(t, r); c.Res != 10 {
			t.Fatalf("send to an address: %v", c.Err())
		}
		list := Alloc[[1]Iovec](arena)
		list[0].Set(buf[50:53])
		in.SetVector(list[:])
		in.ReceiveAddress()
		get(t, r, 4).Recvmsg(fds[1], in, 0)
		wantRes(t, r, 4, 3)
		if in.Flags()&unix.MSG_TRUNC == 0 || in.Address() != one {
			t.Errorf("flags %#x from %v, want MSG_TRUNC", in.Flags(), in.Address())
		}
		if r.Supports(OpSendZC) {
			s = get(t, r, 5)
			to, err := r.Sockaddr(two)
			ok(t, err)
			s.SendZCTo(fds[0], buf[:4], 0, to)
			if c := wantRes(t, r, 5, 4); c.More() {
				next(t, r)
			}
			wantRead(t, fds[1], "a da")
		}
	})
}

func TestControlMessages(t *testing.T) {
	r := newRing(t, loopOptions())
	arena := newArena(t)
	a, b := newPair(t)
	rights := unix.UnixRights(a)
	control := arena.Bytes(len(rights))
	copy(control, rights)
	out, in := Alloc[Message](arena), Alloc[Message](arena)
	buf := arena.Bytes(1)
	out.SetBuffers(buf)
	out.SetControl(control)
	get(t, r, 1).Sendmsg(a, out, 0)
	wantRes(t, r, 1, 1)
	room := arena.Bytes(64)
	in.SetBuffers(buf)
	in.SetControl(room)
	get(t, r, 2).Recvmsg(b, in, unix.MSG_CMSG_CLOEXEC)
	wantRes(t, r, 2, 1)
	messages, err := unix.ParseSocketControlMessage(room[:in.ControlLen()])
	ok(t, err)
	fds, err := unix.ParseUnixRights(&messages[0])
	ok(t, err)
	own(t, fds[0])
}

func TestSocketCommands(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		needs(t, r, OpUringCmd)
		l, addr := newListener(t)
		a := dial(t, addr)
		b, _, err := unix.Accept(l)
		ok(t, err)
		own(t, b)
		write(t, a, "12345")
		buf := bytesOf(t, 8)
		get(t, r, 1).Recv(b, buf[:1], unix.MSG_PEEK) // until it is there
		wantRes(t, r, 1, 1)
		get(t, r, 2).SocketInQ(b)
		c := next(t, r)
		if c.Errno() == unix.EOPNOTSUPP {
			t.Skip("no socket commands here (Linux 6.7)")
		}
		if c.Res != 5 {
			t.Errorf("%d bytes wait (%v), want 5", c.Res, c.Err())
		}
		get(t, r, 3).SocketOutQ(b)
		wantRes(t, r, 3, 0)
		buf[0] = 1
		get(t, r, 4).Setsockopt(b, unix.IPPROTO_TCP, unix.TCP_NODELAY, buf[:4])
		wantRes(t, r, 4, 0)
		if v, err := unix.GetsockoptInt(b, unix.IPPROTO_TCP, unix.TCP_NODELAY); v == 0 || err != nil {
			t.Errorf("TCP_NODELAY is %d, %v", v, err)
		}
		get(t, r, 5).Getsockopt(b, unix.SOL_SOCKET, unix.SO_TYPE, buf[:4])
		wantRes(t, r, 5, 4)
		if buf[0] != unix.SOCK_STREAM {
			t.Errorf("SO_TYPE is %d", buf[0])
		}
	})
}
