package coro

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// A State is what a task does at the moment.
type State uint8

const (
	Ready   State = iota // it can run, and will, in this turn
	Running              // on the loop, now
	Waiting              // until it is woken or cancelled
	Ended
)

func (s State) String() string { return [...]string{"ready", "running", "waiting", "ended"}[s] }

// An Info is a live task, as a list has it.
type Info struct {
	Loop  *loop.Loop
	ID    uint64 // among those of its loop
	Name  string
	State State
	// What it waits for, with what ("read", "127.0.0.1:4711"), and since when, by the loop's clock. For is how long that
	// is. All are empty for one that runs.
	What  string
	On    string
	Since time.Time
	For   time.Duration
	// Stack is the coroutine's own, as the runtime prints it, without its first line; empty unless it was asked for,
	// and for a task that has not begun.
	Stack string
}

func (i Info) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "coroutine %d [%s", i.ID, i.State)
	if i.What != "" {
		fmt.Fprintf(&b, ": %s", strings.TrimSpace(i.What+" "+i.On))
		if i.For > 0 {
			fmt.Fprintf(&b, ", %v", i.For)
		}
	}
	fmt.Fprintf(&b, "] %s", i.Name)
	if i.Stack != "" {
		b.WriteString("\n" + i.Stack)
	}
	return b.String()
}

// List is the loop's live tasks, oldest first, with their stacks if asked for; each costs two switches and some
// microseconds. It is for the loop's own.
func (s *Scheduler) List(stacks bool) []Info {
	s.here("Scheduler.List")
	infos := make([]Info, 0, s.live)
	for t := s.tasks; t != nil; t = t.next {
		infos = append(infos, t.info(stacks))
	}
	slices.Reverse(infos)
	return infos
}

func (t *Task) info(stack bool) Info {
	i := Info{Loop: t.scope.sched.loop, ID: t.id, Name: t.Name(), State: t.state}
	if t.state != Running && t.what != "" {
		i.What = t.what
		if t.state == Waiting {
			i.On = describe(t.on)
		}
		if t.since != 0 {
			l := t.scope.sched.loop
			i.For = l.Uptime() - t.since
			i.Since = l.Now().Add(-i.For)
		}
	}
	if co := t.co; stack && co != nil {
		if t.state == Running {
			i.Stack = body(stackNow())
		} else {
			i.Stack = body(co.stackParked())
		}
	}
	return i
}

// describe is what a task waits with; a function is its name.
func describe(on any) string {
	switch v := on.(type) {
	case nil:
		return ""
	case *Task:
		if v == nil {
			return ""
		}
	}
	if reflect.TypeOf(on).Kind() == reflect.Func {
		return functionName(on)
	}
	return fmt.Sprint(on)
}

func stackNow() []byte {
	for n := 4 << 10; ; n *= 2 {
		buf := make([]byte, n)
		if m := runtime.Stack(buf, false); m < n {
			return buf[:m]
		}
	}
}

// stackParked has the coroutine, which waits, write down its own stack.
func (co *worker) stackParked() []byte {
	s := co.sched
	running, current := s.running, s.current.Load()
	s.current.Store(co)
	co.look = true
	co.next()
	co.look = false
	s.running = running
	s.current.Store(current)
	st := co.stack
	co.stack = nil
	return st
}

// body cuts a stack's first line, and the frames at its top that only wrote it down.
func body(stack []byte) string {
	_, rest, _ := bytes.Cut(bytes.TrimSpace(stack), []byte("\n"))
	for _, inner := range []string{"runtime/debug.Stack(", ".(*worker).writeDown(", ".stackNow("} {
		if line, _, _ := bytes.Cut(rest, []byte("\n")); bytes.Contains(line, []byte(inner)) {
			_, rest, _ = bytes.Cut(rest, []byte("\n"))
			_, rest, _ = bytes.Cut(rest, []byte("\n"))
		}
	}
	return string(rest)
}

// answerWithin is how long a loop has to answer List.
const answerWithin = time.Second

// List is the live tasks of all loops, each loop's oldest first. A loop that does not answer within a second, since
// something blocks it, is among the stuck; [Scheduler.Running] tells what does. It is for any goroutine that is neither
// a loop's nor a coroutine.
func List(stacks bool) (infos []Info, stuck []*Scheduler) {
	schedulers.Lock()
	all := make([]*Scheduler, 0, len(schedulers.of))
	for _, s := range schedulers.of {
		all = append(all, s)
	}
	schedulers.Unlock()

	// A loop that is late finds that nobody listens any more, and writes where nobody looks.
	answers := make([]chan []Info, len(all))
	for i, s := range all {
		answer := make(chan []Info, 1)
		answers[i] = answer
		s.outside(func() { answer <- s.List(stacks) })
	}
	late := time.NewTimer(answerWithin)
	defer late.Stop()
	timedOut := false
	for i, s := range all {
		if timedOut {
			select {
			case part := <-answers[i]:
				infos = append(infos, part...)
			default:
				stuck = append(stuck, s)
			}
			continue
		}
		select {
		case part := <-answers[i]:
			infos = append(infos, part...)
		case <-late.C:
			timedOut = true
			stuck = append(stuck, s)
		}
	}
	return infos, stuck
}

// Running is the coroutine that the loop runs now, or ran last, as an Info with its stack: what holds a loop that a
// stall was reported for (loop.Options.OnStall), with the task's name. It is for any goroutine, and costs what
// loop.Loop.Holder does.
func (s *Scheduler) Running() (i Info, ok bool) {
	co := s.current.Load()
	if co == nil {
		return i, false
	}
	text, coroutine := s.loop.Holder()
	if !coroutine {
		return i, false // it has switched back
	}
	i = Info{Loop: s.loop, State: Running, Stack: text}
	if t := co.label.Load(); t != nil {
		i.ID, i.Name = t.id, t.Name()
	}
	return i, true
}

// Dump writes all loops' live tasks to w with their stacks, and what holds the loops that do not answer. It is for any
// goroutine that is neither a loop's nor a coroutine.
func Dump(w io.Writer) error {
	infos, stuck := List(true)
	var b strings.Builder
	fmt.Fprintf(&b, "%d coroutines\n\n", len(infos))
	for _, i := range infos {
		fmt.Fprintf(&b, "%s\n\n", i)
	}
	for _, s := range stuck {
		fmt.Fprintf(&b, "a loop on %s does not answer, so its coroutines are not listed", s.loop.Driver())
		if i, ok := s.Running(); ok {
			fmt.Fprintf(&b, "; what holds it:\n%s", i)
		}
		b.WriteString("\n\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
