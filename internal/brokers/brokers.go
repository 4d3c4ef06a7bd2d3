// Package brokers starts real brokers for tests and measurements: redis-server, rabbitmq-server and memcached, each a
// process of its own on a free port of 127.0.0.1, with its data in a folder that the caller gives. None is a service of
// the machine, and none outlives who started it.
package brokers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// ErrAbsent is that the broker is not installed: who tests with it skips, with this word.
var ErrAbsent = errors.New("it is not installed")

const (
	patience = 2 * time.Minute        // for a broker to start; a machine under load needs a part of it
	glance   = 10 * time.Millisecond  // between two looks whether it has
	attempts = 5                      // with another port each: somebody may take a free one before the broker does
	mostLog  = 64 << 10               // bytes of what a broker printed that are kept for the error
	reply    = 500 * time.Millisecond // for the answer to one look
)

// A Kind is a broker that can be started.
type Kind struct {
	Name string // as the program is called

	command func(b *Broker) (*exec.Cmd, error)
	hello   string // what is sent to see whether it is up
	answer  string // with what its answer begins
	helper  func(b *Broker) (*exec.Cmd, error)
}

// A Broker is one process. Its methods may be called by one goroutine at a time.
type Broker struct {
	Addr string // 127.0.0.1 and the port
	Kind Kind

	dir    string
	args   []string
	port   int
	more   [2]int    // further ports, of those that need them
	helper *exec.Cmd // nil: there is none
	cmd    *exec.Cmd // nil: it does not run
	log    *tail
	ended  chan struct{}
}

// Start starts a broker whose data are in dir, with further arguments of the program. It returns when the broker
// answers. The caller calls Close.
func Start(ctx context.Context, k Kind, dir string, args ...string) (b *Broker, err error) {
	for range attempts {
		b = &Broker{Kind: k, dir: dir, args: args}
		if err = b.ports(); err != nil {
			return nil, err
		}
		if err = b.Run(ctx); err == nil {
			return b, nil
		}
		b.Close()
		if errors.Is(err, ErrAbsent) || ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// ports takes free ones.
func (b *Broker) ports() error {
	addrs, err := FreeAddrs(1 + len(b.more))
	if err != nil {
		return err
	}
	for i, p := range []*int{&b.port, &b.more[0], &b.more[1]} {
		at, err := netip.ParseAddrPort(addrs[i])
		if err != nil {
			return err
		}
		*p = int(at.Port())
	}
	b.Addr = addrs[0]
	return nil
}

// Run starts the broker anew after Kill, with the same port and data, and returns when it answers.
func (b *Broker) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if b.Kind.helper != nil && b.helper == nil {
		cmd, err := b.Kind.helper(b)
		if err == nil {
			dieWithParent(cmd)
			err = cmd.Start()
		}
		if err != nil {
			return b.failed(err)
		}
		b.helper = cmd
	}
	cmd, err := b.Kind.command(b)
	if err != nil {
		return b.failed(err)
	}
	b.log = new(tail)
	cmd.Stdout, cmd.Stderr = b.log, b.log
	// A process that the broker started may hold its standard output for a moment longer than the broker.
	cmd.WaitDelay = time.Second
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return b.failed(err)
	}
	b.cmd, b.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		_ = cmd.Wait() // it was killed, or the error is that it does not answer
		close(ended)
	}(b.ended)
	for {
		if b.up() {
			return nil
		}
		select {
		case <-b.ended:
			return b.failed(fmt.Errorf("it ended: %s", b.log))
		case <-ctx.Done():
			return b.failed(fmt.Errorf("it does not answer: %w: %s", ctx.Err(), b.log))
		case <-time.After(glance):
		}
	}
}

func (b *Broker) failed(err error) error {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	return fmt.Errorf("brokers: start %s: %w", b.Kind.Name, err)
}

// up reports whether the broker answers.
func (b *Broker) up() bool {
	c, err := net.DialTimeout("tcp", b.Addr, reply)
	if err != nil {
		return false
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(reply)); err != nil {
		return false
	}
	if _, err := io.WriteString(c, b.Kind.hello); err != nil {
		return false
	}
	got, err := bufio.NewReader(c).Peek(len(b.Kind.answer))
	return err == nil && string(got) == b.Kind.answer
}

// PID is the broker's process.
func (b *Broker) PID() int { return b.cmd.Process.Pid }

// Kill ends the broker as a power switch does (SIGKILL), and returns when it is gone.
func (b *Broker) Kill() {
	if b.cmd == nil {
		return
	}
	b.Resume()
	_ = b.cmd.Process.Kill() // it may have ended
	<-b.ended
	b.cmd = nil
}

// Stop ends the broker in its own way (SIGTERM), and returns when it is gone.
func (b *Broker) Stop() {
	if b.cmd == nil {
		return
	}
	b.terminate()
	<-b.ended
	b.cmd = nil
}

// Close ends the broker and what it started with it. The data stay.
func (b *Broker) Close() {
	b.Kill()
	if b.helper != nil {
		_ = b.helper.Process.Kill() // it may have ended
		_ = b.helper.Wait()         // it was killed
		b.helper = nil
	}
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - mostLog; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(bytes.ToValidUTF8(t.buf, []byte("?"))))
}

// Log is the end of what the broker printed since it was started last.
func (b *Broker) Log() string { return b.log.String() }
