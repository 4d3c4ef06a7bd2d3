//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/ftpd"
	"github.com/plexor-go/plexor/proto/ftp"
)

// The cores of the server and of the client, where there are two.
const serverCore, clientCore = 0, 1

// makeFiles makes what servers need: the file, and the folder that vsftpd locks itself into.
func makeFiles(dir string, size int64) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	for _, sub := range []string{"files", "empty"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	f, err := os.Create(filepath.Join(dir, "files", "big"))
	if err != nil {
		return err
	}
	piece := make([]byte, 1<<20) // written, not a hole: its pages are there when it is read
	for left := size; left > 0 && err == nil; left -= int64(len(piece)) {
		_, err = f.Write(piece[:min(left, int64(len(piece)))])
	}
	return errors.Join(err, f.Chmod(0o644), f.Close())
}

// beServer serves a folder until its input ends.
func beServer(dir, driver string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	users := new(ftp.Accounts)
	users.Anonymous(ftp.Dir(root))
	srv := &plexor.Server{Driver: driver, Loops: 1}
	defer srv.Close()
	a, err := srv.Open("tcp://127.0.0.1:0", ftpd.Handler(&ftp.Server{Users: users}))
	if err != nil {
		return err
	}
	fmt.Println(a)
	_, _ = io.Copy(io.Discard, os.Stdin) // its end is what is waited for
	return nil
}

// vsftpdConf serves one folder to anybody who comes, and leaves transfers and logs alone otherwise.
const vsftpdConf = `listen=YES
listen_address=127.0.0.1
listen_port=%s
background=NO
anonymous_enable=YES
local_enable=NO
anon_root=%s
secure_chroot_dir=%s
xferlog_enable=NO
nopriv_user=%s
ftp_username=%s
isolate=NO
isolate_network=NO
seccomp_sandbox=NO
`

// A process is a server's.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser // its end is the server's; nil: it is killed
	address string
}

func start(name, dir string, s settings) (*process, error) {
	switch name {
	case "plexor":
		return startPlexor(filepath.Join(dir, "files"), s)
	case "vsftpd", "again":
		return startVsftpd(dir, s)
	}
	return nil, errors.New("there is no such server")
}

func startPlexor(dir string, s settings) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, "-serve", dir, "-driver", s.driver)}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startOn(serverCore, s.pin, p.cmd); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("it did not start: %w", err)
	}
	p.address = strings.TrimSpace(line)
	return p, nil
}

func startVsftpd(dir string, s settings) (*process, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &process{address: ln.Addr().String()}
	_ = ln.Close() // nobody else takes its port so soon
	_, port, _ := net.SplitHostPort(p.address)
	who := "ftp"
	conf := filepath.Join(dir, "vsftpd.conf."+port)
	text := fmt.Sprintf(vsftpdConf, port, filepath.Join(dir, "files"), filepath.Join(dir, "empty"), who, who)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p.cmd = exec.Command(vsftpd, conf)
	p.cmd.Stderr = os.Stderr
	if err := startOn(serverCore, s.pin, p.cmd); err != nil {
		return nil, err
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		nc, err := net.Dial("tcp", p.address)
		if err == nil {
			_ = nc.Close() // it answers
			return p, nil
		}
		if time.Now().After(end) {
			p.stop()
			return nil, fmt.Errorf("it does not listen: %w", err)
		}
	}
}

// startOn starts a process that runs on one core: it inherits it from the thread that starts it.
func startOn(core int, pinned bool, cmd *exec.Cmd) error {
	if !pinned || runtime.NumCPU() < 2 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	if err := pin(0, core); err != nil {
		return err
	}
	return errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &before))
}

func pin(tid, core int) error {
	var one unix.CPUSet
	one.Set(core)
	if err := unix.SchedSetaffinity(tid, &one); err != nil {
		return fmt.Errorf("sched_setaffinity: %w", err)
	}
	return nil
}

// pinSelf has all threads of this process run on one core, and those that they start.
func pinSelf(core int) error {
	if runtime.NumCPU() < 2 {
		return nil
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		tid, _ := strconv.Atoi(t.Name()) // it is a number
		if err := pin(tid, core); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// stop ends the server.
func (p *process) stop() {
	if p.in != nil {
		_ = p.in.Close() // which ends it
	} else {
		_ = p.cmd.Process.Kill() // it has nothing to lose
	}
	timer := time.AfterFunc(2*time.Second, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait() // how it ended is no news
	timer.Stop()
}
