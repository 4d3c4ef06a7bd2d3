package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// A Load is what a load generator found, as much of it as matters here: the JSON of plexor bench.
type Load struct {
	Rate    float64 `json:"rate"` // messages a second
	Latency struct {
		P50 float64 `json:"p50_us"`
		P99 float64 `json:"p99_us"`
	} `json:"latency"`
}

const (
	// The load warms up for this long before it is measured, and longer with more connections: those that the server has
	// not accepted yet stand already for whoever made them.
	leastWarmup   = 100 * time.Millisecond
	warmupPerConn = 300 * time.Microsecond
	// settle is how long the server serves all of them before it is looked at.
	settle = 50 * time.Millisecond
	// window is the part of the measured time between the two looks at the server.
	window = 0.5 // the rest is for how late processes are to begin
	// leastCount is how long the load is under which system calls are counted, or more: countShare of the round's time.
	leastCount = 250 * time.Millisecond
	countShare = 0.25
)

// A round is one measurement in the making.
type round struct {
	Options
	srv   *server
	conns int
	idle  usage // before the load
	Sample
}

// measure is one measurement: the model's process is started, loaded and stopped.
func measure(ctx context.Context, o Options, model string, conns int) (s Sample, err error) {
	srv, err := start(ctx, o.Server(model, conns))
	if err != nil {
		return s, fmt.Errorf("start the server's process: %w", err)
	}
	defer func() {
		if stopErr := srv.stop(); stopErr != nil && err == nil && ctx.Err() == nil {
			err = fmt.Errorf("the server's process: %w", stopErr)
		}
	}()
	r := round{Options: o, srv: srv, conns: conns, Sample: Sample{missing: map[string]error{}}}
	pids, err := family(srv.cmd.Process.Pid)
	if err == nil {
		r.idle, err = look(pids)
	}
	if err != nil {
		r.miss(err, keyCPU, keyMemory, keySwitches, keyCalls)
	}
	d := o.Duration / time.Duration(o.Rounds)
	if err := r.underLoad(ctx, d); err != nil {
		return s, err
	}
	err = r.countCalls(ctx, max(leastCount, time.Duration(countShare*float64(d))))
	return r.Sample, err
}

// miss says why there is no value for these.
func (r *round) miss(err error, keys ...string) {
	for _, key := range keys {
		if r.missing[key] == nil {
			r.missing[key] = err
		}
	}
}

// underLoad measures all but the system calls.
func (r *round) underLoad(ctx context.Context, d time.Duration) error {
	var from, to usage
	var before, after uint64
	err := errWindow
	res, loadErr := r.load(ctx, d, func(wait func(time.Duration) bool) {
		begun := time.Now()
		before = r.srv.count.Load()
		if from, err = look(r.idle.pids); err != nil {
			return
		}
		err = errWindow
		if !wait(time.Duration(window*float64(d)) - time.Since(begun)) {
			return
		}
		after = r.srv.count.Load()
		if to, err = look(r.idle.pids); err == nil {
			err = r.holds(to.files, after-before)
		}
	})
	if loadErr != nil {
		return loadErr
	}
	r.Rate, r.P50, r.P99 = res.Rate, res.Latency.P50, res.Latency.P99
	if err != nil {
		r.miss(err, keyCPU, keyMemory, keySwitches)
		return nil
	}
	per := func(x float64) *float64 { x /= float64(after - before); return &x }
	r.CPU = per(float64((to.cpu - from.cpu).Nanoseconds()) / 1e3)
	r.Switches = per(float64(to.switches - from.switches))
	memory := float64(to.own-r.idle.mainOwn) / 1024 / float64(r.conns)
	r.Memory = &memory
	r.Threads, r.Processes, r.Resident = to.threads, len(to.pids), to.resident
	return nil
}

// countCalls counts system calls, under a load of their own.
func (r *round) countCalls(ctx context.Context, d time.Duration) error {
	if err := canCount(); err != nil {
		r.miss(err, keyCalls)
	}
	if r.missing[keyCalls] != nil {
		return nil
	}
	err, files := errWindow, 0
	var calls, messages uint64
	_, loadErr := r.load(ctx, d, func(wait func(time.Duration) bool) {
		var c *callCounter
		if c, err = countCalls(r.idle.pids); err != nil {
			return
		}
		defer c.close()
		var before uint64
		started := r.srv.count.Load()
		if before, err = c.read(); err != nil {
			return
		}
		err = errWindow
		if !wait(time.Duration(window * float64(d))) {
			return
		}
		messages = r.srv.count.Load() - started
		if calls, err = c.read(); err == nil {
			calls -= before
			if files, err = countFiles(r.idle.pids); err == nil {
				err = r.holds(files, messages)
			}
		}
	})
	if loadErr != nil {
		return loadErr
	}
	if err != nil {
		r.miss(err, keyCalls)
		return nil
	}
	x := float64(calls) / float64(messages)
	r.Calls = &x
	return nil
}

// errWindow is a load that was over before the server was looked at a second time.
var errWindow = errors.New("the load had ended before the server was looked at for the second time: give it more " +
	"time with -d")

// holds checks that the connections stand at the second look, and that there were answers to share the costs.
func (r *round) holds(files int, messages uint64) error {
	if files < r.idle.files+r.conns || messages == 0 {
		return errWindow
	}
	return nil
}

// load runs the load generator. When the server has all connections it calls during, which may wait, for
// less time than the load takes; wait reports whether the load still runs.
func (r *round) load(ctx context.Context, d time.Duration, during func(wait func(time.Duration) bool)) (*Load, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d+loadLimit,
		fmt.Errorf("the load did not end within %v after its %v", loadLimit, d))
	defer cancel()
	cmd := r.Load(r.srv.addr, r.conns, leastWarmup+time.Duration(r.conns)*warmupPerConn, d)
	var out bytes.Buffer
	var said tail
	cmd.Stdout, cmd.Stderr = &out, &said
	apart(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the load's process: %w", err)
	}
	var err error
	ended := make(chan struct{})
	go func() { err = cmd.Wait(); close(ended) }()
	defer context.AfterFunc(ctx, func() { cmd.Process.Kill() })()
	wait := func(d time.Duration) bool {
		select {
		case <-time.After(d):
			return true
		case <-ended:
			return false
		}
	}
	if r.srv.count != nil && len(r.idle.pids) > 0 && r.connected(wait) && wait(settle) {
		during(wait)
	}
	<-ended
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return readLoad(cmd, err, out.Bytes(), &said)
}

// connected waits until the server has a descriptor for each connection.
func (r *round) connected(wait func(time.Duration) bool) bool {
	for {
		if n, err := countFiles(r.idle.pids); err != nil || n >= r.idle.files+r.conns {
			return err == nil
		}
		if !wait(5 * time.Millisecond) {
			return false
		}
	}
}

// readLoad reads what the load's process printed.
func readLoad(cmd *exec.Cmd, err error, out []byte, said *tail) (*Load, error) {
	if err != nil {
		return nil, fmt.Errorf("the load failed: %s", said.last(err.Error()))
	}
	l := &Load{}
	if err := json.Unmarshal(out, l); err != nil {
		return nil, fmt.Errorf("read what %s printed: %w", cmd.Path, err)
	}
	if l.Rate <= 0 {
		return nil, fmt.Errorf("the load ended without one answer: %s", said.last("no reason was given"))
	}
	return l, nil
}
