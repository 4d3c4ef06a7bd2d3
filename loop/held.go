package loop

import (
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"time"
)

// A HeldError says that a loop was closed and did not end, since a handler holds it: it neither returned nor waits as
// handlers of this loop may. The loop's connections were broken off from outside.
type HeldError struct {
	At    string // the function and the source line that hold it, as "main.serve (server.go:12)"
	Stack string // where it was then, as the runtime prints it
}

func (e *HeldError) Error() string {
	return "loop: the loop did not end, for a handler holds it: " + e.At
}

// Close asks every patienceLook whether a loop that is to end has made a turn or closed a connection. One that has done
// neither for closePatience is held: no less than a second, for a busy machine may keep a good handler from running.
const (
	closePatience = time.Second
	patienceLook  = 20 * time.Millisecond
)

// awaitEnd waits for the end of a loop that beginClose was called for. Time is the system's: it is not the loop that waits.
func (l *Loop) awaitEnd() error {
	tick := time.NewTicker(patienceLook)
	defer tick.Stop()
	turn, conns, since := l.turn.Load(), l.stats.conns.Load(), time.Now()
	for {
		select {
		case <-l.done:
			return nil
		case <-l.held:
			return l.holding.Load()
		case <-tick.C:
		}
		if t, n := l.turn.Load(), l.stats.conns.Load(); t != turn || n != conns {
			turn, conns, since = t, n, time.Now()
		} else if time.Since(since) >= closePatience {
			return l.letGo()
		}
	}
}

// letGo gives up a loop that is held. Whoever holds the table finds in it only descriptors that are open: release takes
// a connection out before it closes them.
func (l *Loop) letGo() error {
	stack := stackOf(l.id.Load())
	err := &HeldError{At: heldAt(stack), Stack: stack}
	if !l.holding.CompareAndSwap(nil, err) {
		<-l.held // another Close is at it
		return l.holding.Load()
	}
	l.table.Lock()
	for _, c := range l.conns {
		_ = c.sock.BreakOff() // it is broken already, then
	}
	l.table.Unlock()
	l.doing.giveUp(l.held, err)
	return err
}

// heldAt finds the line in a stack that holds the loop: the innermost that is not the standard library's.
func heldAt(stack string) string {
	lines := strings.Split(stack, "\n")
	first := ""
	for i := 1; i+1 < len(lines); i += 2 {
		name, _, _ := strings.Cut(lines[i], "(")
		if j := strings.LastIndexByte(lines[i], '('); j > 0 {
			name = lines[i][:j] // a method's name has parentheses of its own
		}
		file, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +")
		at := fmt.Sprintf("%s (%s)", name, file)
		if first == "" {
			first = at
		}
		if library == "" || !strings.HasPrefix(filepath.ToSlash(file), library) {
			return at
		}
	}
	if first == "" {
		return strings.TrimSpace(stack)
	}
	return first
}

// library is the directory of the standard library's source as stacks name it; "" if the program was built with -trimpath.
var library = func() string {
	pc := reflect.ValueOf(strings.Cut).Pointer()
	file, _ := runtime.FuncForPC(pc).FileLine(pc)
	dir, ok := strings.CutSuffix(filepath.ToSlash(file), "strings/strings.go")
	if !ok || !filepath.IsAbs(file) {
		return ""
	}
	return dir
}()
