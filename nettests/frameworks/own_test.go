package frameworks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/ownnet"
)

// Here run programs and tests that chi, gin and echo bring themselves. They are read from their modules, as the Go
// command has them; in a copy the server of net/http is exchanged for one with the same methods that serves by package
// web (gohttp/httptest). They listen on ports of their choice, and so in a network of their own.

const stand = "github.com/plexor-go/plexor/nettests/gohttp/httptest"

// moduleDir is where the Go command has the source of a module.
func moduleDir(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Skipf("the source of %s can't be had here: %v", module, err)
	}
	return strings.TrimSpace(string(out))
}

// told has an example say on its standard error that it sleeps, and sleep less.
var told = strings.NewReplacer("time.Sleep(5 * time.Second)", `println("asleep"); time.Sleep(time.Second)`)

var (
	serving     = regexp.MustCompile(`(?m)^([^/\n]*)\bhttp\.(Server|ListenAndServe)\b`) // not in a comment
	firstImport = regexp.MustCompile(`(?m)^import \(\n`)
	otherUse    = regexp.MustCompile(`\bhttp\.`)
)

// swap exchanges the server in a source. If there is nothing to exchange, it returns "".
func swap(src string) string {
	if !serving.MatchString(src) {
		return ""
	}
	src = strings.ReplaceAll(serving.ReplaceAllString(src, "${1}served.$2"), "served.Server", "served.HTTPServer")
	src = firstImport.ReplaceAllString(src, "import (\n\tserved \""+stand+"\"\n")
	if !otherUse.MatchString(src) {
		src = strings.Replace(src, "\t\"net/http\"\n", "", 1)
	}
	return src
}

// changed writes a changed copy of a file to a folder, and returns its path.
func changed(t *testing.T, folder, file string, change func(string) string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	to := filepath.Join(folder, file)
	if err := errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o700)); err != nil {
		t.Fatal(err)
	}
	src := change(string(b))
	if src == "" {
		t.Fatalf("%s has no server of net/http", file)
	}
	if err := os.WriteFile(to, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// overlay writes the file for -overlay: which file is read in the place of which.
func overlay(t *testing.T, scratch string, replace map[string]string) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(scratch, "overlay.json")
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

func gotool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
}

// chiAsked is what chi's examples are asked; an answer is compared with that under net/http.
var chiAsked = map[string][]request{
	"custom-handler": {{"GET", "/", "", nil}, {"GET", "/?err=some", "", nil}, {"POST", "/", "x", nil}},
	"custom-method": {{"LINK", "/link", "", nil}, {"WOOHOO", "/woo", "", nil}, {"GET", "/woo", "", nil},
		{"UNLINK", "/everything", "", nil}, {"HEAD", "/everything", "", nil}, {"NOSUCH", "/everything", "", nil}},
	"fileserver": {{"GET", "/files", "", nil}, {"GET", "/files/", "", nil}, {"GET", "/files/notes.txt", "", nil},
		{"GET", "/files/notes.txt", "", []string{"Range", "bytes=2-5"}}, {"GET", "/files/../main.go", "", nil}},
	"hello-world": {{"GET", "/", "", nil}, {"HEAD", "/", "", nil}, {"GET", "/none", "", nil}},
	"limits":      {{"GET", "/ping", "", nil}, {"GET", "/panic", "", nil}, {"GET", "/ping", "", nil}},
	"pathvalue":   {{"GET", "/users/7", "", nil}, {"GET", "/users/a%2Fb%20c", "", nil}, {"GET", "/users/", "", nil}},
	"todos-resource": {{"GET", "/todos/", "", nil}, {"POST", "/todos/", "{}", nil}, {"PUT", "/todos/3", "{}", nil},
		{"GET", "/todos/3/sync", "", nil}, {"DELETE", "/users/3", "", nil}, {"GET", "/todos", "", nil}},
	"graceful": {{"GET", "/", "", nil}},
}

// TestChiExamples runs the programs of chi's _examples that serve, on net/http as they are and on ours.
func TestChiExamples(t *testing.T) {
	if !ownnet.Enter(t) {
		return
	}
	module := moduleDir(t, "github.com/go-chi/chi/v5")
	scratch := t.TempDir()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	// A program in a folder that the Go command passes over is laid into one of this module that is not there.
	replace, programs := map[string]string{}, []string(nil)
	for name := range chiAsked {
		files, err := filepath.Glob(filepath.Join(module, "_examples", name, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("chi has no example %s: %v", name, err)
		}
		for _, file := range files {
			bare := changed(t, filepath.Join(scratch, "bare"), file, told.Replace)
			ours := changed(t, filepath.Join(scratch, "ours"), bare, func(src string) string {
				if s := swap(src); s != "" || filepath.Base(file) == "main.go" {
					return s
				}
				return src
			})
			replace[filepath.Join(here, "bare-"+name, filepath.Base(file))] = bare
			replace[filepath.Join(here, "ours-"+name, filepath.Base(file))] = ours
		}
		programs = append(programs, "./bare-"+name, "./ours-"+name)
	}
	gotool(t, append([]string{"build", "-overlay", overlay(t, scratch, replace), "-o", scratch}, programs...)...)
	for name, asked := range chiAsked {
		t.Run(name, func(t *testing.T) {
			var answers [2][]string
			for i, folder := range []string{"bare", "ours"} {
				program := filepath.Join(scratch, folder+"-"+name)
				answers[i] = askExample(t, program, filepath.Join(module, "_examples", name), asked, name == "graceful")
			}
			for i, got := range answers[1] {
				if want := answers[0][i]; got != want {
					t.Errorf("%s %s:\n%s\nby net/http:\n%s", asked[i].method, asked[i].path, got, want)
				}
			}
		})
	}
}

// askExample starts a program of chi's, which listens on port 3333, and returns its answers. A graceful one is asked
// for something slow, and told to end meanwhile.
func askExample(t *testing.T, program, dir string, asked []request, graceful bool) (answers []string) {
	cmd := exec.Command(program)
	cmd.Dir = dir
	printed := output{asleep: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		if err := cmd.Process.Kill(); err == nil {
			<-ended
		}
		if err := dials("127.0.0.1:3333", false, nil); err != nil {
			t.Error(err)
		}
	}()
	c := client(t)
	if err := dials("127.0.0.1:3333", true, ended); err != nil {
		t.Fatalf("%v\n%s", err, printed.String())
	}
	for i := range asked {
		answers = append(answers, asked[i].asked(t, c, "http://127.0.0.1:3333"))
	}
	if !graceful {
		return answers
	}
	slow := make(chan string, 1)
	go func() { slow <- (&request{"GET", "/slow", "", nil}).asked(t, c, "http://127.0.0.1:3333") }()
	select {
	case <-printed.asleep:
	case answer := <-slow:
		t.Fatalf("GET /slow: %s\n%s", answer, printed.String())
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	answers = append(answers, <-slow)
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v\n%s", err, printed.String())
	}
	return answers
}

// An output keeps what a program prints, and notices "asleep" in it.
type output struct {
	mu     sync.Mutex
	b      bytes.Buffer
	asleep chan struct{} // closed once it was seen
	seen   bool
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if bytes.Contains(p, []byte("asleep")) && !o.seen {
		o.seen = true
		close(o.asleep)
	}
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// dials waits until addr can be dialled, or can't any more: a process that was killed may have a ring that holds its
// listener for a moment. It is an error when the program ends meanwhile.
func dials(addr string, want bool, ended <-chan error) error {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		nc, err := net.Dial("tcp", addr)
		if err == nil {
			_ = nc.Close()
		}
		if (err == nil) == want {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("the program has ended: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s can be dialled: not %v", addr, want)
}

// ownTests are gin's and echo's tests of how they listen and serve. Some of them give a server 5 ms to begin.
var ownTests = []struct{ name, module, run string }{
	{"gin", "github.com/gin-gonic/gin", "Run|Unix|Descriptor|Listener|Pusher|Concurrent|H2c"},
	{"echo", "github.com/labstack/echo/v4", "Start|Listener|Server|Shutdown|Close"},
}

// An answer of ours to HTTP/1.0 says HTTP/1.1, as RFC 9110, section 6.2 wants it and nginx does; net/http repeats
// the version that it was asked in, and these tests of gin's look for that.
const repeatsVersion = "^(TestUnixSocket|TestFileDescriptor|TestListener)$"

// builtOwnTests is the environment variable by which the process in a network of its own knows where the programs are.
const builtOwnTests = "PLEXOR_OWN_TESTS"

// TestOwnTests runs gin's and echo's own tests with our server in the place of net/http's.
func TestOwnTests(t *testing.T) {
	if os.Getenv(builtOwnTests) == "" { // modules may have to be fetched: before there is no network but the own one
		dir := t.TempDir()
		for _, row := range ownTests {
			buildOwnTests(t, filepath.Join(dir, row.name), row.module)
		}
		t.Setenv(builtOwnTests, dir)
	}
	if !ownnet.Enter(t) {
		return
	}
	for _, row := range ownTests {
		t.Run(row.name, func(t *testing.T) {
			dir := filepath.Join(os.Getenv(builtOwnTests), row.name)
			failed, out := runOwnTests(t, dir, row.run)
			for try := 0; len(failed) > 0 && try < 5; try++ {
				failed, out = runOwnTests(t, dir, "^("+strings.Join(failed, "|")+")$")
			}
			if len(failed) > 0 {
				t.Errorf("%v failed again and again\n%s", failed, out)
			}
		})
	}
}

// buildOwnTests copies a module to dir, exchanges the server in it, and builds its tests.
func buildOwnTests(t *testing.T, dir, module string) {
	t.Helper()
	source := filepath.Join(dir, "source")
	if err := os.CopyFS(source, os.DirFS(moduleDir(t, module))); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(source, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	swapped := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if src := swap(string(b)); err == nil && src != "" {
			swapped++
			err = os.WriteFile(file, []byte(src), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if swapped == 0 {
		t.Fatalf("%s has no server of net/http", module)
	}
	// The module is that of nettests, but for the copy.
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join("..", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	mod := filepath.Join(dir, "go.mod")
	gotool(t, "mod", "edit", "-replace=github.com/plexor-go/plexor="+root, "-replace="+module+"="+source, mod)
	gotool(t, "test", "-vet=off", "-c", "-mod=mod", "-modfile="+mod, "-o", filepath.Join(dir, "tests"), module)
}

// runOwnTests runs tests of a module, and returns which failed, and what they printed.
func runOwnTests(t *testing.T, dir, run string) (failed []string, printed string) {
	cmd := exec.Command(filepath.Join(dir, "tests"), "-test.v", "-test.run", run, "-test.skip", repeatsVersion,
		"-test.timeout", "1m")
	cmd.Dir = filepath.Join(dir, "source")
	out, err := cmd.CombinedOutput()
	passed := 0
	for line := range strings.SplitSeq(string(out), "\n") {
		switch f := strings.Fields(line); {
		case len(f) < 3 || f[0] != "---":
		case f[1] == "FAIL:" && !strings.Contains(f[2], "/"):
			failed = append(failed, f[2])
		case f[1] == "PASS:":
			passed++
		}
	}
	t.Logf("%d passed, %d failed", passed, len(failed))
	if passed+len(failed) == 0 || err != nil && len(failed) == 0 {
		t.Fatalf("they did not come to their end: %v\n%s", err, out)
	}
	return failed, string(out)
}
