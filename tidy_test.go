package plexor_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/scanner"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The bounds of form, for all modules of this tree. They are there for who reads: a line that fits beside another, a
// file that one looks through, a function on a screen.
const (
	mostColumns  = 120 // characters; a tab is one
	mostLines    = 500 // of a file
	mostFunction = 70  // lines, see functionLines
)

// mustSleep are the functions of tests that sleep, and why they have to. A loop that looks again and again for what
// must come (for …; time.Sleep(…)) needs no entry, nor does what is called in a synctest bubble, where time costs
// nothing.
var mustSleep = map[string]string{
	"client_test.go TestClientTimeout": "so that a dial is most likely under way when its client " +
		"is closed, which nothing tells",
	"cmd/plexor/bench_test.go TestBenchEnds":                 "a server that stands still is the fault itself",
	"cmd/plexor/dial_unix_test.go TestDialRoots":             "a reader that is late is the fault itself",
	"compare/main_test.go play":                              "a process that says nothing, until it is killed",
	"example_test.go Query":                                  "plays a database that takes its time",
	"internal/leak/leak_test.go TestMain":                    "a process that is left behind, until it is killed",
	"ipc/kill_test.go TestKill":                              "the moments of the kills are what is random",
	"loop/suite_gone_test.go TestHalfClosedAtRest":           "a loop that must rest is watched for a while",
	"loop/suite_gone_test.go TestUnixPeerClosesAtOnce":       "a loop that must rest is watched for a while",
	"loop/suite_packet_test.go TestSlowDatagramHandler":      "a slow handler is the fault itself",
	"loop/suite_peers_test.go cpu":                           "the processor time of a while is what is measured",
	"loop/suite_peers_test.go readSlowly":                    "a slow reader is the fault itself",
	"loop/suite_stall_test.go holdTheLoop":                   "a handler that holds its loop is the fault itself",
	"loop/suite_stopped_test.go stopped":                     "a handler that holds its loop is the fault itself",
	"loop/suite_stopped_test.go TestStoppedProcessIsNoStall": "how long a process is stopped is what its clocks then show",
	"packet_test.go blockABit":                               "a handler that blocks is the fault itself",
	"proc/kill_test.go TestKillWorkers":                      "the moments of the kills are what is random",
	"proc/kill_test.go TestKillMaster":                       "the moments of the kills are what is random",
	"proc/kill_test.go TestKillPool":                         "the moments of the kills are what is random",
	"proc/kill_test.go TestKilledInReload":                   "the moments of the kills are what is random",
	"proc/load_test.go client":                               "nobody may be there, so it is no use to insist",
	"proc/load_test.go visit":                                "a connection that waits between its messages, as many do",
	"selector/concurrency_test.go TestSignal":                "signals apart from each other are an interruption each",
	"selector/fake_test.go wait":                             "the fake of a system call that waits",
	"uring/thread_linux_test.go TestInterrupted":             "signals apart from each other are an interruption each",
	"web/log_test.go Write":                                  "a slow log is the fault itself, by a bubble's time",
}

// A source is a file with its syntax.
type source struct {
	path string
	text []byte
	fset *token.FileSet
	ast  *ast.File
}

func (s *source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s *source) line(p token.Pos) int { return s.fset.Position(p).Line }

// sources are all Go files, of every module and system.
func sources(t *testing.T) (all []*source) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (name[0] == '.' || name == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(path), text)
		all = append(all, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("there are %d files: this test runs in the root's folder", len(all))
	}
	return all
}

func parse(path string, text []byte) (*source, error) {
	s := &source{path: path, text: text, fset: token.NewFileSet()}
	var err error
	s.ast, err = parser.ParseFile(s.fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	return s, err
}

func TestTidy(t *testing.T) {
	t.Parallel()
	all := sources(t)
	for _, s := range all {
		for _, fault := range slices.Concat(s.form(), s.functions(), s.sleeps(mustSleep)) {
			t.Error(fault)
		}
	}
	byFolder := make(map[string][]*source)
	for _, s := range all {
		dir := filepath.Dir(s.path)
		byFolder[dir] = append(byFolder[dir], s)
	}
	for _, dir := range slices.Sorted(maps.Keys(byFolder)) {
		for _, fault := range slices.Concat(deadConstants(byFolder[dir]), layouts(byFolder[dir])) {
			t.Error(fault)
		}
	}
	for name, why := range mustSleep {
		path, function, _ := strings.Cut(name, " ")
		sleeps := func(s *source) bool { return s.path == path && slices.Contains(s.sleepers(), function) }
		if why == "" || !slices.ContainsFunc(all, sleeps) {
			t.Errorf("mustSleep has %q, with the reason %q: there is no such sleep", name, why)
		}
	}
}

// gofmt is the command's, but for the letters of numbers, at which .ci/run's gofmt looks too. Package format would
// parse each file once more.
var gofmt = printer.Config{Mode: printer.UseSpaces | printer.TabIndent, Tabwidth: 8}

// form is gofmt, the length of the file and that of its lines.
func (s *source) form() (faults []string) {
	var formatted bytes.Buffer
	ast.SortImports(s.fset, s.ast)
	if err := gofmt.Fprint(&formatted, s.fset, s.ast); err != nil || !bytes.Equal(formatted.Bytes(), s.text) {
		faults = append(faults, fmt.Sprintf("%s: not formatted by gofmt: %v", s.path, err))
	}
	lines := strings.Split(strings.TrimSuffix(string(s.text), "\n"), "\n")
	if len(lines) > mostLines {
		faults = append(faults, fmt.Sprintf("%s: %d lines, of %d: split it by concern", s.path, len(lines), mostLines))
	}
	var raw map[int]bool
	for i, l := range lines {
		n := utf8.RuneCountInString(l)
		if n > mostColumns && raw == nil {
			raw = s.rawLines()
		}
		if n > mostColumns && !raw[i+1] && !strings.HasPrefix(l, "//go:") {
			faults = append(faults, fmt.Sprintf("%s:%d: %d characters, of %d", s.path, i+1, n, mostColumns))
		}
	}
	return faults
}

// rawLines are the lines with a part of a raw string, which can't be broken: tags of fields, scripts, texts.
func (s *source) rawLines() map[int]bool {
	raw := make(map[int]bool)
	var scan scanner.Scanner
	f := token.NewFileSet().AddFile(s.path, -1, len(s.text))
	scan.Init(f, s.text, nil, 0)
	for {
		pos, tok, text := scan.Scan()
		if tok == token.EOF {
			return raw
		}
		if tok == token.STRING && text[0] == '`' {
			first := f.Line(pos)
			for i := range strings.Count(text, "\n") + 1 {
				raw[first+i] = true
			}
		}
	}
}

func (s *source) functions() (faults []string) {
	for _, d := range s.ast.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			faults = append(faults, s.functionLines(f, f.Name.Name)...)
		}
	}
	return faults
}

// functionLines holds the bound of a function. The lines of a composite literal are not counted, for a table is read by
// the row; nor, in a test, are those of a function literal, which is what a table's rows or a peer do, and is held by
// itself.
func (s *source) functionLines(f ast.Node, name string) (faults []string) {
	n := s.line(f.End()) - s.line(f.Pos()) + 1
	ast.Inspect(f, func(inner ast.Node) bool {
		lit, isFunc := inner.(*ast.FuncLit)
		_, isTable := inner.(*ast.CompositeLit)
		switch {
		case inner == f, !isTable && !(isFunc && s.test()):
			return true
		case isFunc:
			faults = append(faults, s.functionLines(lit, fmt.Sprintf("%s, the function in line %d", name, s.line(lit.Pos())))...)
		}
		n -= s.line(inner.End()) - s.line(inner.Pos())
		return false
	})
	if n > mostFunction {
		faults = append(faults, fmt.Sprintf("%s:%d: %s has %d lines, of %d", s.path, s.line(f.Pos()), name, n, mostFunction))
	}
	return faults
}

// sleeps are the calls of time.Sleep in tests that are not in the list.
func (s *source) sleeps(list map[string]string) (faults []string) {
	for _, function := range s.sleepers() {
		if name := s.path + " " + function; list[name] == "" {
			faults = append(faults, name+
				" sleeps: wait for what must come, use a clock, or put it into mustSleep with the reason")
		}
	}
	return faults
}

// sleepers are the functions of a test that sleep, each once.
func (s *source) sleepers() (names []string) {
	if !s.test() {
		return nil
	}
	for _, d := range s.ast.Decls {
		name := "a variable"
		if f, ok := d.(*ast.FuncDecl); ok {
			name = f.Name.Name
		}
		looks := make(map[ast.Node]bool) // what does not count
		ast.Inspect(d, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ForStmt:
				if post, ok := n.Post.(*ast.ExprStmt); ok {
					looks[post.X] = true
				}
			case *ast.CallExpr:
				if isCall(n, "synctest", "Test") {
					return false
				}
				if isCall(n, "time", "Sleep") && !looks[n] && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			return true
		})
	}
	return names
}

func isCall(c *ast.CallExpr, pkg, name string) bool {
	f, ok := c.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != name {
		return false
	}
	x, ok := f.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// deadConstants are a package's own constants that nothing names. Those of an enumeration by iota may be there for the
// count.
func deadConstants(files []*source) (faults []string) {
	uses := make(map[string]int)
	var consts []*ast.Ident
	at := make(map[*ast.Ident]*source)
	for _, s := range files {
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				uses[id.Name]++
			}
			return true
		})
		for _, d := range s.ast.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				for _, id := range v.Names {
					if !id.IsExported() && id.Name != "_" && len(v.Values) > 0 && !byIota(v) {
						consts, at[id] = append(consts, id), s
					}
				}
			}
		}
	}
	declared := make(map[string]int) // on several systems, each in a file
	for _, id := range consts {
		declared[id.Name]++
	}
	for _, id := range consts {
		if uses[id.Name] == declared[id.Name] {
			faults = append(faults, fmt.Sprintf("%s:%d: the constant %s is used by nothing", at[id].path, at[id].line(id.Pos()),
				id.Name))
		}
	}
	return faults
}

func byIota(v *ast.ValueSpec) (is bool) {
	for _, x := range v.Values {
		ast.Inspect(x, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			is = is || ok && id.Name == "iota"
			return true
		})
	}
	return is
}

// layouts are types that are padded by bytes, and of which no test asks for a size or an offset.
func layouts(files []*source) (faults []string) {
	var asked strings.Builder
	for _, s := range files {
		if s.test() {
			for line := range strings.Lines(string(s.text)) {
				if strings.Contains(line, "unsafe.Sizeof(") || strings.Contains(line, "unsafe.Offsetof(") {
					asked.WriteString(line)
				}
			}
		}
	}
	for _, s := range files {
		for _, d := range s.ast.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, spec := range g.Specs {
				typ := spec.(*ast.TypeSpec)
				if padded(typ.Type) && !strings.Contains(asked.String(), "of("+typ.Name.Name+"{}") {
					faults = append(faults, fmt.Sprintf("%s:%d: %s is padded by bytes, and no test asks for its Sizeof or an Offsetof",
						s.path, s.line(typ.Pos()), typ.Name.Name))
				}
			}
		}
	}
	return faults
}

func padded(typ ast.Expr) bool {
	st, ok := typ.(*ast.StructType)
	return ok && slices.ContainsFunc(st.Fields.List, func(f *ast.Field) bool {
		if len(f.Names) != 1 || f.Names[0].Name != "_" {
			return false
		}
		a, ok := f.Type.(*ast.ArrayType)
		if !ok || a.Len == nil {
			return false
		}
		elem, ok := a.Elt.(*ast.Ident)
		return ok && elem.Name == "byte"
	})
}
