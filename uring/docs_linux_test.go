package uring

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocsNameKernel: the comment of each operation, and of each flag, names the kernel that brought it.
func TestDocsNameKernel(t *testing.T) {
	operation, flag := regexp.MustCompile(`Linux \d\.\d+`), regexp.MustCompile(`\((?:[^()]*[ ,])?\d\.\d+\)`)
	operations, flags := 0, 0
	files, err := filepath.Glob("*.go")
	ok(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		ok(t, err)
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil || !d.Name.IsExported() {
					continue
				}
				if star, ok := d.Recv.List[0].Type.(*ast.StarExpr); ok && star.X.(*ast.Ident).Name == "SQE" {
					operations++
					if !operation.MatchString(strings.Join(strings.Fields(d.Doc.Text()), " ")) {
						t.Errorf("the comment of SQE.%s does not name the kernel that brought it", d.Name)
					}
				}
			case *ast.GenDecl:
				if name != "flags.go" || d.Tok != token.CONST {
					continue
				}
				for _, s := range d.Specs {
					s := s.(*ast.ValueSpec)
					if !slices.ContainsFunc(s.Names, func(n *ast.Ident) bool { return n.IsExported() }) {
						continue
					}
					flags++
					if !flag.MatchString(s.Comment.Text() + s.Doc.Text() + d.Doc.Text()) {
						t.Errorf("the comment of %s does not name the kernel that brought it", s.Names[0])
					}
				}
			}
		}
	}
	if operations < 50 || flags < 50 {
		t.Errorf("%d operations and %d flags were looked at", operations, flags)
	}
}
