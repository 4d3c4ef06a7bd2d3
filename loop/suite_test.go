//go:build linux || darwin || freebsd

// The conformance suite of the loop: what package loop promises, held on every driver that this system has. It uses
// the public API alone; the peers are real sockets. The files suite_*_test.go are named by contract.
package loop_test

import (
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/internal/stage"
	"github.com/plexor-go/plexor/loop"
)

// TestMain looks for goroutines and descriptors that the tests left behind, and plays the children's parts.
func TestMain(m *testing.M) {
	if part := os.Getenv("PLEXOR_LOOP_CHILD"); part != "" {
		os.Exit(child(part))
	}
	raiseLimit()
	os.Exit(leak.Main(m))
}

func raiseLimit() {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil && l.Cur < l.Max {
		l.Cur = l.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &l) // the tests that need it say so
	}
}

// driverNames are the drivers that work here; PLEXOR_LOOP_DRIVER narrows them to one.
func driverNames(t testing.TB) (names []string) {
	only := os.Getenv("PLEXOR_LOOP_DRIVER")
	if only == stage.Driver {
		t.Skip("it is no test of the virtual driver")
	}
	for _, d := range allDrivers() {
		if d.Err == nil && (only == "" || only == d.Name) {
			names = append(names, d.Name)
		}
	}
	if len(names) == 0 {
		t.Fatalf("no driver to test: %v", allDrivers())
	}
	return names
}

// suiteNames are the drivers that the suite runs on: those of driverNames, and the one over a Network. Those that wait
// for readiness differ by the system call alone, so a test, or a row of it, takes one of them, by turns.
func suiteNames(t testing.TB) []string {
	switch os.Getenv("PLEXOR_LOOP_DRIVER") {
	case "":
		names := append(driverNames(t), stage.Driver)
		if everywhere() {
			return names
		}
		turn := turnOf(t)
		return slices.DeleteFunc(names, func(name string) bool { return isReadiness(name) && name != turn })
	case stage.Driver:
		return []string{stage.Driver}
	}
	return driverNames(t)
}

// everywhere has a test take place on each driver with each kind of stream: in CI, where -run names a part of a test,
// and on a driver that was asked for.
func everywhere() bool {
	return portion.Everywhere() || os.Getenv("PLEXOR_LOOP_DRIVER") != ""
}

func isReadiness(driver string) bool { return driver != "io_uring" && driver != stage.Driver }

// turnOf is one of the drivers that wait for readiness: the first, which is the one that is chosen where there is no
// io_uring, has every second turn, and the others share the rest.
func turnOf(t testing.TB) string {
	names := slices.DeleteFunc(driverNames(t), func(name string) bool { return !isReadiness(name) })
	number := portion.Turn(t.Name())
	switch {
	case len(names) == 0:
		return ""
	case len(names) == 1 || number%2 == 0:
		return names[0]
	}
	return names[1+number/2%(len(names)-1)]
}

var allDrivers = sync.OnceValue(loop.Drivers) // which tries each

// each runs a test of the contract on every driver, and looks for descriptors that it left open.
func each(t *testing.T, test func(t *testing.T, driver string)) {
	for _, name := range suiteNames(t) {
		t.Run(name, func(t *testing.T) {
			if name == stage.Driver {
				enterStage(t)
			}
			before := leak.Files()
			t.Cleanup(func() { // the first to be registered runs last
				after := leak.Files()
				for deadline := time.Now().Add(time.Minute); after > before && time.Now().Before(deadline); after = leak.Files() {
					runtime.Gosched()
				}
				if after > before && !t.Failed() {
					t.Errorf("descriptors: %d open before the test, %d after: %q", before, after, leak.FileNames())
				}
			})
			test(t, name)
		})
	}
}

// eachBeside is each for a test that mostly waits: all drivers at the same time, and beside the other tests that do so.
// What it leaves open shows at the end of all tests.
func eachBeside(t *testing.T, test func(t *testing.T, driver string)) {
	t.Parallel()
	for _, name := range suiteNames(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == stage.Driver {
				enterStage(t)
			}
			test(t, name)
		})
	}
}

// streams runs a test over TCP and over a Unix socket: once each if everywhere, else io_uring has one of them and the
// driver that waits for readiness the other, by turns.
func streams(t *testing.T, test func(t *testing.T, network string)) {
	networks := []string{"tcp", "unix"}
	row, driver := rowAndDriver(t)
	switch {
	case driver == stage.Driver: // a Network has no unix sockets
		networks = networks[:1]
	case !everywhere() && slices.Contains(driverNames(t), "io_uring"):
		first := portion.Turn(row) % 2
		if driver == "io_uring" {
			first = 1 - first
		}
		networks = networks[first : first+1]
	}
	for _, network := range networks {
		t.Run(network, func(t *testing.T) { test(t, network) })
	}
}

// rowAndDriver takes the driver out of a test's name.
func rowAndDriver(t *testing.T) (row, driver string) {
	parts := strings.Split(t.Name(), "/")
	for i, part := range parts {
		if part == stage.Driver || slices.Contains(driverNames(t), part) {
			return strings.Join(slices.Delete(parts, i, i+1), "/"), part
		}
	}
	t.Fatal("no driver in this test's name")
	return
}

// A rig is a loop that runs on a goroutine of its own until the test ends.
type rig struct {
	*loop.Loop
	t     testing.TB
	clock *loop.ManualClock // if the test asked for it
	ended chan error
}

// run starts a loop. Its stalls are not reported unless the test asks for them: the machine may be busy.
func run(t testing.TB, o loop.Options) *rig {
	t.Helper()
	r := unstarted(t, o)
	r.start()
	return r
}

func unstarted(t testing.TB, o loop.Options) *rig {
	t.Helper()
	if o.Stall == 0 {
		o.Stall = -1
	}
	if o.Log == nil {
		o.Log = quiet
	}
	l, err := loop.New(placed(t, o))
	if err != nil {
		t.Fatalf("loop.New(%+v): %v", o, err)
	}
	r := &rig{Loop: l, t: t, ended: make(chan error, 1)}
	r.clock, _ = o.Clock.(*loop.ManualClock)
	t.Cleanup(func() { l.Close() })
	return r
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// start runs the loop until the end of the test, which fails if Run does.
func (r *rig) start() {
	go func() { r.ended <- r.Run() }()
	r.t.Cleanup(func() {
		r.Close()
		select {
		case err := <-r.ended:
			if err != nil {
				r.t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			r.t.Errorf("Run has not returned %v after Close", patience)
		}
	})
}

// do runs f on the loop and waits for it.
func (r *rig) do(f func()) {
	r.t.Helper()
	err := r.Do(f)
	for err == loop.ErrPostQueueFull { // a test may have filled it
		runtime.Gosched()
		err = r.Do(f)
	}
	if err != nil {
		r.t.Fatalf("Do: %v", err)
	}
}

// turns lets the loop go through n whole turns.
func (r *rig) turns(n int) {
	r.t.Helper()
	for range n {
		r.do(func() {})
	}
}

// advance moves the manual clock, and waits until the timers that are due have run.
func (r *rig) advance(d time.Duration) {
	r.t.Helper()
	r.clock.Advance(d)
	r.do(func() {})
}

func manual() *loop.ManualClock {
	return loop.NewManualClock(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
}

// until waits for a condition of the loop's, looking once a turn.
func (r *rig) until(what string, cond func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		ok := false
		r.do(func() { ok = cond() })
		if ok {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}

// eventually waits for a condition that anybody can look at.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}
