package proc_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A manager is a service manager's socket.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
	path string
}

func manage(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(socketDir(t), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test is over
	return &manager{t, c, path}
}

func (m *manager) env(c *exec.Cmd) { c.Env = append(c.Env, "NOTIFY_SOCKET="+m.path) }

// hears wants a message that begins so.
func (m *manager) hears(want string) string {
	m.t.Helper()
	buf := make([]byte, 4096)
	if err := m.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		m.t.Fatal(err)
	}
	n, err := m.conn.Read(buf)
	if got := string(buf[:n]); err != nil || !strings.HasPrefix(got, want) {
		m.t.Fatalf("the service manager is told %q, %v; want %q", got, err, want)
	}
	return string(buf[:n])
}

// TestNotify: what a service manager is told in a master's life.
func TestNotify(t *testing.T) {
	mgr := manage(t)
	m := fresh().ready(t, mgr.env)
	mgr.hears(fmt.Sprintf("READY=1\nMAINPID=%d", m.cmd.Process.Pid))
	m.signal(syscall.SIGHUP)
	mgr.hears("RELOADING=1\nMONOTONIC_USEC=")
	mgr.hears("READY=1")
	m.ends(syscall.SIGTERM)
	mgr.hears("STOPPING=1")
}

// TestNotifyUpgrade: the service manager follows from one master to the next.
func TestNotifyUpgrade(t *testing.T) {
	t.Parallel()
	mgr := manage(t)
	s := fresh()
	s.PIDFile = filepath.Join(socketDir(t), "pid")
	m := s.ready(t, mgr.env)
	mgr.hears("READY=1")
	m.signal(syscall.SIGUSR2)
	m.says(`the new master is ready`)
	var young int
	if _, err := fmt.Sscanf(mgr.hears("READY=1\nMAINPID="), "READY=1\nMAINPID=%d", &young); err != nil {
		t.Fatal(err)
	}
	m.ends(syscall.SIGTERM)
	mgr.hears(fmt.Sprintf("MAINPID=%d", young))
	m.says(`this one goes on alone`)
	if err := syscall.Kill(young, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	mgr.hears("STOPPING=1")
}

// TestChildrenNotify: our workers may tell us by the same protocol, and find the sockets by it.
func TestChildrenNotify(t *testing.T) {
	s := fresh()
	s.Entry = "notifies"
	m := s.ready(t)
	m.ends(syscall.SIGTERM)
}

// activate starts a program as systemd does: descriptors from 3 on, and LISTEN_PID, which only the process itself can
// know, so that a shell sets it.
func activate(t *testing.T, names string, files ...*os.File) func(*exec.Cmd) {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell here to set LISTEN_PID by")
	}
	return func(c *exec.Cmd) {
		c.Args = []string{sh, "-c", `LISTEN_PID=$$ exec "$0"`, c.Path}
		c.Path = sh
		c.ExtraFiles = files
		c.Env = append(c.Env, fmt.Sprintf("LISTEN_FDS=%d", len(files)), "LISTEN_FDNAMES="+names)
	}
}

// TestActivation: sockets that systemd has made are served, and its files are left to it.
func TestActivation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(socketDir(t), "s")
	ul, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ul.Close()
	tl, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer tl.Close()
	uf, err := ul.File()
	if err != nil {
		t.Fatal(err)
	}
	defer uf.Close()
	tf, err := tl.File()
	if err != nil {
		t.Fatal(err)
	}
	defer tf.Close()
	stray, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer stray.Close()
	sf, err := stray.File()
	if err != nil {
		t.Fatal(err)
	}
	defer sf.Close()

	s := fresh()
	s.Addrs = []string{"unix://" + path, "tcp://" + tl.Addr().String(), "tcp://127.0.0.1:0"}
	m := s.ready(t, activate(t, "plain.socket:web:stray", tf, uf, sf))
	m.says(`no address is for.*how many"?=1`)
	for n := range s.Addrs {
		m.ask(m.dial(n))
	}
	if m.addrs[1] != "tcp://"+tl.Addr().String() || m.addrs[2] == "tcp://"+stray.Addr().String() {
		t.Errorf("it serves %q", m.addrs)
	}
	m.signal(syscall.SIGHUP)
	m.says(`reload done`)
	m.ask(m.dial(0))
	m.ends(syscall.SIGTERM)
	if !exists(path) {
		t.Error("the socket's file is gone, and it was not ours")
	}
	if c, err := net.Dial("unix", path); err != nil {
		t.Errorf("the socket listens no more, and it was not ours to end: %v", err)
	} else {
		_ = c.Close() // it could connect
	}
}

// TestNotForUs: descriptors that were handed to another process are left alone, and none were where nobody says how
// many.
func TestNotForUs(t *testing.T) {
	t.Parallel()
	activated := activate(t, "")
	for name, more := range map[string]func(*exec.Cmd){
		"another's":        func(c *exec.Cmd) { c.Env = append(c.Env, "LISTEN_PID=1", "LISTEN_FDS=5") },
		"without a number": func(c *exec.Cmd) { env := c.Env; activated(c); c.Env = env },
	} {
		t.Run(name, func(t *testing.T) {
			s := fresh()
			m := s.ready(t, more)
			m.once()
			m.ends(syscall.SIGTERM)
			if n := m.count(`no address is for`); n != 0 {
				t.Error("it took what was not handed to it")
			}
		})
	}
}

// TestActivationLies: what was not handed over is not touched, whatever LISTEN_FDS says, and what can't be served is
// refused by its name.
func TestActivationLies(t *testing.T) {
	t.Parallel()
	path := filepath.Join(socketDir(t), "s")
	file := func(family, typ int, name unix.Sockaddr, listen bool) *os.File {
		fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(fd, name)
		}
		if err == nil && listen {
			err = unix.Listen(fd, 8)
		}
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), "handed")
		t.Cleanup(func() { _ = f.Close() }) // nobody writes to it
		return f
	}
	local := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	tcp := file(unix.AF_INET, unix.SOCK_STREAM, local, true)
	for _, row := range []struct {
		name   string
		file   *os.File
		claims int
		addr   string
		want   string
	}{
		{"one more than there are", tcp, 2, "tcp://127.0.0.1:0",
			`LISTEN_FDS=2, but descriptor 4 is (not open|one of this process's own): fewer were handed over`},
		{"many more than there are", tcp, 40, "tcp://127.0.0.1:0", `LISTEN_FDS=40, but descriptor 4 is`},
		{"a socket of messages", file(unix.AF_UNIX, unix.SOCK_SEQPACKET, &unix.SockaddrUnix{Name: path}, true), 1,
			"unix://" + path,
			`type seqpacket that listens: a server of unix needs a unix socket of type stream that listens`},
		{"one that does not listen", file(unix.AF_INET, unix.SOCK_STREAM, local, false), 1, "tcp://127.0.0.1:0",
			`does not listen: a server of tcp needs`},
		{"a file", func() *os.File {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = f.Close() }) // likewise
			return f
		}(), 1, "tcp://127.0.0.1:0", `look at descriptor 3: getsockopt`},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := fresh()
			s.Addrs = []string{row.addr}
			s.PIDFile = filepath.Join(t.TempDir(), "pid")
			m := s.start(t, activate(t, url.QueryEscape(row.addr), row.file), func(c *exec.Cmd) {
				c.Env = append(c.Env, fmt.Sprintf("LISTEN_FDS=%d", row.claims))
			})
			m.says(row.want)
			if code := m.exit(); code == 0 {
				t.Error("exit 0, want an error")
			}
		})
	}
}

// TestPIDFileFollowsNothing: a symlink at the path, and what it points to, stay as they are.
func TestPIDFileFollowsNothing(t *testing.T) {
	dir := t.TempDir()
	precious, link := filepath.Join(dir, "precious"), filepath.Join(dir, "pid")
	if err := errors.Join(os.WriteFile(precious, []byte("precious"), 0o600), os.Symlink(precious, link)); err != nil {
		t.Fatal(err)
	}
	s := fresh()
	s.PIDFile = link
	m := s.start(t)
	m.says(`pid file.*symlink`)
	if m.exit() == 0 {
		t.Error("exit 0, want an error")
	}
	if got, err := os.ReadFile(precious); string(got) != "precious" {
		t.Errorf("the file that the link points to has %q now; %v", got, err)
	}
}
