package proc

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/plexor-go/plexor/internal/stack"
)

// entries are what was registered.
var entries struct {
	sync.Mutex
	of     map[string]func(*Worker) error
	mained bool // Main has been called
}

// Register gives a name to what a worker process does. Call it before [Main], in an init function or at the start of
// main: a worker is this program started anew, and finds its entry by the name. It panics when the name is taken. The
// worker's process ends when f returns, with status 0 if that is nil; otherwise with status 1, and the master tells
// the error.
func Register(name string, f func(w *Worker) error) {
	stack.Given("proc: Register", "the function", f != nil)
	entries.Lock()
	defer entries.Unlock()
	if entries.of[name] != nil || name == "" {
		panic(fmt.Sprintf("proc: Register(%q): a name must not be empty and is given once", name))
	}
	if entries.of == nil {
		entries.of = make(map[string]func(*Worker) error)
	}
	entries.of[name] = f
}

func registered(name string) bool { return entry(name) != nil }

func entry(name string) func(*Worker) error {
	entries.Lock()
	defer entries.Unlock()
	return entries.of[name]
}

// Main must be called at the start of main (and of TestMain). In a process that was started as a worker it runs the
// worker's entry and does not return; in any other it returns at once.
//
// Running the entry from within an init function would need no such call. But then other packages, or the rest of
// this one, would not be initialised yet, which no reader of the entry expects. A program that forgets the call does
// not start itself without end: a Master, and a Pool, refuse to run in a process that was started as a worker.
func Main() {
	entries.Lock()
	entries.mained = true
	entries.Unlock()
	begin()
}

// mustMain reports whether Main was forgotten.
func mustMain() error {
	entries.Lock()
	defer entries.Unlock()
	if !entries.mained {
		return fmt.Errorf("proc: call proc.Main at the start of main, after what proc.Register is called in: workers are " +
			"this program, started anew")
	}
	return nil
}

func cores() int { return runtime.GOMAXPROCS(0) }
