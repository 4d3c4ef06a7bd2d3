//go:build linux || darwin || freebsd

package loop_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/stage"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// child plays a part in a process of its own: "loop DRIVER" or "group DRIVER", an echo server with 64 descriptors. It
// prints its address, and ends with its standard input.
func child(part string) int {
	kind, driver, _ := strings.Cut(part, " ")
	switch kind {
	case "stopped":
		return stopped(driver)
	case "memory":
		return littleMemory(driver)
	}
	limit := unix.Rlimit{Cur: 64, Max: 64}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	o := loop.GroupOptions{Loops: 2,
		Options: loop.Options{Driver: driver, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}}
	if kind == "loop" { // on a clock that stands: no timer helps
		o.Loops, o.Clock = 1, manual()
	}
	g, err := loop.NewGroup(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	h := abortingEcho{}
	ln, err := g.Listen(sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Options{},
		func(*loop.Conn) loop.Handler { return h })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(ln.Addr())
	io.Copy(io.Discard, os.Stdin)
	s := g.Stats()
	if err := g.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Printf("accepted=%d stepped back=%v\n", s.Accepted, s.StepBacks > 0)
	return 0
}

// abortingEcho gives its connection up at the end of the input: without waiting for anything.
type abortingEcho struct{ loop.Base }

func (abortingEcho) Data(c *loop.Conn, p []byte) { c.Write(p) }
func (abortingEcho) EOF(c *loop.Conn)            { c.Abort() }

// At the limit of open files the listener steps back; those that it has are served, and the others get in as
// descriptors come free: without waiting for a timer when it is the loop that closes one.
func TestOutOfDescriptors(t *testing.T) {
	const clients = 200
	each(t, func(t *testing.T, driver string) {
		for _, kind := range []string{"loop", "group"} {
			t.Run(kind, func(t *testing.T) {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), "PLEXOR_LOOP_CHILD="+kind+" "+driver)
				var log lockedBuffer
				cmd.Stderr = &log
				stdin, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				stdout, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				defer func() {
					stdin.Close()
					if err := cmd.Wait(); err != nil {
						t.Errorf("the server: %v\n%s", err, log.String())
					}
				}()
				lines := bufio.NewReader(stdout)
				line, err := lines.ReadString('\n')
				if err != nil {
					t.Fatalf("the server printed nothing: %v\n%s", err, log.String())
				}
				a, err := sock.ParseAddr(strings.TrimSpace(line))
				if err != nil {
					t.Fatal(err)
				}
				served := make(chan *peer, clients)
				for range clients {
					p := dial(t, a)
					p.send([]byte("hello"))
					go func() {
						if _, err := io.ReadFull(p, make([]byte, 5)); err != nil {
							t.Errorf("no reply: %v", err)
							p = nil
						}
						served <- p
					}()
				}
				for n := range clients {
					p := recv(t, fmt.Sprintf("the %dth client's reply", n), served)
					if p == nil {
						t.Fatalf("the %dth client was not served\n%s", n, log.String())
					}
					p.send([]byte("again"))
					p.expect([]byte("again"))
					p.Close()
				}
				stdin.Close()
				line, err = lines.ReadString('\n')
				if want := fmt.Sprintf("accepted=%d stepped back=true\n", clients); err != nil || line != want {
					t.Errorf("the server says %q, %v: want %q", line, err, want)
				}
				if got := log.String(); !strings.Contains(got, "steps back") || !strings.Contains(got, "accepts again") {
					t.Errorf("the log does not say that the listener stepped back, and that it went on:\n%s", got)
				} else if n := strings.Count(got, "\n"); n > 10 {
					t.Errorf("%d lines in the log for %d clients:\n%.1000s", n, clients, got)
				}
			})
		}
	})
}

// What still comes for a descriptor that was closed, and whose number another connection has by then, reaches nobody:
// one is closed and the other accepted in the same turn, before the event of the first is looked at.
func TestLateEventOfAReusedDescriptor(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		reused := 0
		for range 20 {
			r := run(t, loop.Options{Driver: driver})
			var victim *link
			number := -1
			killer := r.connect("tcp", sock.Options{}, &watcher{data: func(*loop.Conn, []byte) {
				number = victim.c.Socket().FD()
				victim.c.Abort()
			}})
			victim = r.connect("tcp", sock.Options{}, &watcher{})
			var stranger *loop.Conn
			closed := make(chan error, 1)
			a := r.serve("tcp", func() loop.Handler {
				return &watcher{t: t,
					opened: func(c *loop.Conn) {
						stranger = c
						if c.Socket().FD() == number {
							reused++
						}
					},
					data:   func(c *loop.Conn, p []byte) { c.Write(p) },
					eof:    func(c *loop.Conn) { t.Error("EOF, which was another's") },
					closed: func(_ *loop.Conn, err error) { closed <- err },
				}
			})
			// All three become ready while the loop is held up, in this order.
			release := r.busy()
			killer.peer.send([]byte("kill"))
			p := dial(t, a)
			victim.peer.send([]byte("late"))
			victim.peer.Close()
			unplug := plug(t, victim.c.Socket().FD())
			release()
			victim.end(loop.ErrAborted)
			unplug()
			p.send([]byte("hello"))
			p.expect([]byte("hello"))
			if len(closed) > 0 {
				t.Fatalf("the new connection was closed: %v", <-closed)
			}
			r.do(func() { stranger.Abort(); killer.c.Abort() })
			r.Close()
		}
		t.Logf("the number was used again in %d of 20 rounds", reused)
	})
}

// plug takes all free descriptors below a number, so that this one is given next when it comes free.
func plug(t *testing.T, below int) (unplug func()) {
	t.Helper()
	var fds []int
	for {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if fd > below {
			unix.Close(fd)
			break
		}
		fds = append(fds, fd)
	}
	return func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

// Clients beyond what select can hold wait in the backlog, or are refused with a line in the log; the rest is served,
// and as they go others get in.
func TestMoreClientsThanSelectHolds(t *testing.T) {
	const clients = 1200
	if l := fdLimit(); l < 6000 {
		t.Skipf("the limit of open files is %d: this test needs 6000", l)
	}
	each(t, func(t *testing.T, driver string) {
		if driver != "select" {
			t.Skip("only select has such a limit")
		}
		var log lockedBuffer
		r := run(t, loop.Options{Driver: driver, Log: slog.New(slog.NewTextHandler(&log, nil))})
		a := r.serve("tcp", func() loop.Handler { return abortingEcho{} })
		var waiting []farPeer
		served, refused := 0, 0
		for range clients {
			p := dialFar(t, a)
			defer p.close()
			if err := p.send([]byte("hello")); err == unix.ECONNRESET || err == unix.EPIPE {
				refused++ // already
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, p)
		}
		// Who is served now is served.
		r.until("select is full", func() bool { return r.Stats().StepBacks > 0 })
		for round := 0; len(waiting) > 0; round++ {
			if round > 100 {
				t.Fatalf("%d clients still wait, %d were served", len(waiting), served)
			}
			var later []farPeer
			for _, p := range waiting {
				switch n, err := p.read(make([]byte, 5), round > 0); {
				case n == 5:
					served++
					p.close()
				case err == unix.EAGAIN:
					later = append(later, p)
				default: // reset
					refused++
					p.close()
				}
			}
			waiting = later
			if round == 0 && served < 900 {
				t.Fatalf("%d clients served at first: want at least 900", served)
			}
		}
		if served+refused != clients || refused > 50 {
			t.Errorf("%d clients served and %d refused of %d: want few refused", served, refused, clients)
		}
		t.Logf("%d served, %d refused", served, refused)
		if got := log.String(); !strings.Contains(got, "steps back") {
			t.Errorf("the log does not say that the listener stepped back:\n%s", got)
		} else if n := strings.Count(got, "\n"); n > 20 {
			t.Errorf("%d lines in the log:\n%.2000s", n, got)
		}
	})
}

func fdLimit() uint64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	return uint64(l.Cur)
}

// A farPeer is a blocking socket whose number is beyond those that select can hold, so that it takes no place there.
type farPeer struct {
	fd *int
	c  net.Conn // on the virtual driver, in its place
}

const farFrom = 2000

func dialFar(t testing.TB, a sock.Addr) farPeer {
	t.Helper()
	if stage.Of(a.Host) != nil {
		return farPeer{c: dial(t, a)}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ap, _ := a.AddrPort()
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}); err != nil {
		t.Fatalf("connect: %v", err)
	}
	far, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, farFrom)
	if err != nil {
		t.Fatal(err)
	}
	return farPeer{fd: &far}
}

func (p farPeer) send(b []byte) error {
	if p.c != nil {
		_, err := p.c.Write(b)
		return err
	}
	_, err := unix.Write(*p.fd, b)
	return err
}

// read reads what there is; it waits a while if asked, and then returns EAGAIN.
func (p farPeer) read(b []byte, wait bool) (int, error) {
	if p.c != nil {
		return p.c.Read(b) // until patience ends
	}
	d := 300 * time.Millisecond
	if wait {
		d = 2 * time.Millisecond
	}
	tv := unix.NsecToTimeval(int64(d))
	if err := unix.SetsockoptTimeval(*p.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return 0, err
	}
	for {
		n, err := unix.Read(*p.fd, b)
		if err != unix.EINTR {
			return n, err
		}
	}
}

func (p farPeer) close() {
	if p.c != nil {
		_ = p.c.Close() // it may be closed
	} else if *p.fd >= 0 {
		unix.Close(*p.fd)
		*p.fd = -1
	}
}
