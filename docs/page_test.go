// Package docs holds what is written for people; this checks that it is true: every command is run, what the text shows
// is compared with what came out, and pages in two languages have the same commands.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// repo is the top of the source tree.
const repo = ".."

// A page is a file of Markdown.
type page struct {
	path   string // from the top of the tree
	text   string
	blocks []block
}

// A block is a piece of a page between two fences.
type block struct {
	line int    // of the page, of the first line behind the fence
	lang string // the word behind the fence
	text string
}

// A step is a command, with what the page shows as its output. In what is shown, … stands for any text of a line, and
// a line that is … alone for any lines.
type step struct {
	line    int
	command string
	output  []string
	shown   bool // there is an output to compare: in a block named console, even when it is empty
}

var fence = regexp.MustCompile("^\\s*```(\\S*)\\s*$")

// read reads a page.
func read(t *testing.T, path string) page {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repo, path))
	if err != nil {
		t.Fatal(err)
	}
	p := page{path: path, text: string(b)}
	var open *block
	for i, line := range strings.Split(p.text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m == nil && open != nil:
			open.text += line + "\n"
		case m == nil:
		case open != nil:
			p.blocks = append(p.blocks, *open)
			open = nil
		case m[1] == "":
			t.Errorf("%s:%d: a fence says no language: console and sh are run, text and go are not", path, i+1)
			fallthrough
		default:
			open = &block{line: i + 2, lang: m[1]}
		}
	}
	if open != nil {
		t.Errorf("%s:%d: a fence is not closed", path, open.line)
	}
	return p
}

// commands are those of the page in their order.
func (p page) commands() (steps []step) {
	for _, b := range p.blocks {
		switch b.lang {
		case "console":
			steps = append(steps, b.console()...)
		case "sh":
			steps = append(steps, b.sh()...)
		}
	}
	return steps
}

// console reads a block of prompts, "$ " and "> " for what goes on, and output.
func (b block) console() (steps []step) {
	for i, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
		last := len(steps) - 1
		switch {
		case strings.HasPrefix(line, "$ "):
			steps = append(steps, step{line: b.line + i, command: line[2:], shown: true})
		case strings.HasPrefix(line, "> ") && last >= 0 && len(steps[last].output) == 0:
			steps[last].command += "\n" + line[2:]
		case last >= 0:
			steps[last].output = append(steps[last].output, line)
		default: // output of nothing: it can't come out, and so is found
			steps = append(steps, step{line: b.line + i, command: "true", output: []string{line}, shown: true})
		}
	}
	return steps
}

// sh reads a block of commands, one a line; a backslash at the end goes on with the next.
func (b block) sh() (steps []step) {
	goesOn := false
	for i, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case goesOn:
			steps[len(steps)-1].command += "\n" + line
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		default:
			steps = append(steps, step{line: b.line + i, command: line})
		}
		goesOn = strings.HasSuffix(line, "\\")
	}
	return steps
}

// matches reports whether got is what a page shows.
func (s step) matches(got string) bool {
	if !s.shown {
		return true
	}
	var re strings.Builder
	re.WriteString(`^`)
	for _, line := range s.output {
		line = strings.TrimRight(line, " ")
		if line == "…" {
			re.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		re.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", `[^\n]*?`) + ` *\n`)
	}
	re.WriteString(`$`)
	if got != "" && !strings.HasSuffix(got, "\n") {
		got += "\n"
	}
	return regexp.MustCompile(re.String()).MatchString(got)
}

// pages are all the Markdown that people are to follow.
func pages(t *testing.T) (all []page) {
	t.Helper()
	for _, glob := range []string{"README*.md", "docs/*.md", "docs/*/*.md", "docs/*/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(repo, glob))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			rel, err := filepath.Rel(repo, path)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, read(t, filepath.ToSlash(rel)))
		}
	}
	if len(all) < 2 {
		t.Fatalf("found %d pages: is this not the source tree?", len(all))
	}
	return all
}

// TestMatches holds the comparison itself.
func TestMatches(t *testing.T) {
	for _, row := range []struct {
		name, shown, got string
		want             bool
	}{
		{"the same", "a\nb", "a\nb\n", true},
		{"without its last newline", "a", "a", true},
		{"another", "a", "b\n", false},
		{"more", "a", "a\nb\n", false},
		{"less", "a\nb", "a\n", false},
		{"part of a line", "took … ms", "took 17 ms\n", true},
		{"not over lines", "a … b", "a x\ny b\n", false},
		{"any lines", "a\n…\nz", "a\nb\nc\nz\n", true},
		{"no lines", "a\n…\nz", "a\nz\n", true},
		{"signs of expressions", "a.b", "axb\n", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := step{output: strings.Split(row.shown, "\n"), shown: true}
			if got := s.matches(row.got); got != row.want {
				t.Errorf("%q shown, %q got: matches = %v, want %v", row.shown, row.got, got, row.want)
			}
		})
	}
	if (step{shown: true}).matches("x\n") {
		t.Error("no output is shown, and there was some: it matches")
	}
}

// TestSteps holds the reading of pages.
func TestSteps(t *testing.T) {
	b := block{line: 3, lang: "console", text: "$ cat <<E\n> x\n> E\nx\n$ true\n"}
	got := b.console()
	if len(got) != 2 || got[0].command != "cat <<E\nx\nE" || len(got[0].output) != 1 ||
		got[0].line != 3 || got[1].line != 7 {
		t.Errorf("console = %+v", got)
	}
	b = block{line: 3, lang: "sh", text: "# why\na \\\n  b\n\nc\n"}
	got = b.sh()
	if len(got) != 2 || got[0].command != "a \\\nb" || got[1].command != "c" || got[1].line != 7 {
		t.Errorf("sh = %+v", got)
	}
}

// looksLikeCommand is what may not stand in a block that is indented, since nothing there is run.
var looksLikeCommand = regexp.MustCompile(
	`(?m)^(?:    |\t)(?:\$ |go (?:run|test|build|doc|install) |\./plexor |nc |printf )`)

// TestCommandsAreFenced: what is not in a fenced block is run by nobody.
func TestCommandsAreFenced(t *testing.T) {
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.lang == "text" || b.lang == "go" {
				if m := looksLikeCommand.FindString("    " + strings.ReplaceAll(b.text, "\n", "\n    ")); m != "" {
					t.Errorf("%s:%d: %q in a block of %s, which is not run", p.path, b.line, m, b.lang)
				}
			}
		}
		bare := p.text
		for _, b := range p.blocks {
			bare = strings.Replace(bare, b.text, "", 1)
		}
		if m := looksLikeCommand.FindString(bare); m != "" {
			t.Errorf("%s: %q in an indented block, which is not run: fence it, as console or sh", p.path, m)
		}
	}
}
