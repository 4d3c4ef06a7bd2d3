//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/ipc"
)

// A poolCaller is a worker's process: it does what comes over the pipe. The goroutine that receives a call does it as
// well, so that a short one costs no switch to another. When one takes longer than passOn, another goroutine receives,
// for what comes then may be that it is cancelled, or that the master has ended; the first one ends with the call.
type poolCaller struct {
	pipe *ipc.Typed[reply, order]
	over chan struct{} // closed when there is nothing to receive any more

	mu      sync.Mutex
	running uint64 // the call that runs, with its cancel
	cancel  context.CancelFunc
	passed  bool // the receiving, to another goroutine than the one that does the call
}

// passOn is how long a call may keep its worker from receiving.
const passOn = 200 * time.Microsecond

// poolWork is a worker's process from Main on.
func poolWork(j *job) int {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGHUP) // a terminal's: they are our master's matter
	control := os.NewFile(uintptr(j.Control), "control")
	var hello message
	if err := json.NewDecoder(control).Decode(&hello); err != nil {
		return 1 // the master died before it could say what there is to do
	}
	p, err := ipc.FilePipe(os.NewFile(firstFD, "pipe"),
		ipc.Options{MaxMessage: hello.Size, MaxFiles: -1, Looks: poolLooks})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c := &poolCaller{pipe: ipc.NewTyped[reply, order](p), over: make(chan struct{})}
	if c.pipe.Send(context.Background(), reply{}) != nil {
		return 1 // likewise
	}
	go c.receive()
	<-c.over // the master has ended, and so do we, whatever runs
	return 1
}

// receive does what comes, until another goroutine receives, or nothing can be received.
func (c *poolCaller) receive() {
	for {
		o, err := c.pipe.Recv(context.Background())
		if err != nil {
			close(c.over)
			return
		}
		if o.Cancel {
			c.mu.Lock()
			if o.ID == c.running {
				c.cancel()
			}
			c.mu.Unlock()
			continue
		}
		if !c.do(o) {
			return
		}
	}
}

// do does a call, and reports whether its goroutine receives still.
func (c *poolCaller) do(o order) bool {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	c.mu.Lock()
	c.running, c.cancel, c.passed = o.ID, end, false
	c.mu.Unlock()
	late := time.AfterFunc(passOn, func() { c.pass(o.ID) })
	defer late.Stop()
	r := reply{ID: o.ID}
	var err error
	if r.Out, err = call(ctx, o.Func, o.In); err != nil {
		r.Fail, r.Err = true, err.Error()
	}
	c.mu.Lock()
	passed := c.passed
	c.running = 0 // nobody is to receive in our place any more
	c.mu.Unlock()
	if err := c.pipe.Send(context.Background(), r); err != nil { // too long, or nobody is there, as Recv finds as well
		_ = c.pipe.Send(context.Background(), reply{ID: o.ID, Fail: true, Err: err.Error()})
	}
	return !passed
}

// pass has its goroutine receive, if the call still runs.
func (c *poolCaller) pass(id uint64) {
	c.mu.Lock()
	mine := c.running == id && !c.passed
	if mine {
		c.passed = true
	}
	c.mu.Unlock()
	if mine {
		c.receive()
	}
}
