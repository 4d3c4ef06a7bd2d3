//go:build unix

package docs

import (
	"bytes"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// An example is a program in examples/.
type example struct {
	name string
	doc  string // the comment of its package, in which commands are indented by a tab
}

// takes is how a comment says which address is taken when none is given.
var takes = regexp.MustCompile(`# on (\w+://[^;\s]+)`)

// examples are all of them, but those with a module of their own, which has its own tests.
func examples(t *testing.T) (all []example) {
	t.Helper()
	mains, err := filepath.Glob(filepath.Join(repo, "examples", "*", "main.go"))
	if err != nil || len(mains) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range mains {
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), "go.mod")); err == nil {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, example{filepath.Base(filepath.Dir(file)), f.Doc.Text()})
	}
	return all
}

// tail is a comment behind a command. One that begins with "prints" says what comes out.
var tail = regexp.MustCompile(`\s+# (prints (.*)|.*)$`)

// steps are the commands of the comment. The first one begins the program; endless says that it goes on until a signal.
func (e example) steps() (steps []step, endless bool) {
	for i, line := range strings.Split(e.doc, "\n") {
		command, indented := strings.CutPrefix(line, "\t")
		if !indented || strings.HasPrefix(command, "kill -") { // a list of signals
			continue
		}
		st := step{line: i + 1, command: command}
		if m := tail.FindStringSubmatch(command); m != nil {
			st.command = strings.TrimSuffix(command, m[0])
			if m[2] != "" {
				st.output, st.shown = []string{m[2]}, true
			}
			endless = endless || len(steps) == 0 && strings.Contains(m[0], "Ctrl-C")
		}
		steps = append(steps, st)
	}
	return steps, endless
}

// end stops what was started, and fails with the exit status of what did not end well.
const end = `bad=0; for p in $(jobs -p); do kill $p; wait $p || bad=$?; done; (exit $bad)`

// TestExamples does with each example what its comment says. Those that serve are ended by SIGTERM, drain, and leave
// with 0; the others end by themselves.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, e := range examples(t) {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			steps, endless := e.steps()
			if len(steps) == 0 || !strings.HasPrefix(steps[0].command, "go run ./examples/"+e.name) {
				t.Fatalf("its comment does not begin with how to try it:\n\tgo run ./examples/%s", e.name)
			}
			source, err := os.ReadFile(filepath.Join(repo, "examples", e.name, "main.go"))
			if err != nil {
				t.Fatal(err)
			}
			if serves := strings.Contains(string(source), "listening on"); serves != endless {
				t.Fatalf("it serves: %v; its comment says that Ctrl-C stops it: %v", serves, endless)
			}
			if at := bytes.Index(source, []byte("signal.Notify")); at > bytes.Index(source, []byte("listening on")) {
				t.Errorf("it says that it listens before it looks out for signals: one that comes then ends it at once")
			}
			need(t, steps)
			s := newSession(t)
			for i, st := range steps {
				if other, ok := instead[st.command]; ok {
					st.command = other.command
				}
				switch {
				case i == 0 && endless:
					st.command, st.output, st.shown = st.command+" &", []string{"…", "…listening on …", "…"}, true
				case strings.HasSuffix(st.command, "&"):
					st.output, st.shown = []string{"…", "…listening on …", "…"}, true
				}
				if !s.run("examples/"+e.name, st) {
					return
				}
			}
			s.run("examples/"+e.name+", at SIGTERM", step{command: end})
		})
	}
}

// TestExampleComments: go doc shows what a comment says as code, in one piece of text for each.
func TestExampleComments(t *testing.T) {
	for _, e := range examples(t) {
		if s := new(doc.Package).Synopsis(e.doc); !strings.HasPrefix(s, "Command "+e.name+" ") {
			t.Errorf("the comment of examples/%s begins with %q", e.name, s)
		}
	}
}
