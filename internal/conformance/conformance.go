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
	functions map[string]*ast.FuncDecl
}

// New is a table of the tests in the working directory, which is the package under test.
func New(t testing.TB) *Table {
	t.Helper()
	return &Table{t, Functions(t)}
}

// Row checks a row, which is called where in messages: it has tests, whose names stand with blanks between and are
// there; or why there is none; and not both.
func (x *Table) Row(where, tests, why string) {
	x.t.Helper()
	for name := range strings.FieldsSeq(tests) {
		if x.functions[name] == nil {
			x.t.Errorf("%s: there is no %s", where, name)
		}
	}
	if (tests == "") == (why == "") {
		x.t.Errorf("%s: it has a test or a reason, and not both", where)
	}
}

// Functions are those that the tests in the working directory have, methods left out, by their names.
func Functions(t testing.TB) map[string]*ast.FuncDecl {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]*ast.FuncDecl)
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				have[fn.Name.Name] = fn
			}
		}
	}
	return have
}
