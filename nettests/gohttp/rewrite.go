// Package gohttp runs Go's own tests of servers of net/http, from the Go that is installed, on package web and on
// proto/http1. Nothing of Go's sources is in this tree: they are read, changed as far as they must be to be compiled
// outside of the standard library, and laid over package served.
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

// imports are what stands in the place of packages that are the standard library's alone, or that make servers.
var imports = map[string]string{
	"net/http/httptest":          "github.com/plexor-go/plexor/nettests/gohttp/httptest",
	"net/http/internal/testcert": "github.com/plexor-go/plexor/nettests/gohttp/httptest",
	"internal/testenv":           "github.com/plexor-go/plexor/nettests/gohttp/testenv",
	"internal/synctest":          "testing/synctest",
	"net/http/internal":          "net/http/httputil",
}

// qualifiers are the names that go with them.
var qualifiers = map[string]string{"testcert": "httptest", "internal": "httputil"}

// An edit takes the place of a piece of a file.
type edit struct {
	from, to int
	text     string
}

// rewrite changes a file so that it can be compiled here: without the functions that leave names, and with
// httptest.HTTPServer in the place of http.Server.
func rewrite(path string, leave func(name string) bool) ([]byte, error) {
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
	edits := []edit{{at(f.Name.Pos()), at(f.Name.End()), "served_test"}}
	used := make(map[string]bool)
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
			continue
		}
		if leave(declared(d)) {
			edits = append(edits, edit{at(d.Pos()), at(d.End()), ""})
			continue
		}
		edits = append(edits, names(d, at, used)...)
	}
	used["httptest"] = used["httptest"] || used["testcert"]
	var lines strings.Builder
	for _, i := range importsOf(f) {
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

const ourHTTPTest = "github.com/plexor-go/plexor/nettests/gohttp/httptest"

// importsOf are the packages that a file is to have.
func importsOf(f *ast.File) []imported {
	all := []imported{{ourHTTPTest, "httptest"}}
	for _, i := range f.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		name := path[strings.LastIndexByte(path, '/')+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		if to, ok := imports[path]; ok {
			path = to
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
func names(d ast.Decl, at func(token.Pos) int, used map[string]bool) (edits []edit) {
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
				used[x.Name] = true
			}
		case *ast.KeyValueExpr:
			if k, ok := n.Key.(*ast.Ident); ok {
				skip[k] = true
			}
		case *ast.Ident:
			if n.Name == "Server" && !skip[n] {
				edits = append(edits, edit{at(n.Pos()), at(n.End()), "httptest.HTTPServer"})
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
