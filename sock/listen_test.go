//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/leak"
)

func TestListenErrors(t *testing.T) {
	taken, at := listen(t, "tcp://127.0.0.1:0")
	defer taken.Close()
	_, udpAt := listen(t, "udp://127.0.0.1:0")
	dir := filepath.Dir(socketPath(t))
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	live, liveAt := listen(t, "unix://"+filepath.Join(dir, "live"))
	defer live.Close()
	for _, row := range []struct {
		name string
		a    Addr
		o    Options
		is   error
		want []string
	}{
		{"tcp port in use", at, Options{}, syscall.EADDRINUSE,
			[]string{"listen " + at.String() + ": bind: address already in use", "port 0 takes a free one"}},
		{"tcp port in use, all addresses", Addr{Scheme: "tcp", Port: at.Port}, Options{}, syscall.EADDRINUSE,
			[]string{"another program has it"}},
		{"tcp port in use, reuse asked by one alone", at, Options{ReusePort: true}, syscall.EADDRINUSE,
			[]string{"another program has it"}},
		{"udp port in use", udpAt, Options{}, syscall.EADDRINUSE,
			[]string{"listen " + udpAt.String(), "another program has it"}},
		{"not our address", Addr{Scheme: "tcp", Host: "192.0.2.1", Port: 0}, Options{}, syscall.EADDRNOTAVAIL,
			[]string{"this machine has no such address"}},
		{"no such name", Addr{Scheme: "tcp", Host: "no-such-host.invalid", Port: 0}, Options{}, nil,
			[]string{"no-such-host.invalid", "the name could not be resolved"}},
		{"no directory", Addr{Scheme: "unix", Path: dir + "/no/s"}, Options{}, syscall.ENOENT,
			[]string{"bind: no such file or directory", "the directory does not exist: make it first"}},
		{"file for a directory", Addr{Scheme: "unix", Path: file + "/s"}, Options{}, syscall.ENOTDIR,
			[]string{"is no directory"}},
		{"regular file there", Addr{Scheme: "unix", Path: file}, Options{}, syscall.EADDRINUSE,
			[]string{"is there and is no socket, so it is not replaced"}},
		{"directory there", Addr{Scheme: "unix", Path: dir}, Options{}, syscall.EADDRINUSE, []string{"is no socket"}},
		{"somebody answers", liveAt, Options{}, syscall.EADDRINUSE, []string{"another program listens there"}},
		{"path too long", Addr{Scheme: "unix", Path: "/" + strings.Repeat("x", 200)}, Options{}, nil,
			[]string{"bytes, and this system takes"}},
		{"path and host", Addr{Scheme: "unix", Host: "a", Path: "/x"}, Options{}, nil,
			[]string{"a unix address has a path alone"}},
		{"host and path", Addr{Scheme: "tcp", Path: "/x"}, Options{}, nil, []string{"a unix address has a path alone"}},
		{"bad port", Addr{Scheme: "tcp", Port: 70000}, Options{}, nil, []string{"out of range"}},
		{"no scheme", Addr{Host: "127.0.0.1"}, Options{}, nil, []string{"the scheme is missing"}},
		{"option of others", Addr{Scheme: "udp"}, Options{Backlog: 1}, errors.ErrUnsupported,
			[]string{"option backlog: a udp socket does not have it"}},
		{"backlog too large", Addr{Scheme: "tcp", Host: "127.0.0.1"}, Options{Backlog: 1 << 30}, nil,
			[]string{"option backlog: the system holds at most"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := leak.Files()
			s, err := Listen(row.a, row.o)
			if err == nil {
				s.Close()
				t.Fatalf("Listen(%v): got a socket, want an error", row.a)
			}
			if s != None {
				t.Errorf("Listen(%v): got %d beside the error, want None", row.a, s)
			}
			if row.is != nil && !errors.Is(err, row.is) {
				t.Errorf("Listen(%v): got %v, want that errors.Is finds %v", row.a, err, row.is)
			}
			for _, want := range append(row.want, row.a.String()) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Listen(%v):\n got %q\nwant %q in it", row.a, err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("Listen(%v): the error has more than one line: %q", row.a, err)
			}
			if after := leak.Files(); after != before {
				t.Errorf("Listen(%v): %d descriptors before the error and %d after", row.a, before, after)
			}
		})
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the regular file: got %q, %v, want it untouched", b, err)
	}
	connect(t, liveAt, Options{}) // the one that answers still does
}

func TestListenPrivilegedPort(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may have any port")
	}
	s, err := Listen(Addr{Scheme: "tcp", Host: "127.0.0.1", Port: 1}, Options{})
	if err == nil {
		s.Close()
		t.Skip("this system lets anybody have any port")
	}
	wantErr(t, "Listen on port 1", err, syscall.EACCES)
	if !strings.Contains(err.Error(), "CAP_NET_BIND_SERVICE") {
		t.Errorf("got %q, want it to say what is needed", err)
	}
}

func TestListenNoPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere; TestHints has the text")
	}
	dir := filepath.Dir(socketPath(t))
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	s, err := Listen(Addr{Scheme: "unix", Path: dir + "/x"}, Options{})
	if err == nil {
		s.Close()
	}
	wantErr(t, "Listen in a directory without permission", err, syscall.EACCES)
}

func TestHints(t *testing.T) {
	path, port := Addr{Scheme: "unix", Path: "/x"}, Addr{Scheme: "tcp", Port: 80}
	for _, row := range []struct {
		name, op string
		a        Addr
		err      error
		want     string
	}{
		{"no permission on a path", "listen", path, syscall.EACCES, "no permission on the file or its directory"},
		{"low port", "listen", port, syscall.EACCES, "CAP_NET_BIND_SERVICE"},
		{"read-only", "listen", path, syscall.EROFS, "is read-only"},
		{"no IPv6", "listen", port, syscall.EAFNOSUPPORT, "does not have that address family"},
		{"no descriptors", "listen", port, syscall.EMFILE, "ulimit -n"},
		{"refused", "connect", port, syscall.ECONNREFUSED, "nobody listens there"},
		{"others", "connect", port, syscall.ETIMEDOUT, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := dress(row.op, row.a, &Error{Call: "call", Err: row.err})
			want := fmt.Sprintf("%s %v: call: %v", row.op, row.a, row.err)
			if !strings.HasPrefix(got.Error(), want) || !strings.Contains(got.Error(), row.want) || row.want == "" &&
				got.Error() != want {
				t.Errorf("got %q, want %q and %q", got, want, row.want)
			}
			wantErr(t, "errors.Is", got, row.err)
		})
	}
}

// A server that starts again gets its port although its old connections are in TIME-WAIT.
func TestListenAgainAfterTimeWait(t *testing.T) {
	l, at := listen(t, "tcp://127.0.0.1:0")
	c, _, err := Connect(at, Options{})
	if err != nil {
		t.Fatal(err)
	}
	awaitReadable(t, l)
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s.Close() // first: the server's side is the one that waits
	awaitReadable(t, c)
	c.Close()
	l.Close()
	again, err := Listen(at, Options{})
	if err != nil {
		t.Fatalf("Listen on %v again: %v", at, err)
	}
	again.Close()
}

func TestListenReusePort(t *testing.T) {
	for _, scheme := range []string{"tcp", "udp"} {
		t.Run(scheme, func(t *testing.T) {
			_, at := listen(t, scheme+"://127.0.0.1:0?reuseport")
			at.Query = addrOf(t, scheme+"://:1?reuseport").Query
			_, second := listen(t, at.String())
			if second.Port != at.Port {
				t.Errorf("got port %d, want %d", second.Port, at.Port)
			}
		})
	}
}

func TestListenV6Only(t *testing.T) {
	needIPv6(t)
	for _, row := range []struct {
		name, listen string
		ipv4         bool
	}{
		{"all", "tcp://:0", true},
		{"all, only IPv6", "tcp://:0?v6only=yes", false},
		{"all, said to be both", "tcp://:0?v6only=no", true},
		{"[::]", "tcp://[::]:0", true},
		{"[::] only", "tcp://[::]:0?v6only", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, at := listen(t, row.listen)
			for host, want := range map[string]bool{"127.0.0.1": row.ipv4, "::1": true} {
				c, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(at.Port)))
				if err == nil {
					c.Close()
				}
				if (err == nil) != want {
					t.Errorf("%s to %s: got %v, want a connection: %v", host, row.listen, err, want)
				}
			}
		})
	}
}

func TestListenUDP(t *testing.T) {
	s, at := listen(t, "udp://127.0.0.1:0")
	if at.Scheme != "udp" || at.Port == 0 {
		t.Errorf("LocalAddr: got %v, want a udp address with a port", at)
	}
	if _, err := s.RemoteAddr(); !errors.Is(err, syscall.ENOTCONN) || err.Error() != "remote address: getpeername: "+
		syscall.ENOTCONN.Error() {
		t.Errorf("RemoteAddr of a socket without peer: got %v, want ENOTCONN with operation and call", err)
	}
}

// stale makes a socket file that nobody listens on.
func stale(t *testing.T, path string) {
	t.Helper()
	s, err := newSocket(unix.AF_UNIX, unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := sysBind(s, endpoint{unix: true, path: path}); err != nil {
		t.Fatal(err)
	}
}

func TestUnixStaleIsReplaced(t *testing.T) {
	path := socketPath(t)
	stale(t, path)
	_, at := listen(t, "unix://"+path)
	if at.Path != path {
		t.Errorf("LocalAddr: got %v, want %s", at, path)
	}
	connect(t, at, Options{})
}

// A backlog that is full means that somebody is there, although connect fails.
func TestUnixFullBacklogIsAlive(t *testing.T) {
	path := socketPath(t)
	_, at := listen(t, "unix://"+path+"?backlog=1")
	full := false
	for range 10 {
		c, connected, err := Connect(at, Options{})
		if err != nil {
			wantErr(t, "Connect with a full backlog", err, ErrWouldBlock)
			full = true
			break
		}
		if !connected {
			t.Errorf("Connect to a unix socket: got under way, want connected at once")
		}
		defer c.Close()
	}
	if !full {
		t.Fatal("the backlog of 1 took 10 connections, so this test has tested nothing")
	}
	s, err := Listen(Addr{Scheme: "unix", Path: path}, Options{})
	if err == nil {
		s.Close()
	}
	wantErr(t, "Listen on a path with a full backlog", err, syscall.EADDRINUSE)
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the file of the one that lives: %v", err)
	}
}

// A datagram socket refuses stream connections with another error (EPROTOTYPE): somebody may be alive there.
func TestUnixOtherKindIsNotReplaced(t *testing.T) {
	path := socketPath(t)
	c, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := Listen(Addr{Scheme: "unix", Path: path}, Options{})
	if err == nil {
		s.Close()
	}
	wantErr(t, "Listen where a datagram socket is", err, syscall.EADDRINUSE)
	if err != nil && !strings.Contains(err.Error(), "cannot be told") {
		t.Errorf("got %q, want it to say why", err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("its file: %v", err)
	}
}

// A link to a socket is not the socket: what is stale behind it is not replaced through it.
func TestUnixLinkIsNotReplaced(t *testing.T) {
	path := socketPath(t)
	stale(t, path)
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	s, err := Listen(Addr{Scheme: "unix", Path: link}, Options{})
	if err == nil {
		s.Close()
	}
	wantErr(t, "Listen on a link", err, syscall.EADDRINUSE)
	for _, p := range []string{path, link} {
		if _, err := os.Lstat(p); err != nil {
			t.Errorf("%v, want it untouched", err)
		}
	}
}

// Many that start at once on a stale path: one gets it, and that one answers.
func TestUnixStaleRace(t *testing.T) {
	path := socketPath(t)
	for round := range 100 {
		stale(t, path)
		const starters = 8
		sockets := make([]Socket, starters)
		errs := make([]error, starters)
		var wg sync.WaitGroup
		gate := make(chan struct{})
		for i := range starters {
			wg.Add(1)
			go func() {
				defer wg.Done()
				<-gate
				sockets[i], errs[i] = Listen(Addr{Scheme: "unix", Path: path}, Options{})
			}()
		}
		close(gate)
		wg.Wait()
		won := 0
		for i, s := range sockets {
			if errs[i] == nil {
				won++
				c, _, err := Connect(Addr{Scheme: "unix", Path: path}, Options{})
				if err == nil {
					awaitReadable(t, s)
					a, err := s.Accept()
					if err != nil {
						t.Errorf("round %d: Accept: %v", round, err)
					}
					a.Close()
					c.Close()
				} else {
					t.Errorf("round %d: the one that won does not answer: %v", round, err)
				}
				f, err := FileOf(s)
				if err != nil {
					t.Fatal(err)
				}
				if err := f.Remove(); err != nil {
					t.Error(err)
				}
				s.Close()
			} else {
				wantErr(t, "a starter that lost", errs[i], syscall.EADDRINUSE)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d of %d got the path, want 1", round, won, starters)
		}
	}
}

// A directory that is locked for long (by some other program) holds Listen up only for a moment.
func TestUnixDirectoryLocked(t *testing.T) {
	path := socketPath(t)
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	listen(t, "unix://"+path)
	if d := time.Since(start); d < lockWait || d > patience {
		t.Errorf("Listen took %v, want %v and not much more", d, lockWait)
	}
}

func TestUnixMode(t *testing.T) {
	for _, mode := range []fs.FileMode{0o600, 0o666, 0o777} {
		path := socketPath(t)
		listen(t, fmt.Sprintf("unix://%s?mode=%04o", path, mode))
		info, err := os.Lstat(path)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("mode %v: got %v, %v", mode, info.Mode(), err)
		}
	}
}

func TestFile(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(t *testing.T, path string)
		kept   bool // a file is there after Remove
	}{
		{"ours", func(*testing.T, string) {}, false},
		{"gone", func(t *testing.T, path string) { os.Remove(path) }, false},
		{"mode changed", func(t *testing.T, path string) { os.Chmod(path, 0o600) }, false},
		{"the same inode used again later", func(t *testing.T, path string) {
			if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"another socket", func(t *testing.T, path string) { os.Remove(path); stale(t, path) }, true},
		{"a file", func(t *testing.T, path string) {
			os.Remove(path)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := socketPath(t)
			s, _ := listen(t, "unix://"+path)
			f, err := FileOf(s)
			if err != nil || f.Path() != path {
				t.Fatalf("FileOf: got %q, %v, want %q", f.Path(), err, path)
			}
			row.change(t, path)
			if err := f.Remove(); err != nil {
				t.Errorf("Remove: %v", err)
			}
			if _, err := os.Lstat(path); (err == nil) != row.kept {
				t.Errorf("after Remove: %v, want a file there: %v", err, row.kept)
			}
		})
	}
	s, _ := listen(t, "tcp://127.0.0.1:0")
	f, err := FileOf(s)
	if err != nil || f.Path() != "" || f.Remove() != nil {
		t.Errorf("FileOf a tcp socket: got %q, %v, want the zero File, which Remove leaves be", f.Path(), err)
	}
	p, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer p[0].Close()
	defer p[1].Close()
	if f, err := FileOf(p[0]); err != nil || f.Path() != "" {
		t.Errorf("FileOf an unnamed socket: got %q, %v, want the zero File", f.Path(), err)
	}
}

// An error leaves no file behind, whether it comes before bind or after.
func TestUnixErrorLeavesNoFile(t *testing.T) {
	path := socketPath(t)
	// A buffer that the system does not grant fails before bind.
	_, err := Listen(Addr{Scheme: "unix", Path: path}, Options{SendBuffer: 1 << 30})
	if err == nil {
		t.Fatal("a send buffer of 1 GiB was granted")
	}
	if !strings.Contains(err.Error(), "asked for 1073741824 bytes") && !errors.Is(err, syscall.ENOBUFS) {
		t.Errorf("got %v, want what was asked for and granted", err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file after an error before bind: %v, want none", err)
	}

	// A socket that cannot listen, since it is a datagram socket, fails after bind.
	before := leak.Files()
	_, err = listenUnix(endpoint{unix: true, datagrams: true, path: path}, Options{})
	if runtime.GOOS != "linux" && err == nil {
		t.Skip("this system lets a datagram socket listen")
	}
	wantErr(t, "listen(2) on a datagram socket", err, syscall.EOPNOTSUPP)
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file after an error after bind: %v, want none", err)
	}
	if after := leak.Files(); after != before {
		t.Errorf("%d descriptors before the error and %d after", before, after)
	}
}
