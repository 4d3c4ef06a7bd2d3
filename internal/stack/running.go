package stack

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
)

// What does a loop run? Its own goroutine tells only that it has switched to a coroutine, and there may be 100,000 of
// those. The dump of all stacks (runtime.Stack) stops the program for as long as it takes to print them: 3 s for so
// many, 30 MB of text. The profile of goroutines does not stop it, and counts goroutines with the same stack as one:
// 0.6 s and 1 KB. It has no goroutines' numbers, but it has labels, which a coroutine inherits from the goroutine that
// made it. So each loop has a label. A coroutine that is parked is in runtime.coroswitch; the one that runs is not.

// label is the key of a loop's label, which CPU profiles show too.
const label = "plexor_loop"

// Mark gives the calling goroutine, and so all that it will start, the label of a loop. It takes the place of the
// labels that the goroutine had: nobody can ask for those.
func Mark(loop string) {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(label, loop)))
}

// Unmark takes the goroutine's labels away.
func Unmark() { pprof.SetGoroutineLabels(context.Background()) }

// A Holder is the stack of what a loop runs.
type Holder struct {
	Stack     string // as the runtime prints it, without the line that names a goroutine
	Coroutine bool   // it is a coroutine's; else the loop's own goroutine runs it, or has switched and nothing is known
	Blocked   bool   // it waits for another goroutine or a timer: it needs no processor
	InKernel  bool   // it is in a system call, or in C: whether that needs a processor is not known
}

// Find is what the loop with a label runs; base is the function that runs loops. If a handler has taken the label off
// its goroutine, as pprof.Do does, that of another loop may be found.
func Find(loop, base string) (h Holder, ok bool) {
	var b bytes.Buffer
	if pprof.Lookup("goroutine").WriteTo(&b, 1) != nil {
		return h, false // a buffer takes all; so never
	}
	var mine, bare found
	records := bufio.NewScanner(&b)
	records.Buffer(nil, b.Len()+1)
	records.Split(paragraphs)
	tag := fmt.Sprintf("%q:%q", label, loop)
	for records.Scan() {
		pcs, labels := parse(records.Text())
		switch {
		case len(pcs) == 0:
		case strings.Contains(labels, tag):
			mine.add(pcs, base)
		case !strings.Contains(labels, strconv.Quote(label)):
			bare.add(pcs, base)
		}
	}
	for _, f := range []found{mine, bare} {
		if f.own != nil && !switched(f.own) {
			return holder(f.own, false), true
		}
		if f.running != nil {
			return holder(f.running, true), true
		}
	}
	for _, f := range []found{mine, bare} {
		if f.own != nil {
			return holder(f.own, false), true
		}
	}
	return h, false
}

// found are stacks with the same label, innermost call first.
type found struct {
	own     []uintptr // the loop's goroutine's
	running []uintptr // of a coroutine that is not parked
}

func (f *found) add(pcs []uintptr, base string) {
	switch {
	case calls(pcs, base):
		f.own = pcs
	// too deep to tell
	case !switched(pcs) && (calls(pcs, "runtime.corostart") || function(pcs[len(pcs)-1]) != "runtime.goexit"):
		f.running = pcs
	}
}

// switched reports whether a goroutine has switched to a coroutine, or is one that is parked or has not begun.
func switched(pcs []uintptr) bool {
	switch function(pcs[0]) {
	case "runtime.coroswitch", "runtime.corostart":
		return true
	}
	return false
}

func calls(pcs []uintptr, name string) bool {
	for _, pc := range pcs[max(0, len(pcs)-deepest):] {
		if function(pc) == name {
			return true
		}
	}
	return false
}

// deepest is how far from a stack's outer end the functions that run loops and coroutines are looked for: in main, in a
// test, they are some calls in.
const deepest = 16

// function is the name of the function that a return address is in.
func function(pc uintptr) string {
	if f := runtime.FuncForPC(pc - 1); f != nil {
		return f.Name()
	}
	return ""
}

// holder prints a stack as the runtime does.
func holder(pcs []uintptr, coroutine bool) Holder {
	h := Holder{Coroutine: coroutine}
	var b strings.Builder
	frames := runtime.CallersFrames(pcs)
	for first := true; ; first = false {
		f, more := frames.Next()
		if first {
			h.Blocked, h.InKernel = blocks(f.Function), inKernel(f.Function)
		}
		if f.Function != "runtime.goexit" && !(b.Len() == 0 && strings.HasPrefix(f.Function, "runtime.")) {
			fmt.Fprintf(&b, "%s(...)\n\t%s:%d\n", f.Function, f.File, f.Line)
		}
		if !more {
			break
		}
	}
	h.Stack = strings.TrimSpace(b.String())
	return h
}

// blocks reports whether a goroutine whose innermost call is to this function waits for something other than a
// processor. One in a system call may wait for either.
func blocks(name string) bool { return name == "runtime.gopark" || name == "runtime.goparkunlock" }

func inKernel(name string) bool {
	return strings.Contains(name, "syscall") || strings.Contains(name, "Syscall") || strings.Contains(name, "cgocall")
}

// paragraphs splits at empty lines.
func paragraphs(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.Index(data, []byte("\n\n")); i >= 0 {
		return i + 2, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// parse reads a record of the profile: a line "1 @ 0x47c747 0x4de63f", and one with labels if there are any.
//
//	1 @ 0x47c747 0x4de63f 0x4de2e5
//	# labels: {"plexor_loop":"1"}
//	#	0x4de63e	iter.Pull[...].func2+0x5e	/usr/local/go/src/iter/iter.go:317
func parse(record string) (pcs []uintptr, labels string) {
	for line := range strings.Lines(record) {
		if l, ok := strings.CutPrefix(line, "# labels: "); ok {
			return pcs, l
		}
		if _, addrs, ok := strings.Cut(line, " @ "); ok && pcs == nil {
			for _, a := range strings.Fields(addrs) {
				if pc, err := strconv.ParseUint(a, 0, 64); err == nil {
					pcs = append(pcs, uintptr(pc))
				}
			}
		}
	}
	return pcs, ""
}
