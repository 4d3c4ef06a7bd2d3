// Package stack finds out what a loop runs, and makes stacks fit for a log.
package stack

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
)

// Frames are the calls in a stack as the runtime prints it, innermost first, each as "main.serve (/src/server.go:12)".
func Frames(stack string) (frames []string) {
	lines := strings.Split(strings.TrimSpace(stack), "\n")
	for i := 1; i < len(lines); i++ {
		file, ok := strings.CutPrefix(lines[i], "\t")
		name := strings.TrimPrefix(lines[i-1], "created by ")
		if !ok || strings.HasPrefix(name, "\t") {
			continue
		}
		if j := strings.LastIndexByte(name, '('); j > 0 && strings.HasSuffix(name, ")") {
			name = name[:j] // a method's name has parentheses of its own
		}
		file, _, _ = strings.Cut(file, " +0x")
		frames = append(frames, name+" ("+file+")")
	}
	return frames
}

// At is the frame that a stack is in: the innermost that is not the standard library's, or else the innermost.
func At(stack string) string { return at(Frames(stack), stack) }

func at(frames []string, stack string) string {
	for _, f := range frames {
		if !isLibrary(f) {
			return f
		}
	}
	if len(frames) == 0 {
		return strings.TrimSpace(stack)
	}
	return frames[0]
}

func isLibrary(frame string) bool {
	i := strings.LastIndex(frame, " (")
	return library != "" && strings.HasPrefix(filepath.ToSlash(frame[i+2:]), library)
}

// library is the directory of the standard library's source as stacks name it; "" if the program was built with
// -trimpath.
var library = func() string {
	pc := reflect.ValueOf(strings.Cut).Pointer()
	file, _ := runtime.FuncForPC(pc).FileLine(pc)
	dir, ok := strings.CutSuffix(filepath.ToSlash(file), "strings/strings.go")
	if !ok || !filepath.IsAbs(file) {
		return ""
	}
	return dir
}()

// mostFrames bounds how many frames a log line has: what is further out than these seldom helps.
const mostFrames = 24

// Attrs are a stack for a log line: "at", the frame that it is in, and the group "stack" with an attribute for each
// frame, numbered from the innermost. A stack in one string would be one line with a \n in it for each of its own, by
// slog's TextHandler and its default handler alike: they quote what has line ends. If a panic or runtime.Goexit has
// made the stack, it begins where that was called.
func Attrs(stack string) (where, frames slog.Attr) {
	fs := blamed(Frames(stack))
	where = slog.String("at", at(fs, stack))
	group := make([]any, 0, min(len(fs), mostFrames)+1)
	for i, f := range fs {
		if i == mostFrames {
			group = append(group, slog.Int("more", len(fs)-i))
			break
		}
		group = append(group, slog.String(strconv.Itoa(i+1), f))
	}
	return where, slog.Group("stack", group...)
}

// blamed leaves out what a panic has called, which is how the stack was printed.
func blamed(frames []string) []string {
	for i, f := range frames {
		if strings.HasPrefix(f, "panic (") || strings.HasPrefix(f, "runtime.Goexit (") {
			rest := frames[i+1:]
			for len(rest) > 1 && strings.HasPrefix(rest[0], "runtime.") { // as for a nil pointer
				rest = rest[1:]
			}
			return rest
		}
	}
	return frames
}

// Caller is the source line that called the module's code, as "main.serve (/src/server.go:12)": the innermost frame of
// none of its packages, or of a test of one.
func Caller() string {
	var pcs [mostFrames]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if f.Function != "" && !engine(f) {
			return fmt.Sprintf("%s (%s:%d)", f.Function, f.File, f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}

// module is the path of the engine's own packages.
const module = "github.com/plexor-go/plexor"

// engineParts are the packages, below module, whose frames Caller passes over, as it does the standard library's.
var engineParts = []string{".", "/coro.", "/loop.", "/ipc.", "/ipc/shm.", "/proc.", "/load.", "/internal/"}

func engine(f runtime.Frame) bool {
	if strings.HasSuffix(f.File, "_test.go") {
		return false
	}
	if library != "" && strings.HasPrefix(filepath.ToSlash(f.File), library) {
		return true
	}
	rest, ok := strings.CutPrefix(f.Function, module)
	if !ok {
		return false
	}
	for _, p := range engineParts {
		if strings.HasPrefix(rest, p) {
			return true
		}
	}
	return false
}
