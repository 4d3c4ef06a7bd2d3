package built_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/plexor-go/plexor/internal/built"
	"github.com/plexor-go/plexor/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// module writes a module with two programs, and a package that is none, into a folder.
func module(t *testing.T) (root string) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command here to build with")
	}
	root = t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module example.com/m\n",
		"one/main.go":   "package main\n\nfunc main() { println(\"one\") }\n",
		"two/main.go":   "package main\n\nfunc main() { println(\"two\") }\n",
		"none/none.go":  "package none\n",
		"other/main.go": "package main\n\nfunc main() {}\n",
	} {
		write(t, filepath.Join(root, name), text)
	}
	return root
}

func write(t *testing.T, file, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		err = os.WriteFile(file, []byte(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// names are the files in a folder, without what systems put behind a program's name.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, strings.TrimSuffix(e.Name(), ".exe"))
	}
	return all
}

// says runs a program, and returns what it prints.
func says(t *testing.T, dir, name string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(dir, name)).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return string(out)
}

// TestInto: several at once get the programs that they asked for, and only these; what is changed is built anew for the
// next one, while what others have stays as it was.
func TestInto(t *testing.T) {
	t.Parallel()
	root := module(t)
	var dirs [3]string
	var wait sync.WaitGroup
	for i := range dirs {
		dirs[i] = t.TempDir()
		wait.Go(func() {
			if err := built.Into(root, dirs[i], "./one", "./two", "./none"); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	write(t, filepath.Join(root, "one", "main.go"), "package main\n\nfunc main() { println(\"new\") }\n")
	after := t.TempDir()
	if err := built.Into(root, after, "./one"); err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if got := names(t, dir); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("%q", got)
		}
		if got := says(t, dir, "one") + says(t, dir, "two"); got != "one\ntwo\n" {
			t.Errorf("the programs from before the change say %q", got)
		}
	}
	if got := names(t, after); !slices.Equal(got, []string{"one"}) || says(t, after, "one") != "new\n" {
		t.Errorf("after the change: %q", got)
	}
}

// TestIntoUnshared: where the checkout can't be written to, the programs are built where they are wanted.
func TestIntoUnshared(t *testing.T) {
	t.Parallel()
	root, dir := module(t), t.TempDir()
	write(t, filepath.Join(root, built.Folder), "a file, where a folder can't be then")
	if err := built.Into(root, dir, "./one", "./two"); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("%q", got)
	}
}

// TestIntoFails: the error has what the compiler says.
func TestIntoFails(t *testing.T) {
	t.Parallel()
	root := module(t)
	write(t, filepath.Join(root, "one", "main.go"), "package main\n\nfunc main() { nothing() }\n")
	err := built.Into(root, t.TempDir(), "./one")
	if err == nil || !strings.Contains(err.Error(), "undefined: nothing") {
		t.Error(err)
	}
}
