//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/load"
)

// The cores of the server and of the load, where there are two.
const serverCore, clientCore = 0, 1

// warmup is how long each server is loaded before it is measured.
const warmup = 300 * time.Millisecond

// A process is a server's.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	address string
}

// start starts a server in a process of its own: this program, told to be it.
func start(name, service string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, "-serve", name, "-service", service)}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startOn(serverCore, p.cmd); err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("the server did not start: %w", err)
	}
	p.address = line[:len(line)-1]
	return p, nil
}

// startOn starts a process that runs on one core: it inherits it from the thread that starts it.
func startOn(core int, cmd *exec.Cmd) error {
	if runtime.NumCPU() < 2 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("sched_setaffinity: %w", err)
	}
	return errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &before))
}

// stop ends the server: its input ends, and it is killed if that does not do it.
func (p *process) stop() {
	_ = p.in.Close() // which ends it
	timer := time.AfterFunc(2*time.Second, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait() // how it ended is no news
	timer.Stop()
}

// usage asks the server for what it has used.
func (p *process) usage(collect bool) (u usage, err error) {
	ask := "usage\n"
	if collect {
		ask = "collect\n"
	}
	if _, err := io.WriteString(p.in, ask); err != nil {
		return u, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return u, err
	}
	return u, json.Unmarshal(line, &u)
}

// measure loads a server once.
func measure(name, service string, sh shape, d time.Duration) (r round, err error) {
	p, err := start(name, service)
	if err != nil {
		return r, err
	}
	defer p.stop()
	before, err := p.usage(false)
	if err != nil {
		return r, err
	}
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	var out, stderr bytes.Buffer
	cmd := exec.Command(self, "-client", p.address, "-service", service, "-shapes", sh.String(), "-d", d.String())
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := startOn(clientCore, cmd); err != nil {
		return r, err
	}
	if err := cmd.Wait(); err != nil {
		return r, fmt.Errorf("the load: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	after, err := p.usage(false)
	if err != nil {
		return r, err
	}
	var res load.Result
	if err := json.Unmarshal(out.Bytes(), &res); err != nil {
		return r, err
	}
	answers := float64(res.BytesReceived) / float64(sh.Size+header(service))
	return round{Service: service, Server: name, Shape: sh.String(), CPU: float64(after.CPU-before.CPU) / 1e3 / answers,
		Rate: res.Rate, P50: res.Latency.P50, P99: res.Latency.P99}, nil
}

// header is how many bytes a service puts before a message.
func header(service string) int {
	if service == "framed" {
		return 4
	}
	return 0
}

// beClient is the process of the load: it prints the result.
func beClient(address, service string, d time.Duration, text string) error {
	sh, err := parseShape(text)
	if err != nil {
		return err
	}
	o := load.Options{Address: "tcp://" + address, Conns: sh.Conns, Depth: sh.Depth, Size: sh.Size, Duration: d,
		Warmup: warmup}
	if service == "framed" {
		o.Codec = frame.Length{Bytes: 4, Max: mostMessage}
	}
	res, err := load.Run(context.Background(), o)
	if err != nil {
		return err
	}
	return errors.Join(res.Err(), json.NewEncoder(os.Stdout).Encode(res))
}

// measureIdle is the memory of a connection that has echoed a message and waits.
func measureIdle(name, service string, conns int) (kib float64, err error) {
	p, err := start(name, service)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	// With one connection before, what the first one makes is not counted.
	cs, err := idleConns(nil, p.address, service, 1)
	defer func() {
		for _, c := range cs {
			_ = c.Close() // it has done its work
		}
	}()
	if err != nil {
		return 0, err
	}
	before, err := p.usage(true)
	if err != nil {
		return 0, err
	}
	if cs, err = idleConns(cs, p.address, service, conns); err != nil {
		return 0, err
	}
	after, err := p.usage(true)
	if err != nil {
		return 0, err
	}
	return float64(after.RSS-before.RSS) / 1024 / float64(conns), nil
}

// idleConns makes n more connections, each of which echoes a message.
func idleConns(cs []net.Conn, address, service string, n int) ([]net.Conn, error) {
	msg := make([]byte, 64)
	if service == "framed" {
		msg = append([]byte{0, 0, 0, 64}, msg...)
	}
	reply := make([]byte, len(msg))
	for range n {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return cs, err
		}
		cs = append(cs, c)
		if _, err := c.Write(msg); err != nil {
			return cs, err
		}
		if _, err := io.ReadFull(c, reply); err != nil {
			return cs, err
		}
	}
	return cs, nil
}
