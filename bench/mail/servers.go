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
	"strconv"
	"strings"
	"time"
)

// A kind is a server with its settings.
type kind struct {
	name string
	peer string // the one that it is compared with; "": none
}

var kinds = []kind{
	{"mailpit", ""}, {"plexor sync=no", "mailpit"},
	{"mailpit --disable-wal", ""}, {"plexor sync=yes", "mailpit --disable-wal"},
}

// A process is a server's or a load's.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// run starts a program. What it writes to standard error goes to log.
func run(log, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...)}
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p.cmd.Stderr = f
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	return p, p.cmd.Start()
}

// stop ends it.
func (p *process) stop() {
	_ = p.in.Close() // a load ends by that
	_ = p.cmd.Process.Signal(os.Interrupt)
	t := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait() // it was told to end
	t.Stop()
}

// userHz is the unit of CPU times in /proc, on all of Linux's machines.
const userHz = 100

// cpu is the CPU time of its process so far.
func (p *process) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0, errors.New("/proc has too few fields")
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / userHz, errors.Join(err1, err2)
}

// freePort is one that was free a moment ago.
func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// startServer starts a server that keeps its mail below dir, and waits until it answers.
func startServer(s settings, k kind, dir string) (p *process, address string, err error) {
	dir = filepath.Join(dir, strings.NewReplacer(" ", "-", "=", "-").Replace(k.name))
	if err = os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	if address, err = freePort(); err != nil {
		return nil, "", err
	}
	page, err := freePort()
	if err != nil {
		return nil, "", err
	}
	log := filepath.Join(dir, "log")
	if strings.HasPrefix(k.name, "mailpit") {
		args := []string{"--smtp", address, "--listen", page, "--disable-version-check", "-m", "10000000", "-q", "-d",
			filepath.Join(dir, "mail.db")}
		if strings.HasSuffix(k.name, "wal") {
			args = append(args, "--disable-wal")
		}
		p, err = run(log, s.mailpit, args...)
	} else {
		_, sync, _ := strings.Cut(k.name, "=")
		p, err = run(log, s.plexor, "serve", fmt.Sprintf("smtp=tcp://%s?keep=10000000&sync=%s&http=tcp://%s&maildir=%s",
			address, sync, page, filepath.Join(dir, "mail")))
	}
	if err != nil {
		return nil, "", err
	}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := dial(address); err == nil {
			_ = c.say("QUIT\r\n", "221") // it answers
			_ = c.nc.Close()
			return p, address, nil
		}
	}
	p.stop()
	return nil, "", fmt.Errorf("%s does not answer: %s tells more", k.name, log)
}

// startLoad starts the load on a server.
func startLoad(s settings, address, mode string, conns int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return run(os.DevNull, self, "-load", address, "-mode", mode, "-conns", strconv.Itoa(conns), "-mails",
		strconv.Itoa(s.mails))
}
