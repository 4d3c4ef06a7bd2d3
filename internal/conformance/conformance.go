// Package conformance is for tests that hold a standard's rules: a table has a row for each of its MUSTs, and a row the
// names of the tests that hold it.
package conformance

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// A Table checks rows: Row is called for each.
type Table struct {
	t         testing.TB
	functions map[string]bool
}

// New is a table of the tests in the working directory, which is the package under test.
func New(t testing.TB) *Table {
	t.Helper()
	return &Table{t, functions(t)}
}

// Row checks a row, which is called where in messages: it has tests, whose names stand with blanks between and are
// there; or why there is none; and not both.
func (x *Table) Row(where, tests, why string) {
	x.t.Helper()
	for name := range strings.FieldsSeq(tests) {
		if !x.functions[name] {
			x.t.Errorf("%s: there is no %s", where, name)
		}
	}
	if (tests == "") == (why == "") {
		x.t.Errorf("%s: it has a test or a reason, and not both", where)
	}
}

// functions are the names of the functions that the tests have.
func functions(t testing.TB) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]bool)
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				have[fn.Name.Name] = true
			}
		}
	}
	return have
}
