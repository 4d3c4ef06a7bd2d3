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
	Start   time.Time `json:"start"`   // of the measurement, without the warm-up
	Seconds float64   `json:"seconds"` // how long it took
	Rate    float64   `json:"rate"`    // messages a second in that time
	Latency struct {
		P50 float64 `json:"p50_us"`
		P99 float64 `json:"p99_us"`
	} `json:"latency"`
}

const (
	// warmup is the time before the load is measured.
	warmup = 100 * time.Millisecond
	// window is the part of the measured time between the two looks at the server.
	window = 0.6
	// leastCount is how long system calls are counted at least, and countShare how long otherwise, as a part of the
	// round's time.
	leastCount = 250 * time.Millisecond
	countShare = 0.25
)

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
	pid := srv.cmd.Process.Pid
	s.missing = map[string]error{}
	idle, err := look(pid)
	if err != nil {
		for _, key := range []string{keyCPU, keyMemory, keySwitches, keyCalls} {
			s.missing[key] = err
		}
	}
	d := o.Duration / time.Duration(o.Rounds)
	if err := s.underLoad(ctx, o, srv, conns, d, idle); err != nil {
		return s, err
	}
	return s, s.countCalls(ctx, o, srv, conns, max(leastCount, time.Duration(countShare*float64(d))), idle)
}

// underLoad measures all but the system calls.
func (s *Sample) underLoad(ctx context.Context, o Options, srv *server, conns int, d time.Duration, idle usage) error {
	pid := srv.cmd.Process.Pid
	var from, to usage
	var lookErr error
	res, err := s.load(ctx, o, srv, conns, d, idle, func(wait func(time.Duration) bool) {
		from, lookErr = look(pid)
		if lookErr == nil && wait(time.Duration(window*float64(d))) {
			to, lookErr = look(pid)
		}
	})
	if err != nil {
		return err
	}
	s.Rate, s.P50, s.P99 = res.Rate, res.Latency.P50, res.Latency.P99
	if s.missing[keyCPU] == nil && lookErr == nil {
		lookErr = res.holds(from.at, to.at)
	}
	for _, key := range []string{keyCPU, keyMemory, keySwitches} {
		if lookErr != nil && s.missing[key] == nil {
			s.missing[key] = lookErr
		}
	}
	if s.missing[keyCPU] != nil {
		return nil
	}
	messages := res.Rate * to.at.Sub(from.at).Seconds()
	per := func(x float64) *float64 { x /= messages; return &x }
	s.CPU = per(float64((to.cpu - from.cpu).Nanoseconds()) / 1e3)
	s.Switches = per(float64(to.switches - from.switches))
	memory := float64(to.own-idle.mainOwn) / 1024 / float64(conns)
	s.Memory = &memory
	s.Threads, s.Processes, s.Resident = to.threads, len(to.pids), to.resident
	return nil
}

// countCalls counts system calls, under a load of their own.
func (s *Sample) countCalls(ctx context.Context, o Options, srv *server, conns int, d time.Duration, idle usage) error {
	if s.missing[keyCalls] != nil {
		return nil
	}
	if err := canCount(); err != nil {
		s.missing[keyCalls] = err
		return nil
	}
	var calls uint64
	var from, to time.Time
	var countErr error
	res, err := s.load(ctx, o, srv, conns, d, idle, func(wait func(time.Duration) bool) {
		var c *callCounter
		if c, countErr = countCalls(srv.cmd.Process.Pid); countErr != nil {
			return
		}
		defer c.close()
		var before uint64
		from = time.Now()
		if before, countErr = c.read(); countErr != nil || !wait(time.Duration(window*float64(d))) {
			return
		}
		to = time.Now()
		calls, countErr = c.read()
		calls -= before
	})
	if err != nil {
		return err
	}
	if countErr == nil {
		countErr = res.holds(from, to)
	}
	if countErr != nil {
		s.missing[keyCalls] = countErr
		return nil
	}
	x := float64(calls) / (res.Rate * to.Sub(from).Seconds())
	s.Calls = &x
	return nil
}

// errWindow is a load that was over before the server was looked at a second time.
var errWindow = errors.New("the load had ended before the server was looked at for the second time; a longer -d helps")

// holds checks that the time between two looks lies within the measured time. The warm-up counts: the load is on then.
func (l *Load) holds(from, to time.Time) error {
	end := l.Start.Add(time.Duration(l.Seconds * float64(time.Second)))
	if from.IsZero() || to.IsZero() || from.Before(l.Start.Add(-warmup)) || to.After(end) || l.Rate <= 0 {
		return errWindow
	}
	return nil
}

// load runs the load generator. When all connections stand and the warm-up is over it calls during, which may wait, for
// less time than the load takes; wait reports whether the load still runs.
func (s *Sample) load(ctx context.Context, o Options, srv *server, conns int, d time.Duration, idle usage, during func(wait func(time.Duration) bool)) (*Load, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d+loadLimit, fmt.Errorf("the load did not end within %v after its %v", loadLimit, d))
	defer cancel()
	cmd := o.Load(srv.addr, conns, warmup, d)
	var out bytes.Buffer
	var said tail
	cmd.Stdout, cmd.Stderr = &out, &said
	apart(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the load's process: %w", err)
	}
	ended := make(chan error, 1)
	over := make(chan struct{})
	go func() { ended <- cmd.Wait(); close(over) }()
	defer context.AfterFunc(ctx, func() { cmd.Process.Kill() })()
	wait := func(d time.Duration) bool {
		select {
		case <-time.After(d):
			return true
		case <-over:
			return false
		}
	}
	if s.missing[keyCPU] == nil && connected(srv.cmd.Process.Pid, idle.files+conns, wait) && wait(warmup) {
		during(wait)
	}
	err := <-ended
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return readLoad(cmd, err, out.Bytes(), &said)
}

// connected waits until the server has so many descriptors open.
func connected(pid, files int, wait func(time.Duration) bool) bool {
	for {
		if n, err := countFiles(pid); err != nil || n >= files {
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
		return nil, fmt.Errorf("the load failed: %s", said.or(err.Error()))
	}
	l := &Load{}
	if err := json.Unmarshal(out, l); err != nil {
		return nil, fmt.Errorf("read what %s printed: %w", cmd.Path, err)
	}
	if l.Rate <= 0 || l.Seconds <= 0 {
		return nil, fmt.Errorf("the load ended without one answer: %s", said.or("no reason was given"))
	}
	return l, nil
}
