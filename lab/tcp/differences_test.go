package tcp_test

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestOurs holds this package's TCP against the scripts, and the page of differences against what they say.
func TestOurs(t *testing.T) {
	matters, ran := map[string]string{}, map[string]bool{}
	for _, b := range scripts {
		for _, six := range []bool{false, true}[:families(b)] {
			t.Run(b.title(six), func(t *testing.T) {
				x := &script{t: t, judge: newOurs(t, b.setup, six), local: 80, remote: 1024, matters: map[string]bool{},
					setup: b.setup, six: six}
				b.run(x)
				ran[b.name] = true
				for m := range x.matters {
					matters[m] = b.name
				}
			})
		}
	}
	if t.Failed() || len(ran) < len(scripts) { // -run has left some out
		return
	}
	holdPage(t, matters)
}

// families is in how many a script runs.
func families(b both) int {
	if b.setup.only4 {
		return 1
	}
	return 2
}

// title is the script's as a test.
func (b both) title(six bool) string {
	if six {
		return b.name + "/IPv6"
	}
	return b.name + "/IPv4"
}

// holdPage holds that each row of DIFFERENCES.md names a script, and that those which say that the two differ are
// exactly the matters in which the scripts let them.
func holdPage(t *testing.T, matters map[string]string) {
	differs := map[string]string{}
	page, err := os.ReadFile("DIFFERENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 5 || strings.HasPrefix(line, "|--") || strings.HasPrefix(line, "| matter") {
			continue
		}
		judged := strings.Fields(strings.Trim(cells[4], " "))
		if len(judged) == 0 {
			t.Errorf("%q: what do the judges say?", line)
			continue
		}
		name := strings.Trim(judged[0], "`,")
		known := slices.ContainsFunc(scripts, func(b both) bool { return b.name == name })
		switch {
		case !known:
			t.Errorf("%q: there is no script %q", line, name)
		case judged[len(judged)-1] == "differs":
			differs[strings.TrimSpace(cells[0])] = name
		}
	}
	for m, name := range matters {
		if differs[m] != name {
			t.Errorf("in %s the judges differ in %q: DIFFERENCES.md says that of %q", name, m, differs[m])
		}
	}
	for m, name := range differs {
		if matters[m] != name {
			t.Errorf("DIFFERENCES.md has %q differ by %s, the scripts by %q", m, name, matters[m])
		}
	}
}
