//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/plexor-go/plexor/proto/ftp"
)

// patience is how long anything of a session may take.
const patience = time.Minute

// A session is a control connection that has logged in.
type session struct {
	pid int // of the server
	nc  net.Conn
	r   *bufio.Reader
	buf []byte // what is read goes there
}

func (p *process) login() (*session, error) {
	nc, err := net.Dial("tcp", p.address)
	if err != nil {
		return nil, err
	}
	c := &session{pid: p.cmd.Process.Pid, nc: nc, r: bufio.NewReader(nc), buf: make([]byte, 1<<20)}
	_, err = c.want(220)
	for _, x := range []struct {
		line string
		code int
	}{{"USER anonymous", 331}, {"PASS me@", 230}, {"TYPE I", 200}} {
		if err == nil {
			_, err = c.do(x.line, x.code)
		}
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *session) close() { _ = c.nc.Close() }

// want reads replies to the one of a code, and returns its text.
func (c *session) want(code int) (string, error) {
	for {
		line, err := c.r.ReadString('\n')
		switch {
		case err != nil:
			return "", err
		case strings.HasPrefix(line, strconv.Itoa(code)+" "):
			return line, nil
		case len(line) > 4 && line[3] == ' ' && line[0] >= '4' && line[0] <= '5':
			return "", fmt.Errorf("the reply is %q, want %d", line, code)
		}
	}
}

func (c *session) do(line string, code int) (string, error) {
	_ = c.nc.SetDeadline(time.Now().Add(patience)) // a connection that is over says so at the write
	if _, err := io.WriteString(c.nc, line+"\r\n"); err != nil {
		return "", err
	}
	return c.want(code)
}

// retrieve fetches the file.
func (c *session) retrieve(size int64) (r round, err error) {
	text, err := c.do("EPSV", 229)
	if err != nil {
		return r, err
	}
	port, err := ftp.ParseEPSV(text)
	if err != nil {
		return r, err
	}
	before, err := cpu(c.pid)
	if err != nil {
		return r, err
	}
	host, _, _ := net.SplitHostPort(c.nc.RemoteAddr().String())
	began := time.Now()
	data, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		return r, err
	}
	defer data.Close()
	_ = data.SetDeadline(began.Add(patience)) // a connection that is over says so at the read
	if _, err := c.do("RETR big", 150); err != nil {
		return r, err
	}
	var n int64
	for err == nil {
		var m int
		m, err = data.Read(c.buf)
		n += int64(m)
	}
	if err != io.EOF || n != size {
		return r, fmt.Errorf("%d of %d bytes came: %w", n, size, err)
	}
	if _, err := c.want(226); err != nil {
		return r, err
	}
	r.wall = time.Since(began)
	after, err := cpu(c.pid)
	r.cpu = after - before
	return r, err
}

// cpu is what a process and its children have used, all threads, since they began.
func cpu(pid int) (total time.Duration, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	parent := make(map[int]int)
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		parent[id], _ = strconv.Atoi(fields[1]) // the kernel's
	}
	for id := range parent {
		if !descends(parent, id, pid) {
			continue
		}
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", id))
		for _, path := range tasks {
			b, err := os.ReadFile(path)
			if err != nil {
				continue // it has ended
			}
			ns, err := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
			if err != nil {
				return 0, err
			}
			total += time.Duration(ns)
		}
	}
	return total, nil
}

// descends reports whether a process is another one, or comes from it.
func descends(parent map[int]int, id, from int) bool {
	for ; id > 1; id = parent[id] {
		if id == from {
			return true
		}
	}
	return false
}
