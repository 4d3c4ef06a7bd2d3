package plexor_test

import (
	"slices"
	"strings"
	"testing"
)

// TestTidyRefuses holds the checker itself: each fault is found, and what looks like one is not.
func TestTidyRefuses(t *testing.T) {
	long := strings.Repeat("x", mostColumns)
	body := strings.Repeat("\tf()\n", mostFunction)
	rows := "var _ = []int{\n" + strings.Repeat("\t\t1,\n", mostFunction) + "\t}\n"
	for _, row := range []struct{ name, path, text, want string }{
		{"tidy", "a.go", "package a\n", ""},
		{"gofmt", "a.go", "package  a\n", "gofmt"},
		{"long line", "a.go", "package a\n\n// " + long + "\n", "characters"},
		{"long raw string", "a.go", "package a\n\nvar a = `" + long + "`\n", ""},
		{"long file", "a.go", "package a\n" + strings.Repeat("\n// a\n", mostLines), "lines, of"},
		{"long function", "a.go", "package a\n\nfunc f() {\n" + body + "}\n", "f has 72 lines"},
		{"a table does not count", "a.go", "package a\n\nfunc f() {\n\t" + rows + "}\n", ""},
		{"a literal counts", "a.go", "package a\n\nfunc f() {\n\tf(func() {\n" + strings.ReplaceAll(body, "\t", "\t\t") +
			"\t})\n}\n",
			"f has 74 lines"},
		{"in a test by itself", "a_test.go", "package a\n\nfunc f() {\n\tf(func() {\n" + strings.ReplaceAll(body, "\t",
			"\t\t") + "\t})\n}\n",
			"the function in line 4 has 72"},
		{"sleep", "a_test.go", "package a\n\nfunc f() { time.Sleep(1) }\n", "a_test.go f sleeps"},
		{"sleep of no test", "a.go", "package a\n\nfunc f() { time.Sleep(1) }\n", ""},
		{"sleep to look again", "a_test.go", "package a\n\nfunc f() {\n\tfor ; g(); time.Sleep(1) {\n\t}\n}\n", ""},
		{"sleep in a bubble", "a_test.go", "package a\n\nfunc f() { synctest.Test(t, func() { time.Sleep(1) }) }\n", ""},
		{"sleep in the list", "a_test.go", "package a\n\nfunc listed() { time.Sleep(1) }\n", ""},
		{"dead constant", "a.go", "package a\n\nconst unused = 1\n", "the constant unused"},
		{"constant in use", "a.go", "package a\n\nconst used = 1\n\nvar B = used\n", ""},
		{"public constant", "a.go", "package a\n\nconst A = 1\n", ""},
		{"enumeration", "a.go", "package a\n\nconst (\n\ta = iota\n\tb\n)\n", ""},
		{"layout", "a.go", "package a\n\ntype a struct{ _ [8 - 4]byte }\n", "a is padded"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, err := parse(row.path, []byte(row.text))
			if err != nil {
				t.Fatal(err)
			}
			files := []*source{s}
			faults := slices.Concat(s.form(), s.functions(), s.sleeps(map[string]string{"a_test.go listed": "why"}),
				deadConstants(files), layouts(files))
			if row.want == "" && len(faults) > 0 || row.want != "" &&
				(len(faults) != 1 || !strings.Contains(faults[0], row.want)) {
				t.Errorf("faults: %q, want one with %q", faults, row.want)
			}
		})
	}
}
