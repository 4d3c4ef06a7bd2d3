// Package gohttp runs Go's own tests of net/http, from the Go that is installed: those of servers on package web and on
// proto/http1, and those of clients on web.Client. Nothing of Go's sources is in this tree: they are read, changed as
// far as they must be to be compiled outside of the standard library, and laid over packages served and asked.
package gohttp

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
)

const gohttp = "github.com/plexor-go/plexor/nettests/gohttp/"

// A side is what is put in the place of Go's, and where its tests are compiled.
type side struct {
	folder   string            // of the package over which they are laid
	httptest string            // the package that stands in the place of net/http/httptest
	idents   map[string]string // of net/http, which that package has too, with their names there
}

var (
	server = side{"served", gohttp + "httptest", map[string]string{"Server": "HTTPServer"}}
	client = side{"asked", gohttp + "transport", map[string]string{
		"Transport": "Transport", "DefaultTransport": "DefaultTransport"}}
)

// imports are what stands in the place of packages that are the standard library's alone.
var imports = map[string]string{
	"internal/testenv":               gohttp + "testenv",
	"internal/nettrace":              gohttp + "transport",
	"golang.org/x/net/http/httpguts": gohttp + "transport",
	"internal/synctest":              "testing/synctest",
	"net/http/internal":              "net/http/httputil",
	"net/http/internal/testcert":     gohttp + "httptest",
}

// qualifiers are the names that go with them.
var qualifiers = map[string]string{"internal": "httputil"}

// An edit takes the place of a piece of a file.
type edit struct {
	from, to int
	text     string
}

// rewrite changes a file so that it can be compiled here: without the functions that leave names, and with what the
// side has in the place of net/http's.
func (s side) rewrite(path string, leave func(name string) bool) ([]byte, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, path, src, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	at := func(p token.Pos) int { return set.Position(p).Offset }
	edits := []edit{{at(f.Name.Pos()), at(f.Name.End()), s.folder + "_test"}}
	used := make(map[string]bool)
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
			continue
		}
		if leave(declared(d)) {
			edits = append(edits, edit{at(d.Pos()), at(d.End()), ""})
			continue
		}
		edits = append(edits, s.names(d, at, used)...)
	}
	var lines strings.Builder
	for _, i := range s.importsOf(f) {
		if i.name == "." { // what is left may not use it
			edits = append(edits, edit{len(src), len(src), "\nvar _ Handler\n"})
		}
		if i.name == "." || used[i.name] {
			fmt.Fprintf(&lines, "\t%s %q\n", i.name, i.path)
		}
	}
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
			edits = append(edits, edit{at(g.Pos()), at(g.End()), "import (\n" + lines.String() + ")\n"})
		}
	}
	return apply(src, edits), nil
}

// declared is the name of a function, of a method's type, or of a type that stands alone; "" for what is kept anyway.
func declared(d ast.Decl) string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return d.Name.Name
		}
		t := d.Recv.List[0].Type
		if star, ok := t.(*ast.StarExpr); ok {
			t = star.X
		}
		if t, ok := t.(*ast.Ident); ok {
			return t.Name
		}
	case *ast.GenDecl:
		if d.Tok == token.TYPE && len(d.Specs) == 1 {
			return d.Specs[0].(*ast.TypeSpec).Name.Name
		}
		if d.Tok == token.VAR || d.Tok == token.CONST {
			return "var"
		}
	}
	return ""
}

// An imported package, with the name that a file knows it by.
type imported struct{ path, name string }

// importsOf are the packages that a file is to have.
func (s side) importsOf(f *ast.File) []imported {
	all := []imported{{s.httptest, "httptest"}}
	for _, i := range f.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		name := path[strings.LastIndexByte(path, '/')+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		if to, ok := imports[path]; ok {
			path = to
		} else if path == "net/http/httptest" {
			path = s.httptest
		}
		if q, ok := qualifiers[name]; ok {
			name = q
		}
		if one := (imported{path, name}); !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}

// names are the edits of a declaration, and notes the packages that it uses.
func (s side) names(d ast.Decl, at func(token.Pos) int, used map[string]bool) (edits []edit) {
	skip := make(map[*ast.Ident]bool)
	ast.Inspect(d, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			skip[n.Sel] = true
			if x, ok := n.X.(*ast.Ident); ok && x.Obj == nil {
				if q, ok := qualifiers[x.Name]; ok {
					edits = append(edits, edit{at(x.Pos()), at(x.End()), q})
					used[q] = true
				}
				if to, ok := s.idents[n.Sel.Name]; ok && x.Name == "http" {
					edits = append(edits, edit{at(n.Pos()), at(n.End()), "httptest." + to})
					used["httptest"] = true
				} else {
					used[x.Name] = true
				}
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "WithT" { // a request that has the test's log
				edits = append(edits, edit{at(f.X.End()), at(n.End()), ""})
			}
		case *ast.Field:
			for _, name := range n.Names {
				skip[name] = true
			}
		case *ast.KeyValueExpr:
			if k, ok := n.Key.(*ast.Ident); ok {
				skip[k] = true
			}
		case *ast.Ident:
			if to, ok := s.idents[n.Name]; ok && !skip[n] {
				edits = append(edits, edit{at(n.Pos()), at(n.End()), "httptest." + to})
				used["httptest"] = true
			}
		}
		return true
	})
	return edits
}

func apply(src []byte, edits []edit) []byte {
	slices.SortFunc(edits, func(a, b edit) int { return a.from - b.from })
	var out bytes.Buffer
	last := 0
	for _, e := range edits {
		out.Write(src[last:e.from])
		out.WriteString(e.text)
		last = e.to
	}
	out.Write(src[last:])
	return out.Bytes()
}
