// Package standstill tells, for tests, what a process does that no longer goes on: what each goroutine waits for, and
// what the kernel says of its rings, its selectors and its TCP connections. A test run that is cut by its time limit
// shows goroutines alone, and those of a loop just wait.
package standstill

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// Quiet is how long a process may use hardly any processor time until that is taken for a standstill: longer than any
// test waits for what must come. lookEvery is how often it is looked at, and little what is hardly any.
const (
	quiet     = 100 * time.Second
	lookEvery = 5 * time.Second
	little    = quiet / 500
)

// Watch reports to standard error, once, when the process has stood still, and again shortly before the time limit of
// go test (-test.timeout) is over, which then fails the run. Call it from TestMain; the function that it returns ends
// it.
func Watch() (stop func()) {
	if !flag.Parsed() {
		flag.Parse()
	}
	end := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watch(end, limit(), os.Stderr)
	}()
	return func() {
		close(end)
		<-ended
	}
}

// limit is the time until the last report; 0: there is no limit.
func limit() time.Duration {
	f := flag.Lookup("test.timeout")
	if f == nil {
		return 0
	}
	d, _ := f.Value.(flag.Getter).Get().(time.Duration) // it is one
	return max(d-d/20-lookEvery, 0)
}

func watch(end <-chan struct{}, limit time.Duration, w io.Writer) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	begun := time.Now()
	since, used := begun, processorTime() // when it was last seen to work, and how much it had used by then
	var told, toldLast bool
	for {
		select {
		case <-end:
			return
		case <-tick.C:
		}
		now, u := time.Now(), processorTime()
		if u-used > little {
			since, used = now, u
		}
		if !told && u > 0 && now.Sub(since) >= quiet {
			told = true
			Report(w, fmt.Sprintf("the process has stood still for %v", now.Sub(since).Round(time.Second)))
		}
		if !toldLast && limit > 0 && now.Sub(begun) >= limit {
			toldLast = true
			Report(w, fmt.Sprintf("the tests have run for %v, and their time limit is near", now.Sub(begun).Round(time.Second)))
		}
	}
}

// mostStacks bounds the goroutines' part of a report, in bytes.
const mostStacks = 4 << 20

// Report writes what the process does.
func Report(w io.Writer, why string) {
	buf := make([]byte, mostStacks)
	buf = buf[:runtime.Stack(buf, true)]
	fmt.Fprintf(w, "=== standstill: %s; processor time %v\n%s\n", why, processorTime(), buf)
	reportKernel(w)
	fmt.Fprintln(w, "=== end of the standstill's report")
}
