//go:build unix

package docs

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/built"
	"github.com/plexor-go/plexor/internal/portion"
)

// patience is how long a command may take, on a machine that has much else to do.
const patience = 3 * time.Minute

// fewer are arguments that a command has behind its own, so that it takes less, if it is not to do all.
var fewer = map[string]string{
	"redis-benchmark -p 6380 -q -t set,get,incr,lpush,lpop -P 16": " -n 2000", // of 100,000 for each
}

// instead are commands that are run in another form, or not at all (""), and why.
var instead = map[string]struct{ command, why string }{
	"go test ./...": {"", "this test is part of it"},
	"go run ./cmd/plexor serve": {"go run ./cmd/plexor serve 2> serving & " +
		"until [ \"$(grep -c listening serving)\" = 3 ]; do sleep 0.1; done",
		"it serves until a signal; what follows on the page needs it"},
	"go run ./examples/broadcast -conns 10000 -size 128 -rounds 20": {
		"go run ./examples/broadcast -conns 20 -size 128 -rounds 3", "it measures, with many descriptors"},
	"go run ./cmd/plexor compare": {"go run ./cmd/plexor compare --models epoll,threads --conns 2 -d 200ms --out report",
		"it takes four minutes"},
}

// tools are the programs that pages use and a machine may lack, each with a call that shows whether it works here.
var tools = map[string][]string{
	"nc": nil, "socat": nil, "ss": nil, "curl": nil, "openssl": nil, "python3": nil,
	"redis-cli": nil, "redis-benchmark": nil,
	"strace":  {"-o", "/dev/null", "true"},
	"tcpdump": {"-i", "lo", "-L"}, // opens the interface, and lists its link types
}

// works reports whether a tool works, once a run of the tests.
var works = sync.OnceValue(func() map[string]bool {
	found := make(map[string]bool)
	for tool, probe := range tools {
		path, err := exec.LookPath(tool)
		switch {
		case err != nil:
		case probe != nil:
			found[tool] = exec.Command(path, probe...).Run() == nil
		default:
			found[tool] = true
		}
	}
	return found
})

// defaults are the addresses that a program takes when it is given none. It is given others here, since these may be
// taken. An example says its own in its comment.
func defaults(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"plexor": "upper=tcp://127.0.0.1:8088 echo=tcp://127.0.0.1:9000 echo=udp://127.0.0.1:9000"}
	for _, e := range examples(t) {
		if m := takes.FindStringSubmatch(e.doc); m != nil {
			all[e.name] = m[1]
		}
	}
	return all
}

// port is a port as pages write them: behind an address, or behind a word that says so.
var port = regexp.MustCompile(`\b(?:2525|8025|8080|8088|8443|900\d|63[78]\d|11311)\b`)

// A yard is where commands are run: with programs that are built already, and a command go that takes those.
type yard struct {
	bin  string
	once sync.Once
	err  error
}

var here yard

// build builds the command and all examples, once.
func (y *yard) build(t *testing.T) string {
	t.Helper()
	goCommand, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command here to build with")
	}
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash here to run commands with")
	}
	y.once.Do(func() {
		if y.bin, y.err = os.MkdirTemp("", "plexor-docs"); y.err != nil {
			return
		}
		if y.err = built.Into(repo, y.bin, "./cmd/plexor", "./examples/..."); y.err != nil {
			return
		}
		top, err := filepath.Abs(repo)
		if err != nil {
			y.err = err
			return
		}
		y.err = os.WriteFile(filepath.Join(y.bin, "go"), fmt.Appendf(nil, standIn, y.bin, top, goCommand), 0o700)
	})
	if y.err != nil {
		t.Fatal(y.err)
	}
	return y.bin
}

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "6") // commands wait more than they work; it is a flag of package testing's
	}
	code := m.Run()
	if here.bin != "" {
		_ = os.RemoveAll(here.bin) // a scratch folder
	}
	os.Exit(code)
}

// standIn is the command go of a session: it runs what is built, and refuses what it does not know.
const standIn = `#!/bin/bash
bin=%s top=%s go=%s
case "$1 $2" in
"run ./cmd/plexor"|"run ./examples/"*)
	name=${2##*/}; shift 2
	[ "$name $*" = "plexor serve" ] && exec "$bin/$name" serve $PLEXOR_ADDRESSES
	addresses=PLEXOR_ADDRESSES_$name
	[ -n "${!addresses}" ] && [[ "$*" != *://* ]] && exec "$bin/$name" "$@" ${!addresses}
	exec "$bin/$name" "$@" ;;
"build ./cmd/plexor") ln -sf "$bin/plexor" plexor ;;
"doc "*) PATH=${PATH#*:}; cd "$top" && exec "$go" "$@" ;;
*) echo "the test of the documentation has no stand-in for: go $*" >&2; exit 1 ;;
esac
`

// A session is a shell that is told one command after the other.
type session struct {
	t     *testing.T
	cmd   *exec.Cmd
	to    io.Writer
	ports func(string) string

	mu   sync.Mutex
	heat *sync.Cond
	out  []byte
	done bool
}

// mark stands before and behind the exit status that the shell prints after each command.
const mark = "\x01"

const shell = `while IFS= read -r -d '' -u 3 line; do
	eval "$line" </dev/null 3<&-
	printf '` + `\001%d\001` + `' $?
done`

// newSession starts a shell in a folder where everything of the source tree can be seen.
func newSession(t *testing.T) *session {
	t.Helper()
	bin := here.build(t)
	dir, err := os.MkdirTemp("", "docs") // a short name, since unix sockets are made in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // the first of all clean-ups, and so the last: a scratch folder
	entries, err := os.ReadDir(repo)
	if err != nil {
		t.Fatal(err)
	}
	top, err := filepath.Abs(repo)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "plexor" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := os.Symlink(filepath.Join(top, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(bin, "plexor"), filepath.Join(dir, "plexor")); err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, ports: exchange(t)}
	s.heat = sync.NewCond(&s.mu)
	commands, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, output, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.to = to
	s.cmd = exec.Command("bash", "-c", shell)
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TMPDIR="+dir)
	for name, addresses := range defaults(t) {
		key := "PLEXOR_ADDRESSES"
		if name != "plexor" {
			key += "_" + name
		}
		s.cmd.Env = append(s.cmd.Env, key+"="+s.ports(addresses))
	}
	s.cmd.ExtraFiles, s.cmd.Stdout, s.cmd.Stderr = []*os.File{commands}, output, output
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = commands.Close() // the shell has it
	_ = output.Close()   // likewise
	go s.listen(from)
	t.Cleanup(func() {
		_ = to.Close() // the shell ends
		_ = s.cmd.Wait()
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // and what it has left behind, if there is something
		_ = from.Close()
	})
	return s
}

func (s *session) listen(from *os.File) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		s.mu.Lock()
		s.out = append(s.out, buf[:n]...)
		s.done = err != nil
		s.heat.Broadcast()
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// await waits until the output is as wanted, and returns it; ok is false when that did not happen in time.
func (s *session) await(wanted func(out []byte) bool) (out []byte, ok bool) {
	late := false
	timer := time.AfterFunc(patience, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		late = true
		s.heat.Broadcast()
	})
	defer timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !wanted(s.out) && !late && !s.done {
		s.heat.Wait()
	}
	return s.out, wanted(s.out)
}

// run runs a step, and says what is not as the page has it.
func (s *session) run(where string, st step) (ok bool) {
	s.t.Helper()
	command := st.command
	if !portion.All() {
		command += fewer[command]
	}
	command = s.ports(command)
	st.output = slices.Clone(st.output)
	for i := range st.output {
		st.output[i] = s.ports(st.output[i])
	}
	if _, err := io.WriteString(s.to, command+"\x00"); err != nil {
		s.t.Errorf("%s: %s: the shell has ended: %v", where, st.command, err)
		return false
	}
	whole := func(out []byte) bool { return bytes.Count(out, []byte(mark)) >= 2 }
	if st.shown && strings.HasSuffix(strings.TrimSpace(st.command), "&") { // its output may come behind the mark
		inner := whole
		whole = func(out []byte) bool {
			if !inner(out) {
				return false
			}
			got, _ := split(out)
			return st.matches(got)
		}
	}
	out, ok := s.await(whole)
	got, status := split(out)
	s.mu.Lock()
	s.out = nil
	s.mu.Unlock()
	switch {
	case !ok && bytes.Count(out, []byte(mark)) < 2:
		s.t.Errorf("%s: %s: has not ended after %v, and printed\n%s", where, command, patience, got)
	case status != 0:
		s.t.Errorf("%s: %s: exit status %d, and printed\n%s", where, command, status, got)
	case !st.matches(got):
		s.t.Errorf("%s: %s: printed\n%s\nand the page shows\n%s", where, command, got, strings.Join(st.output, "\n"))
	default:
		return true
	}
	return false
}

// split takes the exit status out of what the shell printed.
func split(out []byte) (text string, status int) {
	parts := bytes.SplitN(out, []byte(mark), 3)
	if len(parts) < 3 {
		return string(bytes.Join(parts, nil)), -1
	}
	status, err := strconv.Atoi(string(parts[1]))
	if err != nil {
		status = -1
	}
	return progress.ReplaceAllString(string(parts[0])+string(parts[2]), ""), status
}

// progress are the lines that tell of work which takes longer than a second, as anything may on a busy machine.
var progress = regexp.MustCompile(`(?m)^(connecting|warming up|measuring) \d+\.\d s .* connections.*\n`)

// exchange returns a function that puts free ports in the place of a page's, always the same for the same.
func exchange(t *testing.T) func(string) string {
	got := make(map[string]string)
	return func(text string) string {
		return port.ReplaceAllStringFunc(text, func(p string) string {
			if got[p] == "" {
				got[p] = freePort(t)
			}
			return got[p]
		})
	}
}

var (
	takenMu sync.Mutex
	taken   = make(map[int]bool) // given to a page by this run
)

// freePort is a port that nobody has, outside the range from which the kernel takes those of clients, so that nobody
// gets it by chance before the page does.
func freePort(t *testing.T) string {
	t.Helper()
	takenMu.Lock()
	defer takenMu.Unlock()
	for range 1000 {
		n := 10_000 + rand.IntN(20_000)
		if taken[n] {
			continue
		}
		a := fmt.Sprintf("127.0.0.1:%d", n)
		ln, err := net.Listen("tcp", a)
		if err != nil {
			continue
		}
		pc, err := net.ListenPacket("udp", a)
		_ = ln.Close() // it was free
		if err != nil {
			continue
		}
		_ = pc.Close() // likewise
		taken[n] = true
		return strconv.Itoa(n)
	}
	t.Fatal("no port is free between 10000 and 30000")
	return ""
}

var word = regexp.MustCompile(`[\w.-]+`)

// need skips the test when a command of its uses a tool that does not work here.
func need(t *testing.T, steps []step) {
	t.Helper()
	for _, st := range steps {
		for _, w := range word.FindAllString(st.command, -1) {
			if _, known := tools[w]; known && !works()[w] {
				t.Skipf("%s is not there, or may not be used: %s", w, st.command)
			}
		}
	}
}

// TestCommands runs every command of every page. A page in a second language has the same ones (TestLanguages), and is
// left out here.
func TestCommands(t *testing.T) {
	t.Parallel()
	met := make(map[string]bool)
	for _, e := range examples(t) {
		steps, _ := e.steps()
		for _, st := range steps {
			met[st.command] = true
		}
	}
	for _, p := range pages(t) {
		steps := p.commands()
		for _, st := range steps {
			met[st.command] = true
		}
		if len(steps) == 0 || original(p.path) != p.path {
			continue
		}
		t.Run(p.path, func(t *testing.T) {
			t.Parallel()
			need(t, steps)
			s := newSession(t)
			last := step{command: "jobs -r", shown: true} // what a page has started it has ended, by kill and wait
			for _, st := range steps {
				where := fmt.Sprintf("%s:%d", p.path, st.line)
				if other, ok := instead[st.command]; ok {
					if other.command == "" {
						continue
					}
					st = step{line: st.line, command: other.command}
					last = step{command: end}
				}
				if !s.run(where, st) {
					return // what follows builds on it
				}
			}
			s.run(p.path+", at its end", last)
		})
	}
	for command := range fewer {
		if !met[command] {
			t.Errorf("%q is on no page: it needs no arguments more", command)
		}
	}
	for command, other := range instead {
		if !met[command] {
			t.Errorf("%q (%s) is on no page: it needs no exception", command, other.why)
		}
	}
}
