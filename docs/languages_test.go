package docs

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// original is the page of which this one is the second language, or the page itself.
func original(path string) string {
	path = strings.Replace(path, "docs/learn/zh/", "docs/learn/en/", 1)
	return strings.Replace(path, ".zh-CN.md", ".md", 1)
}

// second is the reverse of original; "" where there is to be none.
func second(path string) string {
	switch {
	case path == "README.md":
		return "README.zh-CN.md"
	case strings.HasPrefix(path, "docs/learn/en/"):
		return strings.Replace(path, "docs/learn/en/", "docs/learn/zh/", 1)
	}
	return ""
}

// link is a link's target.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// links are a page's, without repetition and in order, each as that of the original.
func (p page) links() (all []string) {
	bare := p.text
	for _, b := range p.blocks {
		bare = strings.Replace(bare, b.text, "", 1)
	}
	for _, m := range link.FindAllStringSubmatch(bare, -1) {
		target, _, _ := strings.Cut(m[1], "#")
		if target == "" {
			continue
		}
		all = append(all, target)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// alike makes links of two languages comparable: a page and the same in the other language are one.
func alike(links []string) []string {
	links = slices.Clone(links)
	for i, l := range links {
		l = strings.ReplaceAll(l, "learn/zh", "learn/en")
		l = strings.ReplaceAll(l, "../zh/", "../en/")
		links[i] = strings.ReplaceAll(l, "README.zh-CN.md", "README.md")
	}
	slices.Sort(links)
	return slices.Compact(links)
}

// TestLanguages: pages in two languages are the same pages, with the same commands, outputs and links, and the second
// language is one.
func TestLanguages(t *testing.T) {
	byPath := make(map[string]page)
	for _, p := range pages(t) {
		byPath[p.path] = p
	}
	for path, p := range byPath {
		if first := original(path); first != path {
			if _, ok := byPath[first]; !ok {
				t.Errorf("%s: there is no %s", path, first)
			}
			continue
		}
		other := second(path)
		if other == "" {
			continue
		}
		q, ok := byPath[other]
		if !ok {
			t.Errorf("%s: there is no %s", path, other)
			continue
		}
		compareBlocks(t, p, q)
		here, there := alike(p.links()), alike(q.links())
		for _, l := range here {
			if !slices.Contains(there, l) {
				t.Errorf("%s links %s, and %s does not", p.path, l, q.path)
			}
		}
		for _, l := range there {
			if !slices.Contains(here, l) {
				t.Errorf("%s links %s, and %s does not", q.path, l, p.path)
			}
		}
		if n := han(q.text); n < 200 {
			t.Errorf("%s has %d Chinese characters", q.path, n)
		}
	}
}

// compareBlocks compares what is run, or shown.
func compareBlocks(t *testing.T, p, q page) {
	t.Helper()
	bare := func(p page) (blocks []block) {
		for _, b := range p.blocks {
			if b.lang == "console" || b.lang == "sh" {
				blocks = append(blocks, b)
			}
		}
		return blocks
	}
	ps, qs := bare(p), bare(q)
	if len(ps) != len(qs) {
		t.Errorf("%s has %d blocks of commands, and %s %d", p.path, len(ps), q.path, len(qs))
		return
	}
	for i := range ps {
		if strip(ps[i]) != strip(qs[i]) {
			t.Errorf("%s:%d and %s:%d have different commands:\n%s\n%s",
				p.path, ps[i].line, q.path, qs[i].line, ps[i].text, qs[i].text)
		}
	}
}

// comment is a comment of a shell behind a command.
var comment = regexp.MustCompile(`(?m)\s+# .*$|^# .*\n`)

// strip leaves comments out: those are in the page's language.
func strip(b block) string { return comment.ReplaceAllString(b.text, "") }

func han(s string) (n int) {
	for _, r := range s {
		if unicode.Is(unicode.Han, r) {
			n++
		}
	}
	return n
}

// TestLinks: what is linked is there.
func TestLinks(t *testing.T) {
	for _, p := range pages(t) {
		for _, l := range p.links() {
			if strings.Contains(l, "://") {
				continue
			}
			target := filepath.Join(repo, filepath.Dir(p.path), l)
			if found, err := filepath.Glob(target); err != nil || len(found) == 0 {
				t.Errorf("%s links %s, which is not there", p.path, l)
			}
		}
	}
}

// span is a command within a line of text.
var span = regexp.MustCompile("`((?:go run|\\./plexor|go doc) [^`]+)`")

// TestWords: each command that README's table names is run, on a page or by its example's comment.
func TestWords(t *testing.T) {
	var run []string
	for _, p := range pages(t) {
		for _, st := range p.commands() {
			run = append(run, st.command)
		}
	}
	examples, err := filepath.Glob(filepath.Join(repo, "examples", "*", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range examples { // TestExamples runs them
		run = append(run, "go run ./examples/"+filepath.Base(filepath.Dir(e)))
	}
	for _, path := range []string{"README.md", "README.zh-CN.md"} {
		spans := span.FindAllStringSubmatch(read(t, path).text, -1)
		if len(spans) < 20 {
			t.Errorf("%s names %d commands in its text: where is the table of words?", path, len(spans))
		}
		for _, m := range spans {
			if !slices.ContainsFunc(run, func(r string) bool { return strings.Contains(r, m[1]) }) {
				t.Errorf("%s names %q, which nothing runs", path, m[1])
			}
		}
	}
}
